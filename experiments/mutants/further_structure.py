"""Mistakes with special layers, and with the finished gradient."""

from dataclasses import replace

import numpy as np

from experiments.mutants import reference
from experiments.mutants.making import FOUND, LEAVES, operator, structural, unfit
from experiments.mutants.mutant import only_if
from experiments.mutants.reference import SLOPES

FIRST = len(FOUND)


@operator("statistics held constant", ("pullback",), "statistics held constant")
def _(step):
    spec, p, tape, delta = step.above()
    only_if(spec.kind == "layer_norm")
    return p["gain"] * delta / tape.spread * SLOPES[step.activation](step.z)


@operator("variance for standard deviation", ("pullback",), "wrong statistics")
def _(step):
    spec, p, tape, delta = step.above()
    only_if(spec.kind == "layer_norm")
    return reference.pull(spec, p, replace(tape, spread=tape.spread ** 2), delta) * SLOPES[step.activation](step.z)


@operator("every piece wins", ("pullback",), "wrong piece")
def _(step):
    spec, p, tape, delta = step.above()
    only_if(spec.kind == "maxout")
    return reference.pull(spec, p, replace(tape, share=np.ones_like(tape.share)), delta) * SLOPES[step.activation](step.z)


@operator("branch forgotten", ("pullback",), "branch forgotten")
def _(step):
    spec, _, _, delta = step.above()
    only_if(spec.kind == "residual")
    return delta * SLOPES[step.activation](step.z)


@operator("gradients of two layers exchanged", ("structure",), "exchanged leaves", "another layer's delta",
          where=lambda place: frozenset({(site, place[1] + i) for i in (0, 1) for site in LEAVES}),
          also=lambda place, last: (frozenset({("structure", None)}), frozenset({("structure", place[1] + i) for i in (0, 1)})))
def _(step):
    grads = list(step.right)
    only_if(step.layer < len(grads) - 1 and same_shapes(*grads[step.layer:step.layer + 2]))
    grads[step.layer:step.layer + 2] = grads[step.layer + 1], grads[step.layer]
    return tuple(grads)


def same_shapes(one, other) -> bool:
    """Whether two layers' gradients could be mistaken for each other."""
    return isinstance(one, dict) and isinstance(other, dict) and (
        {name: g.shape for name, g in one.items()} == {name: g.shape for name, g in other.items()})


@operator("gradients in the order they were made", ("structure",), "exchanged leaves", "wrong shape", shapes=True,
          also=lambda place, last: (
    frozenset({("structure", None)}), frozenset({("structure", 0), ("structure", last)}),
    frozenset(("structure", l) for l in range(last + 1))))
def _(step):
    only_if(step.layer == 0 and not same_shapes(step.right[0], step.right[-1]))
    return step.right[::-1]


@operator("bias as a row", ("bias",), "wrong shape", also=structural, shapes=True)
def _(step):
    return step.right[None]


@operator("bias over the wrong axis", ("bias",), "wrong axis", also=structural, shapes=True)
def _(step):
    only_if(step.each.ndim == 2)
    return step.each.mean(axis=1)


@operator("infinite", LEAVES, "not a number", also=unfit, shapes=True)
def _(step):
    wrong = step.right.copy()
    wrong.reshape(-1)[-1] = np.inf
    return wrong


SPECIAL = tuple(FOUND[FIRST:])
"""Every operator of this file."""
