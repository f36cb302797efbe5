"""Mistakes in a layer's own gradient that were held back once: what they taught is in the code that names causes."""

import numpy as np

from experiments.mutants import reference
from experiments.mutants.making import FOUND, LEAVES, operator, remade, structural
from experiments.mutants.mutant import Step, only_if, rng_of
from experiments.mutants.reference import SLOPES

FIRST = len(FOUND)
WEIGHT, BIAS = ("weight",), ("bias",)


def plain(step: Step) -> None:
    """Where the layer is dense, and not one inside a residual layer."""
    only_if(step.run.model.specs[step.layer].kind == "dense")


def before_derivative(step: Step):
    """What a dense layer's δ is before it is multiplied with the derivative."""
    plain(step)
    model = step.run.model
    if step.layer < model.last:
        return reference.pull(*step.above())
    only_if(model.loss == "quadratic")
    return reference.loss_slope(model.loss, step.activated, step.run.Y)


def square(step: Step):
    """The gradient, where it is a square matrix."""
    only_if(step.right.ndim == 2 and step.right.shape[0] == step.right.shape[1])
    return step.right


def normalised(step: Step):
    """The input of a layer norm."""
    only_if(step.spec.kind == "layer_norm")
    return step.run.tapes[step.layer].a


@operator("leaf made before the derivative", LEAVES, "missing derivative")
def _(step):
    return remade(step, delta=before_derivative(step))


@operator("leaf with the derivative once more", LEAVES, "doubled derivative")
def _(step):
    plain(step)
    only_if(step.activation != "softmax")
    return remade(step, delta=step.delta * SLOPES[step.activation](step.z))


@operator("block's leaf without its derivative", LEAVES, "missing derivative")
def _(step):
    spec = step.run.model.specs[step.layer]
    only_if(spec.kind == "residual" and len(spec.inner) == 1)
    return remade(step, delta=step.run.deltas[step.layer])


@operator("Hebb's rule", WEIGHT, "activation for delta", "cotangent ignored", "target ignored")
def _(step):
    plain(step)
    return remade(step, delta=step.activated)


@operator("inputs left over from the last example", WEIGHT, "shuffled examples")
def _(step):
    return remade(step, a=np.broadcast_to(step.a[-1], step.a.shape))


@operator("input not multiplied with", WEIGHT, "other activation")
def _(step):
    return remade(step, a=np.ones_like(step.a))


@operator("entry by entry for the outer product", WEIGHT, "wrong product")
def _(step):
    plain(step)
    only_if(step.delta.shape == step.a.shape)
    return np.broadcast_to((step.delta * step.a).mean(axis=0), step.right.shape).copy()


@operator("inputs standardised only here", WEIGHT, "normalised", "other activation")
def _(step):
    only_if(step.layer == 0 and step.spec.kind in ("dense", "maxout"))
    return remade(step, a=(step.a - step.a.mean(axis=0)) / (step.a.std(axis=0) + 1e-8))


@operator("inputs stored in half precision", WEIGHT, "rounded")
def _(step):
    return remade(step, a=step.a.astype(np.float16).astype(step.a.dtype))


@operator("column of ones in the wrong place", WEIGHT, "swapped entries", "other activation")
def _(step):
    plain(step)
    return remade(step, a=np.concatenate([np.ones_like(step.a[:, :1]), step.a[:, :-1]], axis=1))


@operator("accumulated on through the layers", LEAVES, "added to another")
def _(step):
    other = step.run.grads.get(step.layer + 1)
    only_if(isinstance(other, dict) and step.leaf in other and other[step.leaf].shape == step.right.shape)
    return step.right + other[step.leaf]


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


@operator("smaller half of the entries dropped", LEAVES, "entries left out")
def _(step):
    return step.right * (np.abs(step.right) >= np.median(np.abs(step.right)))


@operator("triangle of a mask left on", WEIGHT, "entries left out")
def _(step):
    return np.tril(square(step))


@operator("made symmetric as if tied", WEIGHT, "transposed")
def _(step):
    return (square(step) + step.right.T) / 2


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


@operator("each piece treated as the winner", LEAVES, "wrong piece")
def _(step):
    only_if(step.spec.kind == "maxout")
    return remade(step, delta=np.broadcast_to(step.run.deltas[step.layer][:, None], step.delta.shape))


@operator("leaf goes to the losing pieces", LEAVES, "wrong piece")
def _(step):
    only_if(step.spec.kind == "maxout")
    share = step.run.tapes[step.layer].share
    return remade(step, delta=(1 - share) / (share.shape[1] - 1) * step.run.deltas[step.layer][:, None])


@operator("gain from the centred input", WEIGHT, "wrong statistics")
def _(step):
    a = normalised(step)
    return remade(step, a=a - a.mean(axis=1, keepdims=True))


@operator("gain from the batch's statistics", WEIGHT, "wrong statistics", "wrong axis")
def _(step):
    a = normalised(step)
    return remade(step, a=(a - a.mean(axis=0)) / np.sqrt(a.var(axis=0) + 1e-5))


@operator("gain with one degree of freedom less", WEIGHT, "wrong statistics", "factor")
def _(step):
    a = normalised(step)
    return remade(step, a=(a - a.mean(axis=1, keepdims=True)) / np.sqrt(a.var(axis=1, ddof=1, keepdims=True) + 1e-5))


@operator("gain from the layer's own output", WEIGHT, "pre-activation for activation", "another layer's activation")
def _(step):
    normalised(step)
    return remade(step, a=step.z)


WITHIN = tuple(FOUND[FIRST:])
"""Every operator of this file."""
