"""Derivatives of activations by a wrong formula."""

import numpy as np

from experiments.mutants import passes
from experiments.mutants.making import curved, derived, slope_of, sloped, through_softmax, upstream
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.passes import FUNCTIONS, SLOPES, sigmoid, softmax
from experiments.mutants.places import DELTAS, HEAD, PULLBACK, lowest

FAMILY = Family("slopes")
operator = FAMILY.operator


for _name in ("sigmoid", "tanh", "relu"):
    @operator(f"derivative of {_name}", DELTAS, "another activation's derivative")
    def _(step, other=_name):
        only_if(step.activation != other)
        only_if(step.site == "pullback" or step.run.model.loss == "quadratic")
        return sloped(step, slope=SLOPES[other])


@operator("only the derivative", PULLBACK, "cotangent ignored")
def _(step):
    only_if(step.activation != "linear")
    return slope_of(step)


@operator("a (1 - a) whatever the unit", DELTAS, "another activation's derivative")
def _(step):
    derived(step)
    a = step.activated
    return upstream(step) * a * (1 - a)


@operator("1 - a^2 whatever the unit", DELTAS, "another activation's derivative")
def _(step):
    derived(step)
    return upstream(step) * (1 - step.activated ** 2)


@operator("leak of 0.01", PULLBACK, "another activation's derivative")
def _(step):
    only_if(step.activation == "relu")
    return step.cotangent * np.where(step.z > 0, 1, 0.01).astype(step.z.dtype)


@operator("activation for its derivative", DELTAS, "activation for derivative",
          "another activation's derivative")
def _(step):
    derived(step)
    return upstream(step) * step.activated


@operator("flat spots lifted by 0.1", DELTAS, "offset", "another activation's derivative")
def _(step):
    derived(step)
    return upstream(step) * (slope_of(step) + 0.1)


@operator("formula for a given z", DELTAS, "pre-activation for activation",
          "another activation's derivative", also=lowest)
def _(step):
    derived(step)
    only_if(step.activation in ("sigmoid", "tanh"))
    z = step.z
    return upstream(step) * (z * (1 - z) if step.activation == "sigmoid" else 1 - z ** 2)


@operator("1 - a and nothing more", DELTAS, "another activation's derivative", also=lowest)
def _(step):
    derived(step)
    only_if(step.activation in ("sigmoid", "tanh"))
    return upstream(step) * (1 - step.activated)


@operator("plus for minus in 1 - a^2", PULLBACK, "another activation's derivative",
          "other derivative", also=lowest)
def _(step):
    only_if(step.activation == "tanh")
    return step.cotangent * (1 + step.activated ** 2)


@operator("sign of z as a step", PULLBACK, "another activation's derivative", "other derivative",
          also=lowest)
def _(step):
    only_if(step.activation == "relu")
    return step.cotangent * np.sign(step.z)


@operator("mask of the inactive units", PULLBACK, "another activation's derivative",
          "derivative elsewhere", "other derivative", also=lowest)
def _(step):
    only_if(step.activation == "relu")
    return step.cotangent * (step.z <= 0)


@operator("mask taken from what comes back", PULLBACK, "rectified", "missing derivative",
          "derivative elsewhere", also=lowest)
def _(step):
    only_if(step.activation == "relu")
    return step.cotangent * (step.cotangent > 0)


@operator("smooth step for a sharp one", PULLBACK, "another activation's derivative", also=lowest)
def _(step):
    only_if(step.activation == "relu")
    return step.cotangent * sigmoid(step.z)


@operator("straight lines for the curve", PULLBACK, "another activation's derivative",
          "other derivative", also=lowest)
def _(step):
    only_if(step.activation in ("sigmoid", "tanh"))
    height, reach = (1, 1) if step.activation == "tanh" else (0.2, 2.5)
    return step.cotangent * height * (np.abs(step.z) < reach)


@operator("derivative by a coarse difference", DELTAS, "derivative elsewhere",
          "another activation's derivative", also=lowest)
def _(step):
    derived(step)
    sigma = FUNCTIONS[step.activation]
    return upstream(step) * (sigma(step.z + 0.01) - sigma(step.z)) / 0.01


@operator("derivative from a table", PULLBACK, "derivative elsewhere", "rounded",
          "other derivative", also=lowest)
def _(step):
    return sloped(step, z=np.round(step.z, 1))


@operator("softmax's derivative at sigmoid units", HEAD, "another activation's derivative")
def _(step):
    only_if(step.activation == "sigmoid")
    a = step.activated
    return through_softmax(a, passes.loss_slope(step.run.model.loss, a, step.run.Y))


@operator("square outside the brackets", PULLBACK, "other derivative",
          "another activation's derivative", also=lowest)
def _(step):
    _, a = curved(step, "tanh")
    return step.cotangent * (1 - a) ** 2


@operator("a (1 - z)", DELTAS, "pre-activation for activation", "other derivative",
          "another activation's derivative", "another loss", also=lowest)
def _(step):
    z, a = curved(step, "sigmoid")
    return upstream(step) * a * (1 - z)


@operator("minus forgotten in the exponent", DELTAS, "other derivative",
          "another activation's derivative", "another loss", also=lowest)
def _(step):
    z, a = curved(step, "sigmoid")
    return upstream(step) * np.exp(z) * a ** 2


@operator("exponential tail of another unit", PULLBACK, "another activation's derivative",
          also=lowest)
def _(step):
    z, _ = curved(step, "relu")
    return step.cotangent * np.exp(np.minimum(z, 0))


@operator("softmax's derivative in a hidden layer", PULLBACK, "another activation's derivative",
          also=lowest)
def _(step):
    derived(step)
    a, c = softmax(step.z), step.cotangent
    return a * (c - (a * c).sum(axis=1, keepdims=True))
