"""Data sets, standardising and mini-batches, in NumPy up to the step that JAX compiles."""

from functional_nn.data.batches import batch_size, epoch_indices
from functional_nn.data.datasets import Dataset, load
from functional_nn.data.standardize import Standardizer, standardize

__all__ = ["Dataset", "Standardizer", "batch_size", "epoch_indices", "load", "standardize"]
