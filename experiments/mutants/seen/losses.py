"""The slope of something else than the loss."""

import numpy as np

from experiments.mutants import passes
from experiments.mutants.making import (
    again,
    classes,
    errors,
    regression,
    slope_of,
    through_softmax,
    yes_or_no,
)
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.passes import SLOPES, sigmoid
from experiments.mutants.places import HEAD

FAMILY = Family("anything else")
operator = FAMILY.operator


@operator("mean of absolute errors", HEAD, "another loss")
def _(step):
    only_if(step.run.model.loss == "quadratic")
    return np.sign(step.activated - step.run.Y) * slope_of(step) / step.right.shape[1]


@operator("squared error of the outputs", HEAD, "another loss", "factor")
def _(step):
    a, residual = step.activated, step.activated - step.run.Y
    if step.activation == "softmax":
        return a * (residual - (a * residual).sum(axis=1, keepdims=True))
    return 2 * residual * slope_of(step)


@operator("cross-entropy of the outputs", HEAD, "another loss")
def _(step):
    only_if(step.activation == "sigmoid" and step.run.model.loss == "quadratic")
    return sigmoid(step.z) - step.run.Y


@operator("decision instead of probability", HEAD, "another loss")
def _(step):
    classes(step)
    a = step.activated
    return np.eye(a.shape[1], dtype=a.dtype)[a.argmax(axis=1)] - step.run.Y


@operator("hinge on the margins", HEAD, "another loss")
def _(step):
    classes(step)
    z, Y = step.z, step.run.Y
    broken = ((z - (z * Y).sum(axis=1, keepdims=True) + 1 > 0) & (Y == 0)).astype(z.dtype)
    return broken - Y * broken.sum(axis=1, keepdims=True)


@operator("error clipped as Huber does", HEAD, "another loss", "clipped")
def _(step):
    error, slope = errors(step)
    return np.clip(error, -0.3, 0.3) * slope


@operator("error squared and not derived", HEAD, "loss for derivative")
def _(step):
    error, slope = errors(step)
    return error ** 2 * slope


@operator("term of the negatives forgotten", HEAD, "another loss")
def _(step):
    only_if(step.run.model.loss == "binary_cross_entropy")
    return -step.run.Y * (1 - step.activated)


@operator("positives weigh three times", HEAD, "another loss")
def _(step):
    only_if(step.run.model.loss == "binary_cross_entropy")
    return step.right * (1 + 2 * step.run.Y)


@operator("scores compared with the targets", HEAD, "pre-activation for activation", "another loss")
def _(step):
    return step.z - step.run.Y


@operator("one error shared by the outputs", HEAD, "another loss", "wrong axis")
def _(step):
    error, slope = errors(step)
    return error.sum(axis=1, keepdims=True) * slope


@operator("cost's terms in place of its slope", HEAD, "loss for derivative")
def _(step):
    classes(step)
    return -step.run.Y * np.log(step.activated)


@operator("cost's two arguments exchanged", HEAD, "another loss", "examples weighted")
def _(step):
    a, Y = step.activated, np.clip(step.run.Y, 1e-6, 1 - 1e-6)
    if step.run.model.loss == "binary_cross_entropy":
        return (np.log(1 - Y) - np.log(Y)) * a * (1 - a)
    classes(step)
    return through_softmax(a, -np.log(Y))


@operator("negatives' term with the wrong sign", HEAD, "another loss", "rectified")
def _(step):
    a, Y = yes_or_no(step)
    return -Y * (1 - a) - (1 - Y) * a


@operator("brackets left out round the error", HEAD, "another loss")
def _(step):
    a, Y = step.activated, step.run.Y
    if step.run.model.loss == "binary_cross_entropy":
        return (1 - Y) / (1 - a) - Y / a * a * (1 - a)
    regression(step, "sigmoid")
    return a - Y * SLOPES["sigmoid"](step.z)


@operator("brackets left out of a (1 - a)", HEAD, "another loss")
def _(step):
    a, Y = regression(step, "sigmoid")
    return (a - Y) * a * 1 - a


@operator("error written over the activation", HEAD, "derivative elsewhere", "another loss")
def _(step):
    a, Y = regression(step, "sigmoid")
    error = a - Y
    return error * error * (1 - error)


@operator("cost itself times the derivative", HEAD, "unexplained", "examples weighted",
          "loss for derivative")
def _(step):
    a, Y = regression(step, "sigmoid", "linear")
    return passes.cost("quadratic", a, Y) * slope_of(step)


@operator("outputs made again without the bias", HEAD, "derivative elsewhere", "another loss",
          "wrong target", "term added")
def _(step):
    return again(step, z=step.z - step.run.params[step.layer]["b"])


@operator("errors handed to the next example", HEAD, "shuffled examples", "swapped entries")
def _(step):
    return np.roll(step.right, 1, axis=0)
