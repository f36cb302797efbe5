"""All mistakes that were held back once: what they taught is in the code that names causes."""

from experiments.mutants.opened_deltas import BETWEEN
from experiments.mutants.opened_heads import HEADS
from experiments.mutants.opened_leaves import WITHIN

OPENED = (*HEADS, *BETWEEN, *WITHIN)
