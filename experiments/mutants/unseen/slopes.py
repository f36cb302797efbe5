"""Wrong derivatives of activations."""

import numpy as np

from experiments.mutants.making import curved, derived, slope_of, sloped, upstream
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.passes import sigmoid
from experiments.mutants.places import DELTAS, PULLBACK, lowest

FAMILY = Family("slopes", unseen=True)
operator = FAMILY.operator


@operator("tanh made of sigmoids, its argument not doubled", PULLBACK, "derivative elsewhere",
          "another activation's derivative", "other derivative", also=lowest)
def _(step):
    z, _ = curved(step, "tanh")
    return step.cotangent * 4 * sigmoid(z) * (1 - sigmoid(z))


@operator("square forgotten in 1 / cosh^2", PULLBACK, "other derivative", also=lowest)
def _(step):
    z, _ = curved(step, "tanh")
    return step.cotangent / np.cosh(z)


@operator("square put on the exponential, not the sum", DELTAS, "other derivative", "another loss",
          also=lowest)
def _(step):
    z, _ = curved(step, "sigmoid")
    return upstream(step) * np.exp(-z) / (1 + np.exp(-z) ** 2)


@operator("slope of the scaled tanh 1.7159 tanh(2z/3)", PULLBACK, "other derivative", also=lowest)
def _(step):
    _, a = curved(step, "tanh")
    return step.cotangent * (2 / 3 / 1.7159) * (1.7159**2 - a**2)


@operator("1 / (1 + z^2), an arctangent's", PULLBACK, "another activation's derivative",
          "other derivative", also=lowest)
def _(step):
    z, _ = curved(step, "tanh")
    return step.cotangent / (1 + z**2)


@operator("leak assigned where it should multiply", PULLBACK, "term added", also=lowest)
def _(step):
    z, _ = curved(step, "relu")
    return np.where(z > 0, step.cotangent, np.full_like(z, 0.01))


@operator("ramp from 0 to 1 for the step", PULLBACK, "other derivative", also=lowest)
def _(step):
    z, _ = curved(step, "relu")
    return step.cotangent * np.clip(z, 0, 1)


@operator("mask of a > 0.5 for a > 0", PULLBACK, "derivative elsewhere", "other derivative",
          "another activation's derivative", "entries left out", also=lowest)
def _(step):
    z, _ = curved(step, "relu")
    return step.cotangent * (z > 0.5)


@operator("SiLU's slope kept when the activation changed", PULLBACK,
          "another activation's derivative", also=lowest)
def _(step):
    z, _ = curved(step, "relu", "tanh", "sigmoid")
    return step.cotangent * sigmoid(z) * (1 + z * sigmoid(-z))


@operator("inner product where entries are multiplied", DELTAS, "wrong product", "wrong axis",
          also=lowest)
def _(step):
    derived(step)
    inner = (upstream(step) * slope_of(step)).sum(axis=1, keepdims=True)
    return np.broadcast_to(inner, step.z.shape).copy()


@operator("outer product a (1 - a)^T for its diagonal", DELTAS, "wrong product", "other derivative",
          also=lowest)
def _(step):
    _, a = curved(step, "sigmoid")
    return (upstream(step) * a).sum(axis=1, keepdims=True) * (1 - a)


@operator("1 - 2a: a (1 - a) derived once more by a", DELTAS, "other derivative", "another loss",
          also=lowest)
def _(step):
    _, a = curved(step, "sigmoid")
    return upstream(step) * (1 - 2 * a)


@operator("second derivative for the first", DELTAS, "other derivative", "another loss",
          also=lowest)
def _(step):
    _, a = curved(step, "sigmoid", "tanh")
    second = a * (1 - a) * (1 - 2 * a) if step.activation == "sigmoid" else -2 * a * (1 - a**2)
    return upstream(step) * second


@operator("one variable z, so the last hidden layer's", PULLBACK, "derivative elsewhere",
          also=lowest)
def _(step):
    derived(step)
    z = step.run.tapes[-2].z
    only_if(step.layer < step.run.model.last - 1 and z.shape == step.z.shape)
    return sloped(step, z=z)


@operator("slope averaged over the layer's units", PULLBACK, "other derivative", also=lowest)
def _(step):
    derived(step)
    return step.cotangent * slope_of(step).mean(axis=1, keepdims=True)
