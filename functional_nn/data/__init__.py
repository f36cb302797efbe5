"""Data sets, standardisation and mini-batches, in NumPy up to the step that JAX compiles."""

from functional_nn.data.batches import batch_size, epoch_indices
from functional_nn.data.datasets import load
from functional_nn.data.examples import Dataset
from functional_nn.data.idx import read_idx
from functional_nn.data.standardize import Standardizer, standardize
from functional_nn.data.stream import Stream, stream

__all__ = ["Dataset", "Standardizer", "Stream", "batch_size", "epoch_indices", "load", "read_idx",
           "standardize", "stream"]
