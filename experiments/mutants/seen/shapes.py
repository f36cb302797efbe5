"""Wrong axes, orders and shapes."""

import numpy as np

from experiments.mutants.making import changed, plain, remade, square
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.places import (
    BATCH,
    BIAS,
    DELTAS,
    LEAVES,
    STRUCTURE,
    WEIGHT,
    all_of,
    finished_or,
    lowest,
    structural,
)

FAMILY = Family("anything else")
operator = FAMILY.operator


@operator("transposed", WEIGHT, "transposed")
def _(step):
    only_if(step.right.ndim > 1 and step.right.shape[-1] == step.right.shape[-2])
    return np.swapaxes(step.right, -1, -2)


@operator("transposed shape", WEIGHT, "transposed", also=structural, shapes=True)
def _(step):
    only_if(step.right.ndim > 1 and step.right.shape[-1] != step.right.shape[-2])
    return np.swapaxes(step.right, -1, -2)


@operator("transposed, then reshaped", WEIGHT, "transposed")
def _(step):
    only_if(step.right.ndim > 1)
    return np.swapaxes(step.right, -1, -2).reshape(step.right.shape)


@operator("not reduced", BIAS, "missing reduction", also=structural, shapes=True)
def _(step):
    return step.each / len(step.each)


@operator("not reduced, undivided", BIAS, "missing reduction", also=structural, shapes=True)
def _(step):
    return step.each.copy()


@operator("bias as a row", BIAS, "wrong shape", also=structural, shapes=True)
def _(step):
    return step.right[None]


@operator("bias over the wrong axis", BIAS, "wrong axis", also=structural, shapes=True)
def _(step):
    only_if(step.each.ndim == 2)
    return step.each.mean(axis=1)


@operator("bias still a column of the matrix", STRUCTURE, "wrong shape", shapes=True,
          also=finished_or("weight"))
def _(step):
    g = step.right[step.layer]
    only_if(isinstance(g, dict) and "w" in g and g["w"].ndim == 2)
    return changed(step, w=np.concatenate([g["b"][:, None], g["w"]], axis=1))


@operator("entry by entry for the outer product", WEIGHT, "wrong product")
def _(step):
    plain(step)
    only_if(step.delta.shape == step.a.shape)
    return np.broadcast_to((step.delta * step.a).mean(axis=0), step.right.shape).copy()


@operator("bias summed over the units too", BIAS, "wrong axis", "zero")
def _(step):
    return np.full_like(step.right, step.right.sum())


@operator("bias summed to one number", BIAS, "wrong axis", also=structural, shapes=True)
def _(step):
    return np.asarray(step.right.sum())


@operator("bias kept as a column", BIAS, "wrong shape", also=structural, shapes=True)
def _(step):
    only_if(step.right.ndim == 1)
    return step.right[:, None]


@operator("matrix left flat", WEIGHT, "wrong shape", also=structural, shapes=True)
def _(step):
    only_if(step.right.ndim > 1)
    return step.right.reshape(-1)


@operator("a matrix for each example", WEIGHT, "missing reduction", also=structural, shapes=True)
def _(step):
    return step.each / len(step.each)


@operator("made symmetric as if tied", WEIGHT, "transposed")
def _(step):
    return (square(step) + step.right.T) / 2


@operator("batch taken to be the last axis", BATCH, "wrong axis", "swapped entries",
          also=all_of(*LEAVES))
def _(step):
    count, *shape = step.each.shape
    return step.each.reshape(*shape, count).sum(axis=-1) / count


@operator("column per example, reshaped to rows", DELTAS, "transposed", "swapped entries",
          "shuffled examples", also=lowest)
def _(step):
    return step.right.T.reshape(step.right.shape)


@operator("delta reshaped where it is transposed", WEIGHT, "shuffled examples", "other delta",
          "swapped entries")
def _(step):
    only_if(step.spec.kind == "dense")
    return remade(step, delta=step.delta.reshape(step.delta.shape[::-1]).T)


@operator("flat gradient filled in by columns", WEIGHT, "transposed", "swapped entries")
def _(step):
    only_if(step.right.ndim > 1)
    return np.ascontiguousarray(step.right.reshape(-1).reshape(step.right.shape, order="F"))


@operator("delta summed over the units first", WEIGHT, "wrong axis", "other delta")
def _(step):
    only_if(step.spec.kind == "dense" and step.activation != "softmax")
    total = step.delta.sum(axis=1, keepdims=True)
    return remade(step, delta=np.broadcast_to(total, step.delta.shape))


@operator("product summed over units", WEIGHT, "wrong axis", "missing reduction", also=structural,
          shapes=True)
def _(step):
    only_if(step.spec.kind == "dense" and step.delta.shape == step.a.shape)
    return step.delta @ step.a.T / len(step.a)


@operator("first column cut off as the bias", WEIGHT, "wrong shape", also=structural, shapes=True)
def _(step):
    only_if(step.right.ndim == 2)
    return step.right[:, 1:]
