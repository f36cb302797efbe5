"""All mistakes that are held back: the code that names causes was written without them."""

from experiments.mutants.unseen_deltas import BETWEEN
from experiments.mutants.unseen_heads import HEADS
from experiments.mutants.unseen_leaves import WITHIN

UNSEEN = (*HEADS, *BETWEEN, *WITHIN)
