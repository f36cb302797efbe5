"""Derivatives of activations at a wrong place, left out, or multiplied with twice."""

import numpy as np

from experiments.mutants import passes
from experiments.mutants.making import (
    before_derivative,
    below,
    derived,
    plain,
    remade,
    returned,
    slope_of,
    sloped,
    through,
    upstream,
)
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.passes import FUNCTIONS, SLOPES
from experiments.mutants.places import DELTAS, HEAD, LEAVES, PULLBACK, lowest

FAMILY = Family("slopes")
operator = FAMILY.operator


@operator("missing derivative", DELTAS, "missing derivative")
def _(step):
    only_if(step.site == "pullback" or step.run.model.loss == "quadratic")
    return upstream(step)


@operator("doubled derivative", DELTAS, "doubled derivative")
def _(step):
    if step.activation == "softmax":
        a = step.activated
        return a * (step.right - (a * step.right).sum(axis=1, keepdims=True))
    return step.right * slope_of(step)


@operator("derivative at a", DELTAS, "derivative at a")
def _(step):
    return sloped(step, z=step.activated)


@operator("derivative of another example", PULLBACK, "shuffled examples")
def _(step):
    return sloped(step, z=np.roll(step.z, 1, axis=0))


@operator("derivative without the bias", PULLBACK, "derivative elsewhere")
def _(step):
    p = step.run.params[step.layer]
    only_if(isinstance(p, dict) and "w" in p and p["w"].ndim == 2)
    return step.cotangent * SLOPES[step.activation](step.z - p["b"])


@operator("derivative of the layer above", PULLBACK, "derivative elsewhere")
def _(step):
    spec, _, tape, _ = step.above()
    only_if(spec.activation == step.activation and tape.z.shape == step.z.shape)
    return step.cotangent * SLOPES[step.activation](tape.z)


@operator("mean derivative of the batch", PULLBACK, "averaged too early")
def _(step):
    return step.cotangent * slope_of(step).mean(axis=0)


@operator("slope of the loss at its logits", HEAD, "missing derivative")
def _(step):
    only_if(step.run.model.loss == "binary_cross_entropy")
    a, Y = step.activated, step.run.Y
    return (1 - Y) / (1 - a) - Y / a


@operator("derivative at the layer's own input", DELTAS, "derivative elsewhere", also=lowest)
def _(step):
    derived(step)
    a = step.run.tapes[step.layer].a
    only_if(a.shape == step.z.shape)
    return sloped(step, z=a)


@operator("derivative at the mean z", PULLBACK, "averaged too early", "derivative elsewhere",
          also=lowest)
def _(step):
    return sloped(step, z=np.broadcast_to(step.z.mean(axis=0), step.z.shape))


@operator("z left over from the last example", PULLBACK, "shuffled examples",
          "derivative elsewhere", also=lowest)
def _(step):
    return sloped(step, z=np.broadcast_to(step.z[-1], step.z.shape))


@operator("leaf made before the derivative", LEAVES, "missing derivative")
def _(step):
    return remade(step, delta=before_derivative(step))


@operator("leaf with the derivative once more", LEAVES, "doubled derivative")
def _(step):
    plain(step)
    only_if(step.activation != "softmax")
    return remade(step, delta=step.delta * slope_of(step))


@operator("slope for a passed down, not for z", PULLBACK, "missing derivative", "other delta",
          "another loss", also=lowest)
def _(step):
    spec, _, tape, _ = through(step, "dense")
    run, l = step.run, step.layer + 1
    only_if(spec.activation != "linear")
    if l == run.model.last:
        a = FUNCTIONS[spec.activation](tape.z)
        return returned(step, passes.loss_slope(run.model.loss, a, run.Y))
    higher = run.model.specs[l + 1], run.params[l + 1], run.tapes[l + 1], run.deltas[l + 1]
    return returned(step, passes.pull(*higher))


@operator("derivative one layer late", PULLBACK, "missing derivative", "doubled derivative",
          "derivative elsewhere", also=lowest)
def _(step):
    spec, p, tape, delta = through(step, "dense")
    only_if(spec.activation in ("sigmoid", "tanh") and step.activation != "linear")
    return passes.pull(spec, p, tape, delta * SLOPES[spec.activation](tape.z))


@operator("derivative of the layer below", PULLBACK, "derivative elsewhere", also=lowest)
def _(step):
    derived(step)
    only_if(step.layer > 0 and step.run.tapes[step.layer - 1].z.shape == step.z.shape)
    return sloped(step, z=step.run.tapes[step.layer - 1].z)


@operator("derivative of the first unit for all", DELTAS, "derivative elsewhere",
          "other derivative", also=lowest)
def _(step):
    derived(step)
    return sloped(step, z=np.broadcast_to(step.z[:, :1], step.z.shape))


@operator("leaf with the derivative at a", LEAVES, "derivative at a", "other delta")
def _(step):
    return remade(step, delta=before_derivative(step) * SLOPES[step.activation](step.activated))


@operator("leaf with the derivative one layer down", LEAVES, "derivative elsewhere", "other delta")
def _(step):
    z = below(step).z
    only_if(z.shape == step.z.shape)
    return remade(step, delta=before_derivative(step) * SLOPES[step.activation](z))
