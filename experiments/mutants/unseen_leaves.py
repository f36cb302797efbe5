"""Mistakes in a layer's own gradient that are held back: the code that names causes was written without them."""

from dataclasses import replace

from experiments.mutants.making import FOUND

FIRST = len(FOUND)
WITHIN = tuple(replace(found, unseen=True) for found in FOUND[FIRST:])
"""Every operator of this file."""
