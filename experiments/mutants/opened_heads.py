"""Mistakes at the head that were held back once: what they taught is in the code that names causes."""

import numpy as np

from experiments.mutants import reference
from experiments.mutants.making import FOUND, everywhere, operator
from experiments.mutants.mutant import Step, only_if
from experiments.mutants.reference import SLOPES, sigmoid, softmax

FIRST = len(FOUND)
HEAD = ("head",)


def classes(step: Step) -> None:
    """Where the outputs are the probabilities of classes, and the targets one of them each."""
    only_if(step.run.model.loss == "cross_entropy" and step.activation == "softmax")


def regression(step: Step):
    """The errors a − y and the derivative, where the loss is quadratic."""
    only_if(step.run.model.loss == "quadratic" and step.activation != "softmax")
    return step.activated - step.run.Y, SLOPES[step.activation](step.z)


def against(step: Step, Y):
    """δ with other targets."""
    return reference.head(step.run.model, step.z, step.activated, Y)


def through_softmax(a, slope):
    """∂L/∂z out of ∂L/∂a."""
    return a * (slope - (a * slope).sum(axis=1, keepdims=True))


@operator("one taken off every label's column", HEAD, "wrong target")
def _(step):
    classes(step)
    return step.activated - step.run.Y.max(axis=0)


@operator("loop over labels ends early", HEAD, "wrong target", "target ignored")
def _(step):
    classes(step)
    Y = step.run.Y.copy()
    Y[-1] = 0
    return step.activated - Y


@operator("labels of plus and minus one", HEAD, "wrong target")
def _(step):
    only_if(step.run.model.loss != "quadratic")
    return against(step, 2 * step.run.Y - 1)


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
    error, slope = regression(step)
    return np.clip(error, -0.3, 0.3) * slope


@operator("root of the mean squared error", HEAD, "another loss", "factor", "examples weighted", "normalised", also=everywhere)
def _(step):
    error, _ = regression(step)
    return step.right / (2 * np.sqrt((error ** 2).sum() / 2 / len(error)))


@operator("error squared and not derived", HEAD, "loss for derivative")
def _(step):
    error, slope = regression(step)
    return error ** 2 * slope


@operator("logarithm guarded by an epsilon", HEAD, "another loss", "examples weighted", also=everywhere)
def _(step):
    classes(step)
    chosen = (step.activated * step.run.Y).sum(axis=1, keepdims=True)
    return step.right * (chosen / (chosen + 1e-6))


@operator("classes balanced by their frequency", HEAD, "another loss", "examples weighted", also=everywhere)
def _(step):
    classes(step)
    Y = step.run.Y
    often = (Y @ Y.sum(axis=0))[:, None]
    return step.right * (len(Y) / (Y.shape[1] * often))


@operator("term of the negatives forgotten", HEAD, "another loss")
def _(step):
    only_if(step.run.model.loss == "binary_cross_entropy")
    return -step.run.Y * (1 - step.activated)


@operator("positives weigh three times", HEAD, "another loss")
def _(step):
    only_if(step.run.model.loss == "binary_cross_entropy")
    return step.right * (1 + 2 * step.run.Y)


@operator("temperature left in the softmax", HEAD, "another loss")
def _(step):
    classes(step)
    return softmax(step.z / 2) - step.run.Y


@operator("scores compared with the targets", HEAD, "pre-activation for activation", "another loss")
def _(step):
    return step.z - step.run.Y


@operator("learns from misclassified only", HEAD, "examples left out", "another loss", also=everywhere)
def _(step):
    classes(step)
    return step.right * (step.activated.argmax(axis=1) != step.run.Y.argmax(axis=1))[:, None]


@operator("error averaged before going back", HEAD, "averaged too early")
def _(step):
    return np.broadcast_to(step.right.mean(axis=0), step.right.shape).copy()


@operator("one error shared by the outputs", HEAD, "another loss", "wrong axis")
def _(step):
    error, slope = regression(step)
    return error.sum(axis=1, keepdims=True) * slope


@operator("softmax normalised down the batch", HEAD, "wrong axis")
def _(step):
    classes(step)
    return softmax(step.z.T).T - step.run.Y


@operator("target read once for the batch", HEAD, "wrong target", "shuffled examples")
def _(step):
    return against(step, np.broadcast_to(step.run.Y[:1], step.run.Y.shape))


@operator("targets centred by their mean", HEAD, "wrong target")
def _(step):
    regression(step)
    return against(step, step.run.Y - step.run.Y.mean())


@operator("targets thresholded at a half", HEAD, "wrong target")
def _(step):
    regression(step)
    return against(step, (step.run.Y > 0.5).astype(step.z.dtype))


@operator("targets squashed as well", HEAD, "wrong target")
def _(step):
    regression(step)
    return against(step, sigmoid(step.run.Y))


@operator("loss on logits given probabilities", HEAD, "activation twice", "another loss")
def _(step):
    a, Y = step.activated, step.run.Y
    if step.run.model.loss == "binary_cross_entropy":
        return (sigmoid(a) - Y) * a * (1 - a)
    classes(step)
    return through_softmax(a, softmax(a) - Y)


@operator("bonus for the entropy kept", HEAD, "penalty added", "another loss")
def _(step):
    classes(step)
    a = step.activated
    return step.right + 0.1 * through_softmax(a, np.log(a))


@operator("cost's terms in place of its slope", HEAD, "loss for derivative")
def _(step):
    classes(step)
    return -step.run.Y * np.log(step.activated)


@operator("slope of the loss at its logits", HEAD, "missing derivative")
def _(step):
    only_if(step.run.model.loss == "binary_cross_entropy")
    a, Y = step.activated, step.run.Y
    return (1 - Y) / (1 - a) - Y / a


HEADS = tuple(FOUND[FIRST:])
"""Every operator of this file."""
