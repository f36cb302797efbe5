"""Some entries changed, lost or moved."""

import numpy as np

from experiments.mutants.making import changed, square, units
from experiments.mutants.mutant import Family, entry_of, only_if, rng_of, unit_of
from experiments.mutants.places import (
    DELTAS,
    LEAVES,
    PULLBACK,
    STRUCTURE,
    WEIGHT,
    everywhere,
    here,
    lowest,
    of_layer,
)

FAMILY = Family("anything else")
operator = FAMILY.operator


@operator("all set to zero", (*DELTAS, *LEAVES), "zero", also=everywhere)
def _(step):
    return np.zeros_like(step.right)


@operator("dead unit", (*DELTAS, *LEAVES), "dead unit")
def _(step):
    wrong = step.right.copy()
    unit = unit_of(step.delta if step.site == "weight" else wrong, step)
    if step.site == "weight" and wrong.ndim > 1:
        wrong[..., unit, :] = 0
    else:
        wrong[..., unit] = 0
    return wrong


for _name, _factor in (
        ("one entry's sign", -1.0), ("one entry twice", 2.0), ("one entry zero", 0.0)):
    @operator(_name, LEAVES, "single entry", *(("dead unit",) if _factor == 0 else ()))
    def _(step, c=_factor):
        wrong = step.right.copy()
        wrong[entry_of(wrong, step)] *= c
        return wrong


@operator("two entries swapped", LEAVES, "swapped entries")
def _(step):
    wrong = step.right.copy().reshape(-1)
    i, j = rng_of(step).choice(wrong.size, 2, replace=False)
    wrong[[i, j]] = wrong[[j, i]]
    return wrong.reshape(step.right.shape)


@operator("two units swapped", (*DELTAS, *WEIGHT), "swapped entries")
def _(step):
    axis = -2 if step.site == "weight" and step.right.ndim > 1 else -1
    order = np.arange(step.right.shape[axis])
    i, j = rng_of(step).choice(order.size, 2, replace=False)
    order[[i, j]] = j, i
    return np.take(step.right, order, axis=axis)


@operator("input unit dead", WEIGHT, "dead unit")
def _(step):
    only_if(step.right.ndim > 1)
    wrong = step.right.copy()
    wrong[..., unit_of(wrong, step)] = 0
    return wrong


@operator("several units dead", DELTAS, "dead unit")
def _(step):
    return step.right * (np.arange(step.right.shape[1]) % 3 > 0)


@operator("dropout left on", PULLBACK, "dead unit")
def _(step):
    kept = rng_of(step).permutation(step.right.shape[1]) % 2
    return step.right * (2 * kept).astype(step.right.dtype)


@operator("columns swapped", WEIGHT, "swapped entries")
def _(step):
    only_if(step.right.ndim > 1)
    order = np.arange(step.right.shape[-1])
    order[:2] = 1, 0
    return step.right[..., order]


@operator("units in reverse order", DELTAS, "swapped entries")
def _(step):
    return step.right[:, ::-1]


@operator("one entry overwritten", LEAVES, "single entry")
def _(step):
    wrong = step.right.copy()
    wrong[entry_of(wrong, step)] = 1
    return wrong


@operator("smaller half of the entries dropped", LEAVES, "entries left out")
def _(step):
    return step.right * (np.abs(step.right) >= np.median(np.abs(step.right)))


@operator("triangle of a mask left on", WEIGHT, "entries left out")
def _(step):
    return np.tril(square(step))


@operator("layer skipped by the loop", STRUCTURE, "zero", where=of_layer(*LEAVES), also=here)
def _(step):
    g = step.right[step.layer]
    only_if(isinstance(g, dict))
    return changed(step, **{name: np.zeros_like(leaf) for name, leaf in g.items()})


@operator("units one place off", (*DELTAS, *LEAVES), "swapped entries", "other delta",
          "other weights", also=lowest)
def _(step):
    return np.roll(step.right, 1, axis=-2 if step.site == "weight" and step.right.ndim > 1 else -1)


@operator("every unit written one place too early", LEAVES, "swapped entries", "other delta")
def _(step):
    return np.roll(step.right, -1, axis=units(step))
