"""Wrong derivatives of softmax, and of cross-entropy with it."""

import numpy as np

from experiments.mutants import passes
from experiments.mutants.making import again, classes, through_softmax
from experiments.mutants.mutant import Family, only_if
from experiments.mutants.passes import sigmoid, softmax
from experiments.mutants.places import HEAD, everywhere

FAMILY = Family("softmax's Jacobian")
operator = FAMILY.operator


@operator("a (1 - a) after cross-entropy", HEAD, "doubled derivative",
          "another activation's derivative", "another loss")
def _(step):
    only_if(step.activation == "softmax")
    return step.right * step.activated * (1 - step.activated)


@operator("softmax without its cross terms", HEAD, "cross terms forgotten",
          "another activation's derivative")
def _(step):
    only_if(step.activation == "softmax")
    return -step.run.Y * (1 - step.activated)


@operator("sigmoid for softmax", HEAD, "another loss", "another activation's derivative")
def _(step):
    only_if(step.activation == "softmax")
    return sigmoid(step.z) - step.run.Y


@operator("softmax twice", HEAD, "activation twice")
def _(step):
    only_if(step.activation == "softmax")
    return softmax(step.activated) - step.run.Y


@operator("logarithm guarded by an epsilon", HEAD, "another loss", "examples weighted",
          also=everywhere)
def _(step):
    classes(step)
    chosen = (step.activated * step.run.Y).sum(axis=1, keepdims=True)
    return step.right * (chosen / (chosen + 1e-6))


@operator("temperature left in the softmax", HEAD, "another loss")
def _(step):
    classes(step)
    return softmax(step.z / 2) - step.run.Y


@operator("softmax normalised down the batch", HEAD, "wrong axis")
def _(step):
    classes(step)
    return softmax(step.z.T).T - step.run.Y


@operator("loss on logits given probabilities", HEAD, "activation twice", "another loss")
def _(step):
    a, Y = step.activated, step.run.Y
    if step.run.model.loss == "binary_cross_entropy":
        return (sigmoid(a) - Y) * a * (1 - a)
    classes(step)
    return through_softmax(a, softmax(a) - Y)


@operator("=- 1 where -= 1 was meant", HEAD, "unexplained")
def _(step):
    a, Y = classes(step)
    return np.where(Y == 1, -np.ones_like(a), a)


@operator("softmax over the whole array", HEAD, "wrong axis", "another loss")
def _(step):
    _, Y = classes(step)
    e = np.exp(step.z - step.z.max())
    return e / e.sum() - Y


@operator("largest logit sought down the batch", HEAD, "wrong axis", "derivative elsewhere")
def _(step):
    _, Y = classes(step)
    return softmax(step.z - step.z.max(axis=0)) - Y


@operator("logits shifted in the numerator only", HEAD, "unexplained")
def _(step):
    _, Y = classes(step)
    z = step.z
    return np.exp(z - z.max(axis=1, keepdims=True)) / np.exp(z).sum(axis=1, keepdims=True) - Y


@operator("exponentials not normalised", HEAD, "another loss")
def _(step):
    _, Y = classes(step)
    return np.exp(step.z) - Y


@operator("exponential with the other sign", HEAD, "another loss", "derivative elsewhere")
def _(step):
    only_if(step.activation in ("sigmoid", "softmax"))
    return again(step, z=-step.z)


@operator("binary cross-entropy of a softmax", HEAD, "another loss")
def _(step):
    a, Y = classes(step)
    return through_softmax(a, passes.loss_slope("binary_cross_entropy", a, Y))


@operator("softmax's cross terms with a plus", HEAD, "rectified", "other derivative")
def _(step):
    a, Y = classes(step)
    return -Y * (1 - a) - (1 - Y) * a
