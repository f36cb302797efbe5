"""Layer norms with other statistics."""

from dataclasses import replace

import numpy as np

from experiments.mutants.making import (
    inside_norm,
    normalised,
    pulled,
    remade,
    retaped,
    slope_of,
    through,
)
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.places import LEAVES, PULLBACK, WEIGHT, lowest

FAMILY = Family("anything else")
operator = FAMILY.operator


@operator("gain from the unnormalised input", WEIGHT, "pre-activation for activation")
def _(step):
    only_if(step.spec.kind == "layer_norm")
    return remade(step, a=step.run.tapes[step.layer].a)


@operator("statistics held constant", PULLBACK, "statistics held constant")
def _(step):
    spec, p, tape, delta = step.above()
    only_if(spec.kind == "layer_norm")
    return p["gain"] * delta / tape.spread * slope_of(step)


@operator("variance for standard deviation", PULLBACK, "wrong statistics")
def _(step):
    tape = through(step, "layer_norm")[2]
    return retaped(step, replace(tape, spread=tape.spread ** 2))


@operator("mean not differentiated", PULLBACK, "statistics held constant", also=lowest)
def _(step):
    v, x_hat, spread = inside_norm(step)
    return (v - x_hat * (v * x_hat).mean(axis=1, keepdims=True)) / spread * slope_of(step)


@operator("spread not differentiated", PULLBACK, "statistics held constant", also=lowest)
def _(step):
    v, _, spread = inside_norm(step)
    return (v - v.mean(axis=1, keepdims=True)) / spread * slope_of(step)


@operator("spread's own term added", PULLBACK, "wrong statistics", also=lowest)
def _(step):
    v, x_hat, spread = inside_norm(step)
    own = x_hat * (v * x_hat).mean(axis=1, keepdims=True)
    return (v - v.mean(axis=1, keepdims=True) + own) / spread * slope_of(step)


@operator("sums over units for means", PULLBACK, "wrong statistics", also=lowest)
def _(step):
    v, x_hat, spread = inside_norm(step)
    own = x_hat * (v * x_hat).sum(axis=1, keepdims=True)
    return (v - v.sum(axis=1, keepdims=True) - own) / spread * slope_of(step)


@operator("means down the batch in a layer norm", PULLBACK, "wrong axis", also=lowest)
def _(step):
    v, x_hat, spread = inside_norm(step)
    return (v - v.mean(axis=0) - x_hat * (v * x_hat).mean(axis=0)) / spread * slope_of(step)


@operator("not divided by the spread", PULLBACK, "wrong statistics", also=lowest)
def _(step):
    tape = through(step, "layer_norm")[2]
    return retaped(step, replace(tape, spread=np.ones_like(tape.spread)))


@operator("spread of another example", PULLBACK, "wrong statistics", "shuffled examples",
          "examples weighted", also=lowest)
def _(step):
    tape = through(step, "layer_norm")[2]
    return retaped(step, replace(tape, spread=np.roll(tape.spread, 1, axis=0)))


@operator("gain left out on the way", PULLBACK, "weights forgotten", "other weights", also=lowest)
def _(step):
    return pulled(step, np.ones_like(through(step, "layer_norm")[1]["gain"]))


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
    spread = np.sqrt(a.var(axis=1, ddof=1, keepdims=True) + 1e-5)
    return remade(step, a=(a - a.mean(axis=1, keepdims=True)) / spread)


@operator("gain from the layer's own output", WEIGHT, "pre-activation for activation",
          "another layer's activation")
def _(step):
    normalised(step)
    return remade(step, a=step.z)


@operator("formula of a norm that does not centre", PULLBACK, "statistics held constant",
          "wrong statistics", also=lowest)
def _(step):
    v, _, _ = inside_norm(step)
    a = step.above()[2].a
    spread = np.sqrt((a ** 2).mean(axis=1, keepdims=True) + 1e-5)
    return (v - a / spread * (v * a / spread).mean(axis=1, keepdims=True)) / spread * slope_of(step)


@operator("epsilon of another framework", PULLBACK, "wrong statistics", also=lowest)
def _(step):
    tape = through(step, "layer_norm")[2]
    spread = np.sqrt(tape.a.var(axis=1, keepdims=True) + 1e-3)
    tape = replace(tape, x_hat=tape.x_hat * tape.spread / spread, spread=spread)
    return retaped(step, tape)


@operator("gain multiplied with at the end", PULLBACK, "wrong statistics", also=lowest)
def _(step):
    gain = through(step, "layer_norm")[1]["gain"]
    return pulled(step, np.ones_like(gain)) * gain


@operator("norm's output for what it normalised", PULLBACK, "wrong statistics", also=lowest)
def _(step):
    tape = through(step, "layer_norm")[2]
    return retaped(step, replace(tape, x_hat=tape.z))


@operator("gain with the variance as the spread", WEIGHT, "wrong statistics", "examples weighted",
          "other activation")
def _(step):
    normalised(step)
    return remade(step, a=step.a / step.run.tapes[step.layer].spread)


@operator("gain from the input over its length", WEIGHT, "wrong statistics", "other activation",
          "normalised")
def _(step):
    a = normalised(step)
    return remade(step, a=a / np.sqrt((a ** 2).mean(axis=1, keepdims=True) + 1e-5))


@operator("gain with epsilon outside the root", WEIGHT, "wrong statistics", "examples weighted",
          "other activation")
def _(step):
    a = normalised(step)
    spread = a.std(axis=1, keepdims=True) + 1e-5
    return remade(step, a=(a - a.mean(axis=1, keepdims=True)) / spread)


@operator("delta times the gain in place before", LEAVES, "factor", "other delta", "wrong product",
          "other activation")
def _(step):
    normalised(step)
    return remade(step, delta=step.delta * step.run.params[step.layer]["gain"])
