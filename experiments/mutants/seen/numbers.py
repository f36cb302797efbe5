"""Numbers rounded, clipped, rectified, or unfit."""

import ml_dtypes
import numpy as np

from experiments.mutants import reference
from experiments.mutants.making import slope_of
from experiments.mutants.mutant import Family, only_if, rng_of
from experiments.mutants.places import (
    BATCH,
    DELTAS,
    FINISHED,
    LEAVES,
    PULLBACK,
    STRUCTURE,
    WEIGHT,
    all_of,
    finished_or_all_of,
    lowest,
    unfit,
    weighing,
)

FAMILY = Family("anything else")
operator = FAMILY.operator


@operator("clipped", (*DELTAS, *LEAVES), "clipped")
def _(step):
    limit = 0.02 if step.site in DELTAS else 0.005
    return np.clip(step.right, -limit, limit)


for _name, _dtype in (
        ("rounded to bfloat16", ml_dtypes.bfloat16), ("rounded to float16", np.float16)):
    @operator(_name, (*DELTAS, *LEAVES), "rounded", rounds=True)
    def _(step, dtype=_dtype):
        return step.right.astype(dtype).astype(step.right.dtype)


@operator("not a number", (*DELTAS, *LEAVES), "not a number", also=unfit, shapes=True)
def _(step):
    wrong = step.right.copy()
    wrong.reshape(-1)[0] = np.nan
    return wrong


@operator("norm clipped", LEAVES, "clipped")
def _(step):
    norm = np.sqrt((step.right ** 2).sum())
    return step.right * np.minimum(1, 0.02 / norm)


@operator("negative entries lost", (*DELTAS, *LEAVES), "rectified", "clipped")
def _(step):
    return np.maximum(step.right, 0)


@operator("two decimals", (*DELTAS, *LEAVES), "rounded")
def _(step):
    return np.round(step.right, 2)


@operator("infinite", LEAVES, "not a number", also=unfit, shapes=True)
def _(step):
    wrong = step.right.copy()
    wrong.reshape(-1)[-1] = np.inf
    return wrong


@operator("running sums in half precision", BATCH, "rounded", rounds=True, also=all_of(*LEAVES))
def _(step):
    total = step.each.astype(np.float16).sum(axis=0)
    return (total / np.float16(len(step.each))).astype(step.right.dtype)


@operator("each example clipped for privacy", BATCH, "clipped", "examples weighted",
          also=all_of(*LEAVES))
def _(step):
    sizes = np.sqrt((step.each.reshape(len(step.each), -1) ** 2).sum(axis=1))
    scale = np.minimum(1, 0.1 / np.maximum(sizes, 1e-12))
    return np.einsum("b,b...->...", scale, step.each) / len(step.each)


@operator("only the direction of every entry", BATCH, "signs alone",
          also=finished_or_all_of(*LEAVES))
def _(step):
    return np.sign(step.right)


@operator("length of all of it clipped", STRUCTURE, "clipped", "factor", "examples weighted",
          where=lambda place: frozenset({("batch", None)}), also=lambda place,
          last: (frozenset({("head", last)}), FINISHED))
def _(step):
    only_if(step.layer == 0)
    squares = []
    reference.as_arrays(step.right, lambda g: squares.append((g ** 2).sum()))
    scale = np.minimum(1, 0.1 / np.sqrt(sum(squares)))
    return reference.as_arrays(step.right, lambda g: g * scale)


@operator("what comes back clipped", PULLBACK, "clipped", also=lowest)
def _(step):
    return np.clip(step.cotangent, -0.05, 0.05) * slope_of(step)


@operator("only the sign of what comes back", PULLBACK, "signs alone", also=lowest)
def _(step):
    return np.sign(step.cotangent) * slope_of(step)


@operator("signs lost on the way", (*DELTAS, *LEAVES), "rectified", also=lowest)
def _(step):
    return np.abs(step.right)


@operator("centred over the batch", DELTAS, "normalised", also=lowest)
def _(step):
    return step.right - step.right.mean(axis=0)


@operator("epsilon added to be safe", (*DELTAS, *LEAVES), "offset", also=lowest)
def _(step):
    return step.right + 1e-3


@operator("active share of nothing", PULLBACK, "not a number", also=unfit, shapes=True)
def _(step):
    only_if(step.activation == "relu" and np.any(step.z <= 0))
    active = np.maximum(step.z, 0)
    return step.cotangent * (active / active)


@operator("rows centred", WEIGHT, "normalised")
def _(step):
    only_if(step.right.ndim > 1)
    return step.right - step.right.mean(axis=-1, keepdims=True)


@operator("scaled to unit length", LEAVES, "clipped", "factor", "normalised", "examples weighted")
def _(step):
    return step.right / (np.sqrt((step.right ** 2).sum()) + 1e-12)


@operator("exploration noise left on", LEAVES, "offset")
def _(step):
    return step.right + 0.01 * rng_of(step).normal(size=step.right.shape).astype(step.right.dtype)


@operator("squares kept for the optimiser", LEAVES, "another power")
def _(step):
    return step.right ** 2


@operator("each example's delta cut to a length", DELTAS, "clipped", "examples weighted",
          "normalised", "another loss", also=weighing)
def _(step):
    length = np.sqrt((step.right ** 2).sum(axis=1, keepdims=True))
    return step.right * np.minimum(1, 0.2 / np.maximum(length, 1e-12))


@operator("floor division by the examples", LEAVES, "rounded")
def _(step):
    return step.each.sum(axis=0) // len(step.each)
