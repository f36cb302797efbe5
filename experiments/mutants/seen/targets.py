"""The right slope of the loss at wrong targets."""

import numpy as np

from experiments.mutants import passes
from experiments.mutants.making import again, classes, errors, remade
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.passes import sigmoid
from experiments.mutants.places import HEAD, LEAVES, everywhere
from experiments.mutants.reference import Step

FAMILY = Family("wrong targets")
operator = FAMILY.operator


def subtracted(step: Step):
    """The targets, where they are taken off the outputs to make this layer's δ."""
    model = step.run.model
    fused = step.activation in ("softmax", "linear") or model.loss == "binary_cross_entropy"
    only_if(step.layer == model.last and fused)
    return step.run.Y


@operator("target ignored", HEAD, "target ignored")
def _(step):
    return passes.head(step.run.model, step.z, step.activated, np.zeros_like(step.run.Y))


@operator("targets of the previous example", HEAD, "shuffled examples")
def _(step):
    return passes.head(step.run.model, step.z, step.activated, np.roll(step.run.Y, 1, axis=0))


@operator("smoothed labels", HEAD, "wrong target", "another loss")
def _(step):
    only_if(step.run.model.loss == "cross_entropy")
    return step.activated - 0.9 * step.run.Y - 0.1 / step.z.shape[1]


@operator("class off by one", HEAD, "wrong target")
def _(step):
    return passes.head(step.run.model, step.z, step.activated, np.roll(step.run.Y, 1, axis=1))


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
    return again(step, Y=2 * step.run.Y - 1)


@operator("target read once for the batch", HEAD, "wrong target", "shuffled examples")
def _(step):
    return again(step, Y=np.broadcast_to(step.run.Y[:1], step.run.Y.shape))


@operator("targets centred by their mean", HEAD, "wrong target")
def _(step):
    errors(step)
    return again(step, Y=step.run.Y - step.run.Y.mean())


@operator("targets thresholded at a half", HEAD, "wrong target")
def _(step):
    errors(step)
    return again(step, Y=(step.run.Y > 0.5).astype(step.z.dtype))


@operator("targets squashed as well", HEAD, "wrong target")
def _(step):
    errors(step)
    return again(step, Y=sigmoid(step.run.Y))


@operator("label's number for its one-hot row", HEAD, "wrong target", "another loss")
def _(step):
    a, Y = classes(step)
    return a - Y.argmax(axis=1)[:, None].astype(a.dtype)


@operator("yes and no exchanged in the targets", HEAD, "wrong target", "another loss")
def _(step):
    only_if(step.run.model.loss != "cross_entropy")
    return again(step, Y=1 - step.run.Y)


@operator("target added, not taken off", HEAD, "wrong target", "another loss")
def _(step):
    return again(step, Y=-step.run.Y)


@operator("first output's target for all outputs", HEAD, "wrong target", "another loss")
def _(step):
    return again(step, Y=np.broadcast_to(step.run.Y[:, :1], step.run.Y.shape))


@operator("own decision taken for the target", HEAD, "wrong target", "target ignored",
          "another loss")
def _(step):
    a = step.activated
    if step.run.model.loss == "binary_cross_entropy":
        return a - (a > 0.5).astype(a.dtype)
    classes(step)
    return a - np.eye(a.shape[1], dtype=a.dtype)[a.argmax(axis=1)]


@operator("labels mixed up and inputs not", HEAD, "wrong target", "shuffled examples")
def _(step):
    Y = step.run.Y
    return again(step, Y=0.7 * Y + 0.3 * np.roll(Y, 1, axis=0))


@operator("first class taken for padding", HEAD, "examples left out", "examples weighted",
          "another loss", "entries left out", also=everywhere)
def _(step):
    _, Y = classes(step)
    return step.right * (1 - Y[:, :1])


@operator("target of repeated label taken off once", LEAVES, "wrong target", "target ignored",
          "other delta")
def _(step):
    Y = subtracted(step)
    only_if(step.activation == "softmax")
    later = np.cumsum(Y[::-1], axis=0)[::-1] - Y
    return remade(step, delta=step.delta + Y * (later > 0))


@operator("target taken off twice in place", LEAVES, "wrong target", "other delta")
def _(step):
    return remade(step, delta=step.delta - subtracted(step))
