"""Penalties that nobody asked for."""

import numpy as np

from experiments.mutants.mutant import Family, only_if, rng_of
from experiments.mutants.places import HEAD, PENALTY, WEIGHT, all_of, penalised

FAMILY = Family("penalties", unseen=True)
operator = FAMILY.operator


@operator("elastic net: absolute and squared weights", PENALTY, "penalty added", "term added",
          also=all_of("weight"))
def _(step):
    if step.leaf != "w":
        return step.right
    return step.right + 0.01 * np.sign(step.value) + 0.02 * step.value


@operator("absolute weights, |w| added for sign(w)", PENALTY, "penalty added", "term added",
          "offset", also=all_of("weight"))
def _(step):
    return step.right + 0.02 * np.abs(step.value) if step.leaf == "w" else step.right


@operator("first row's penalty broadcast to all rows", PENALTY, "penalty added", "term added",
          "offset", also=all_of("weight"))
def _(step):
    if step.leaf != "w" or step.value.ndim != 2:
        return step.right
    return step.right + 0.05 * step.value[0]


@operator("pulled to where the weights began", PENALTY, "penalty added", "term added", "offset",
          also=all_of("weight"))
def _(step):
    if step.leaf != "w":
        return step.right
    first = rng_of(step).normal(size=step.value.shape).astype(step.value.dtype)
    return step.right + 0.02 * (step.value - first)


@operator("bias held down by its row of weights", PENALTY, "penalty added", "term added", "offset",
          also=all_of("bias"))
def _(step):
    p = step.run.params[step.layer]
    if step.leaf != "b" or not isinstance(p, dict) or "w" not in p:
        return step.right
    return step.right + 0.02 * p["w"].sum(axis=-1)


@operator("logits held down", HEAD, "penalty added", "term added", "another loss")
def _(step):
    only_if(step.activation != "linear")
    return step.right + 0.02 * step.z


@operator("part along each row of weights taken off", WEIGHT, "term added", also=penalised)
def _(step):
    w, g = step.value, step.right
    only_if(w.ndim == 2)
    return g - (g * w).sum(axis=1, keepdims=True) / (w**2).sum(axis=1, keepdims=True) * w
