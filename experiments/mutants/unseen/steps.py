"""Wrong inputs, wrong paths through special layers, and wrong number types on the way."""

from dataclasses import replace

import numpy as np

from experiments.mutants.making import (
    inside_norm,
    matrix,
    paths,
    pieces,
    pulled,
    remade,
    retaped,
    shared,
    slope_of,
    through,
    winners,
)
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.places import DELTAS, PULLBACK, WEIGHT, lowest

FAMILY = Family("anything else", unseen=True)
operator = FAMILY.operator


@operator("delta in eight bits", DELTAS, "rounded", also=lowest)
def _(step):
    scale = np.abs(step.right).max() / 127
    only_if(scale > 0)
    return np.round(step.right / scale) * scale


@operator("last input overwritten by the bias's 1", WEIGHT, "other activation")
def _(step):
    only_if(step.spec.kind in ("dense", "maxout"))
    a = step.a.copy()
    a[:, -1] = 1
    return remade(step, a=a)


@operator("inputs reshaped where they are transposed", WEIGHT, "shuffled examples",
          "other activation")
def _(step):
    only_if(step.spec.kind in ("dense", "maxout"))
    return remade(step, a=step.a.reshape(step.a.shape[::-1]).T)


@operator("signs of the weights on the way back", PULLBACK, "other weights", also=lowest)
def _(step):
    return pulled(step, np.sign(matrix(step)))


@operator("= for += in the loop over units above", PULLBACK, "other weights", "dead unit",
          "entries left out", also=lowest)
def _(step):
    w = np.zeros_like(matrix(step))
    w[-1] = matrix(step)[-1]
    return pulled(step, w)


@operator("variance to the power -1/2 in its own slope", PULLBACK, "wrong statistics",
          "share weighted", also=lowest)
def _(step):
    v, x_hat, spread = inside_norm(step)
    inside = v - v.mean(axis=1, keepdims=True)
    of_variance = spread * x_hat * (v * x_hat).mean(axis=1, keepdims=True)
    return (inside / spread - of_variance) * slope_of(step)


@operator("gain multiplied with twice", PULLBACK, "other weights", also=lowest)
def _(step):
    return pulled(step, through(step, "layer_norm")[1]["gain"] ** 2)


@operator("norm's inner means without the gain", PULLBACK, "wrong statistics", also=lowest)
def _(step):
    v, x_hat, spread = inside_norm(step)
    delta = step.above()[3]
    means = delta.mean(axis=1, keepdims=True) + x_hat * (delta * x_hat).mean(axis=1, keepdims=True)
    return (v - means) / spread * slope_of(step)


@operator("spread with one degree of freedom less", PULLBACK, "wrong statistics", also=lowest)
def _(step):
    tape = through(step, "layer_norm")[2]
    spread = np.sqrt(tape.a.var(axis=1, ddof=1, keepdims=True) + 1e-5)
    return retaped(step, replace(tape, spread=spread, x_hat=tape.x_hat * tape.spread / spread))


@operator("winner is the piece of largest size", PULLBACK, "wrong piece", also=lowest)
def _(step):
    z = pieces(step)
    return shared(step, lambda _: winners(np.abs(z)))


@operator("delta shared out equally among the pieces", PULLBACK, "wrong piece", also=lowest)
def _(step):
    return shared(step, lambda share: np.full_like(share, 1 / share.shape[1]))


@operator("skip connection halved", PULLBACK, "skip connection weighted", also=lowest)
def _(step):
    skip, branch = paths(step)
    return (0.5 * skip + branch) * slope_of(step)
