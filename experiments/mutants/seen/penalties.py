"""Penalties that nobody asked for."""

import numpy as np

from experiments.mutants.making import classes, curved, slope_of, through_softmax
from experiments.mutants.mutant import Family
from experiments.mutants.places import (
    HEAD,
    LEAVES,
    PENALTY,
    PULLBACK,
    WEIGHT,
    all_of,
    lowest,
    penalised,
)

FAMILY = Family("penalties")
operator = FAMILY.operator


for _name, _rate in (("penalty of 0.1", 0.1), ("penalty of 0.001", 1e-3)):
    @operator(_name, PENALTY, "penalty added")
    def _(step, rate=_rate):
        return step.right + rate * step.value if step.leaf == "w" else step.right


@operator("penalty on biases too", PENALTY, "penalty added", also=lambda place,
          last: (frozenset((site, l) for site in LEAVES for l in range(last + 1)), ))
def _(step):
    return step.right + 0.01 * step.value


@operator("penalty with the wrong sign", PENALTY, "penalty added")
def _(step):
    return step.right - 0.01 * step.value if step.leaf == "w" else step.right


@operator("penalty of absolute weights", PENALTY, "penalty added", also=lambda place,
          last: (frozenset(("weight", l) for l in range(last + 1)), ))
def _(step):
    return step.right + 0.01 * np.sign(step.value) if step.leaf == "w" else step.right


@operator("penalty in one layer", WEIGHT, "penalty added", also=lambda place,
          last: (frozenset({("penalty", None)}), frozenset({("penalty", place[1])})))
def _(step):
    return step.right + 0.05 * step.value


@operator("biases pulled towards nothing", PENALTY, "penalty added", also=all_of("bias"))
def _(step):
    return step.right + 0.02 * step.value if step.leaf == "b" else step.right


@operator("norm not squared in the penalty", PENALTY, "penalty added", also=all_of("weight"))
def _(step):
    if step.leaf != "w":
        return step.right
    return step.right + 0.01 * step.value / np.sqrt((step.value ** 2).sum())


@operator("rows asked to be orthogonal", PENALTY, "penalty added")
def _(step):
    w = step.value
    if step.leaf != "w" or w.ndim != 2:
        return step.right
    return step.right + 0.01 * (w @ w.T - np.eye(len(w), dtype=w.dtype)) @ w


@operator("penalty on long rows only", PENALTY, "penalty added")
def _(step):
    w = step.value
    if step.leaf != "w" or w.ndim != 2:
        return step.right
    return step.right + 0.05 * w * ((w ** 2).sum(axis=1, keepdims=True) > 1)


@operator("bonus for the entropy kept", HEAD, "penalty added", "another loss")
def _(step):
    classes(step)
    a = step.activated
    return step.right + 0.1 * through_softmax(a, np.log(a))


@operator("activity held down by a penalty", PULLBACK, "penalty added", also=lowest)
def _(step):
    return step.right + 0.01 * step.activated * slope_of(step)


@operator("sum of the weights for each of them", PENALTY, "penalty added", "offset", "term added",
          also=all_of("weight"))
def _(step):
    return step.right + 0.01 * step.value.sum() if step.leaf == "w" else step.right


@operator("squares of the weights not derived", PENALTY, "penalty added", "offset", "term added",
          also=all_of("weight"))
def _(step):
    return step.right + 0.02 * step.value ** 2 if step.leaf == "w" else step.right


@operator("first column spared as if a bias's", PENALTY, "penalty added", "offset", "term added",
          also=all_of("weight"))
def _(step):
    if step.leaf != "w":
        return step.right
    w = step.value.copy()
    w[..., 0] = 0
    return step.right + 0.05 * w


@operator("hidden units asked to be sparse", PULLBACK, "penalty added", "term added", also=lowest)
def _(step):
    _, a = curved(step, "sigmoid")
    active = a.mean(axis=0)
    return (step.cotangent + 0.1 * (0.95 / (1 - active) - 0.05 / active)) * slope_of(step)


@operator("value of the penalty for its slope", WEIGHT, "offset", "penalty added", "term added",
          also=penalised)
def _(step):
    return step.right + 0.01 * (step.value ** 2).sum() / 2
