"""The slope of something else than the loss."""

import numpy as np

from experiments.mutants.making import regression, slope_of, yes_or_no
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.places import HEAD

FAMILY = Family("anything else", unseen=True)
operator = FAMILY.operator


@operator("derivative from the target, y (1 - y)", HEAD, "derivative elsewhere", "other derivative",
          "another loss")
def _(step):
    a, Y = regression(step, "sigmoid")
    return (a - Y) * Y * (1 - Y)


@operator("logarithm of cosh for the square", HEAD, "another loss")
def _(step):
    a, Y = regression(step)
    return np.tanh(a - Y) * slope_of(step)


@operator("probabilities clipped to 0.1 and 0.9 first", HEAD, "another loss", "clipped")
def _(step):
    only_if(step.run.model.loss != "quadratic")
    return np.clip(step.activated, 0.1, 0.9) - step.run.Y


@operator("predictions cast to the integers of the targets", HEAD, "another loss")
def _(step):
    a, Y = yes_or_no(step)
    return np.trunc(a) - Y


@operator("hinge for the logistic loss", HEAD, "another loss")
def _(step):
    _, Y = yes_or_no(step)
    signs = 2 * Y - 1
    return -signs * (signs * step.z < 1)
