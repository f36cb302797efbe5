"""Mistakes that are held back.

Their author knew the list of causes, and nothing else of the code that names them.
"""

from experiments.mutants.unseen import (
    copies,
    losses,
    penalties,
    reductions,
    slopes,
    softmax,
    steps,
    targets,
    weights,
)

FAMILIES = tuple(room.FAMILY for room in (
    slopes, reductions, softmax, losses, targets, weights, penalties, copies, steps))
UNSEEN = tuple(operator for family in FAMILIES for operator in family)
