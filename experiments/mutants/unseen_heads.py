"""Mistakes at the head that are held back: the code that names causes was written without them."""

from dataclasses import replace

import numpy as np

from experiments.mutants import reference
from experiments.mutants.further_together import (
    FINISHED,
    all_of,
    changed,
    here,
    own_leaves,
    weighed,
)
from experiments.mutants.making import FOUND, LEAVES, everywhere, operator
from experiments.mutants.mutant import Place, Step, Where, only_if
from experiments.mutants.reference import FUNCTIONS, SLOPES, softmax

FIRST = len(FOUND)
HEAD, BATCH, PENALTY, STRUCTURE = ("head",), ("batch",), ("penalty",), ("structure",)


def classes(step: Step):
    """The probabilities of classes and the targets, one of them each."""
    only_if(step.run.model.loss == "cross_entropy" and step.activation == "softmax")
    return step.activated, step.run.Y


def yes_or_no(step: Step):
    """The outputs and targets of independent units that say yes or no."""
    only_if(step.run.model.loss == "binary_cross_entropy")
    return step.activated, step.run.Y


def regression(step: Step, *activations: str):
    """The outputs and targets, where the loss is quadratic and the units are of one of these kinds."""
    only_if(step.run.model.loss == "quadratic" and step.activation in activations)
    return step.activated, step.run.Y


def again(step: Step, z=None, Y=None):
    """δ again, with other z or other targets."""
    z = step.z if z is None else z
    return reference.head(step.run.model, z, FUNCTIONS[step.activation](z), step.run.Y if Y is None else Y)


def through_softmax(a, slope):
    """∂L/∂z out of ∂L/∂a."""
    return a * (slope - (a * slope).sum(axis=1, keepdims=True))


def chunks(each, size: int):
    """The examples in micro-batches."""
    return [each[start:start + size] for start in range(0, len(each), size)]


def parts(place: Place, last: int) -> tuple[Where, ...]:
    """What is done to the finished gradient with the parameters at hand a penalty might do, and so might every leaf."""
    layers = frozenset(("structure", l) for l in range(last + 1))
    return frozenset({("penalty", None)}), layers, frozenset({place}), *all_of(*LEAVES)(place, last)


@operator("label's number for its one-hot row", HEAD, "wrong target", "another loss")
def _(step):
    a, Y = classes(step)
    return a - Y.argmax(axis=1)[:, None].astype(a.dtype)


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
    return through_softmax(a, reference.loss_slope("binary_cross_entropy", a, Y))


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


@operator("softmax's cross terms with a plus", HEAD, "rectified", "other derivative")
def _(step):
    a, Y = classes(step)
    return -Y * (1 - a) - (1 - Y) * a


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


@operator("own decision taken for the target", HEAD, "wrong target", "target ignored", "another loss")
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


@operator("first class taken for padding", HEAD, "examples left out", "examples weighted", "another loss", "entries left out",
          also=everywhere)
def _(step):
    _, Y = classes(step)
    return step.right * (1 - Y[:, :1])


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


@operator("cost itself times the derivative", HEAD, "unexplained", "examples weighted", "loss for derivative")
def _(step):
    a, Y = regression(step, "sigmoid", "linear")
    return reference.cost("quadratic", a, Y) * SLOPES[step.activation](step.z)


@operator("softmax's derivative at sigmoid units", HEAD, "another activation's derivative")
def _(step):
    only_if(step.activation == "sigmoid")
    a = step.activated
    return through_softmax(a, reference.loss_slope(step.run.model.loss, a, step.run.Y))


@operator("outputs made again without the bias", HEAD, "derivative elsewhere", "another loss", "wrong target", "term added")
def _(step):
    return again(step, z=step.z - step.run.params[step.layer]["b"])


@operator("errors handed to the next example", HEAD, "shuffled examples", "swapped entries")
def _(step):
    return np.roll(step.right, 1, axis=0)


@operator("divided by B + 1", BATCH, "wrong divisor", also=weighed)
def _(step):
    return step.each.sum(axis=0) / (len(step.each) + 1)


@operator("mean of two devices' means", BATCH, "examples weighted", also=weighed)
def _(step):
    shares = [share for share in np.array_split(step.each, 2) if len(share)]
    return sum(share.mean(axis=0) for share in shares) / len(shares)


@operator("means of micro-batches added up", BATCH, "sum for mean", "wrong divisor", "examples weighted", also=weighed)
def _(step):
    return sum(chunk.mean(axis=0) for chunk in chunks(step.each, 2))


@operator("set to zero before each micro-batch", BATCH, "examples left out", "examples weighted", also=weighed)
def _(step):
    return chunks(step.each, 4)[-1].sum(axis=0) / len(step.each)


@operator("divided by the examples seen so far", BATCH, "examples weighted", "wrong divisor", also=weighed)
def _(step):
    counts = np.arange(1, len(step.each) + 1).astype(step.each.dtype)
    return np.einsum("b,b...->...", 1 / counts, step.each)


@operator("batch filled up with its own examples", BATCH, "examples weighted", also=weighed)
def _(step):
    full = -(-len(step.each) // 4) * 4
    return np.resize(step.each, (full, *step.each.shape[1:])).sum(axis=0) / full


@operator("weights summed, biases averaged", BATCH, "sum for mean", also=all_of("weight"))
def _(step):
    return step.each.sum(axis=0) if step.leaf == "w" else step.right


@operator("biases averaged a second time", BATCH, "divided twice", "mean for sum", also=all_of("bias"))
def _(step):
    return step.right / len(step.each) if step.leaf == "b" else step.right


@operator("batch taken to be the last axis", BATCH, "wrong axis", "swapped entries", also=all_of(*LEAVES))
def _(step):
    count, *shape = step.each.shape
    return step.each.reshape(*shape, count).sum(axis=-1) / count


@operator("contributions of zero not counted", BATCH, "wrong divisor", also=all_of(*LEAVES))
def _(step):
    counts = np.maximum(np.count_nonzero(step.each, axis=0), 1)
    return step.each.sum(axis=0) / counts.astype(step.each.dtype)


@operator("sum of the weights for each of them", PENALTY, "penalty added", "offset", "term added", also=all_of("weight"))
def _(step):
    return step.right + 0.01 * step.value.sum() if step.leaf == "w" else step.right


@operator("squares of the weights not derived", PENALTY, "penalty added", "offset", "term added", also=all_of("weight"))
def _(step):
    return step.right + 0.02 * step.value ** 2 if step.leaf == "w" else step.right


@operator("first column spared as if a bias's", PENALTY, "penalty added", "offset", "term added", also=all_of("weight"))
def _(step):
    if step.leaf != "w":
        return step.right
    w = step.value.copy()
    w[..., 0] = 0
    return step.right + 0.05 * w


@operator("layer skipped by the loop", STRUCTURE, "zero", where=own_leaves, also=here)
def _(step):
    g = step.right[step.layer]
    only_if(isinstance(g, dict))
    return changed(step, **{name: np.zeros_like(leaf) for name, leaf in g.items()})


@operator("packed by name, unpacked matrix first", STRUCTURE, "swapped entries", "exchanged leaves",
          where=own_leaves, also=here)
def _(step):
    g = step.right[step.layer]
    only_if(isinstance(g, dict) and "w" in g)
    flat = np.concatenate([g["b"].reshape(-1), g["w"].reshape(-1)])
    return changed(step, w=flat[:g["w"].size].reshape(g["w"].shape), b=flat[g["w"].size:].reshape(g["b"].shape))


@operator("updated parameters handed back", STRUCTURE, "penalty added", "factor", "update for gradient", "term added",
          where=lambda place: FINISHED, also=parts)
def _(step):
    def updated(p, g):
        if isinstance(g, dict):
            return {name: p[name] - 0.1 * g[name] for name in g}
        return tuple(updated(*pair) for pair in zip(p, g, strict=True))

    only_if(step.layer == 0)
    return updated(step.run.params, step.right)


HEADS = tuple(replace(found, unseen=True) for found in FOUND[FIRST:])
"""Every operator of this file."""
