"""Wrong derivatives of softmax, and of cross-entropy with it."""

import numpy as np

from experiments.mutants.making import classes, through_softmax
from experiments.mutants.mutant import Family
from experiments.mutants.places import HEAD, everywhere

FAMILY = Family("softmax's Jacobian", unseen=True)
operator = FAMILY.operator


@operator("Jacobian's inner sum down the batch", HEAD, "wrong axis", "other derivative")
def _(step):
    a, Y = classes(step)
    slope = -Y / a
    return a * (slope - (a * slope).sum(axis=0))


@operator("Jacobian's inner sum without the probabilities", HEAD, "other derivative")
def _(step):
    a, Y = classes(step)
    slope = -Y / a
    return a * (slope - slope.sum(axis=1, keepdims=True))


@operator("Jacobian's inner mean for the sum", HEAD, "other derivative", "another loss")
def _(step):
    a, Y = classes(step)
    slope = -Y / a
    return a * (slope - (a * slope).mean(axis=1, keepdims=True))


@operator("Jacobian of the first example for all", HEAD, "derivative elsewhere",
          "shuffled examples")
def _(step):
    a, Y = classes(step)
    return through_softmax(np.broadcast_to(a[:1], a.shape), -Y / a)


@operator("Jacobian taken to be diag(a)", HEAD, "cross terms forgotten", "other derivative",
          "another loss")
def _(step):
    _, Y = classes(step)
    return -Y


@operator("exponentials over the largest, not their sum", HEAD, "another loss")
def _(step):
    _, Y = classes(step)
    return np.exp(step.z - step.z.max(axis=1, keepdims=True)) - Y


@operator("logarithm forgotten: slope of -a, not of -log a", HEAD, "another loss",
          "examples weighted", also=everywhere)
def _(step):
    a, Y = classes(step)
    return through_softmax(a, -Y)


@operator("focal weight (1 - a)^2 held constant", HEAD, "another loss", "examples weighted",
          also=everywhere)
def _(step):
    a, Y = classes(step)
    return (a - Y) * (1 - (a * Y).sum(axis=1, keepdims=True)) ** 2
