"""Mistakes that the code that names causes was made with, by what is wrong."""

from experiments.mutants.seen import (
    blocks,
    copies,
    entries,
    feedback,
    inputs,
    losses,
    moments,
    norms,
    numbers,
    penalties,
    pieces,
    reductions,
    scales,
    shapes,
    slopes,
    softmax,
    targets,
    updates,
)

FAMILIES = tuple(room.FAMILY for room in (
    slopes, moments, reductions, scales, softmax, losses, targets, updates, feedback, penalties,
    copies, inputs, entries, numbers, shapes, norms, pieces, blocks))
SEEN = tuple(operator for family in FAMILIES for operator in family)
