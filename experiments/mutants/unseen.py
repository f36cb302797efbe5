"""All mistakes that are held back: the code that names causes was written without them.

Those of `OPENED` were held back too, until they were drawn at random and shown to its author.
"""

from dataclasses import replace

from experiments.mutants.unseen_deltas import BETWEEN
from experiments.mutants.unseen_heads import HEADS
from experiments.mutants.unseen_leaves import WITHIN

DRAWN = (
    "derivative at the layer's own input", "formula for a given z", "1 - a and nothing more", "smooth step for a sharp one",
    "derivative by a coarse difference", "derivative at the mean z", "signs lost on the way", "bias column not cut off",
    "pieces that lost", "always the first of the pieces", "means down the batch in a layer norm",
    "one taken off every label's column", "classes balanced by their frequency", "scores compared with the targets",
    "learns from misclassified only", "one error shared by the outputs", "targets thresholded at a half",
    "slope of the loss at its logits", "leaf made before the derivative", "block's leaf without its derivative",
    "a matrix for each example")
ALL = (*HEADS, *BETWEEN, *WITHIN)
OPENED = tuple(replace(operator, unseen=False) for operator in ALL if operator.name in DRAWN)
UNSEEN = tuple(operator for operator in ALL if operator.name not in DRAWN)
