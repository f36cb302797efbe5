"""Weights and gradients from before or after an update."""

import numpy as np

from experiments.mutants.making import pulled, slope_of, through
from experiments.mutants.mutant import Family, only_if, weights_of
from experiments.mutants.places import (
    FINISHED,
    LEAVES,
    PULLBACK,
    STRUCTURE,
    lowest,
    with_parameters,
)

FAMILY = Family("stale weights")
operator = FAMILY.operator


for _name, _rate in (("weight after its update", 0.5), ("weight after a small update", 0.01)):
    @operator(_name, PULLBACK, "updated weight")
    def _(step, rate=_rate):
        l = step.layer + 1
        w, gradient = weights_of(step.run.params[l]), weights_of(step.run.grads[l])
        return pulled(step, w - rate * gradient)


@operator("weight after a step uphill", PULLBACK, "updated weight")
def _(step):
    w, gradient = (weights_of(tree[step.layer + 1]) for tree in (step.run.params, step.run.grads))
    return pulled(step, w + 0.3 * gradient)


@operator("weights decayed before use", PULLBACK, "updated weight", "factor", also=lowest)
def _(step):
    only_if(step.above()[0].kind != "residual")
    return pulled(step, 0.95 * weights_of(step.above()[1]))


@operator("updated parameters handed back", STRUCTURE, "penalty added", "factor",
          "update for gradient", "term added", where=lambda place: FINISHED, also=with_parameters)
def _(step):
    def updated(p, g):
        if isinstance(g, dict):
            return {name: p[name] - 0.1 * g[name] for name in g}
        return tuple(updated(*pair) for pair in zip(p, g, strict=True))

    only_if(step.layer == 0)
    return updated(step.run.params, step.right)


@operator("weights updated between the examples", PULLBACK, "updated weight", "other weights",
          also=lowest)
def _(step):
    _, p, tape, delta = through(step, "dense")
    each = np.einsum("bj,bk->bjk", delta, tape.a)
    before = each.cumsum(axis=0) - each
    return np.einsum("bj,bjk->bk", delta, p["w"] - 0.1 * before) * slope_of(step)


@operator("parameter handed back", LEAVES, "cotangent ignored", "target ignored",
          "update for gradient")
def _(step):
    return np.array(step.value, dtype=step.right.dtype)


@operator("parameter after its update handed back", LEAVES, "unexplained", "penalty added",
          "update for gradient")
def _(step):
    return step.value - 0.1 * step.right
