"""Mistakes in a layer's own gradient that are held back: the code that names causes was written without them."""

from dataclasses import replace

import numpy as np

from experiments.mutants import reference
from experiments.mutants.making import FOUND, LEAVES, below, operator, remade, structural
from experiments.mutants.mutant import Place, Step, Where, only_if, rng_of
from experiments.mutants.opened_leaves import before_derivative, normalised, plain
from experiments.mutants.reference import FUNCTIONS, SLOPES, softmax

FIRST = len(FOUND)
WEIGHT, BIAS = ("weight",), ("bias",)


def penalised(place: Place, last: int) -> tuple[Where, ...]:
    """What is made of a layer's weights alone may be taken for a penalty on them."""
    return frozenset({("penalty", None)}), frozenset({("penalty", place[1])})


def below_activation(step: Step) -> str:
    """The activation whose values are this layer's inputs."""
    below(step)
    return step.run.model.specs[step.layer - 1].activation


def matrix_gradient(step: Step):
    """At a bias: the gradient of the weights beside it."""
    only_if(step.spec.kind in ("dense", "maxout"))
    return step.run.reduce(reference.product(step.spec, step.delta, step.a), "w")


def units(step: Step) -> int:
    """The axis of the leaf that its units lie along."""
    return -2 if step.leaf == "w" and step.right.ndim > 1 else -1


def subtracted(step: Step):
    """The targets, where they are taken off the outputs to make this layer's δ."""
    model = step.run.model
    only_if(step.layer == model.last and (step.activation in ("softmax", "linear") or model.loss == "binary_cross_entropy"))
    return step.run.Y


def shared(step: Step, share):
    """The leaf of a maxout layer with other shares of its pieces: share of (z of the pieces without bias, biases)."""
    only_if(step.spec.kind == "maxout")
    p = step.run.params[step.layer]
    return remade(step, delta=share(np.einsum("pjk,bk->bpj", p["w"], step.a), p["b"]) * step.run.deltas[step.layer][:, None])


def block(step: Step):
    """The residual layer's spec, tape and δ, where it has one layer inside."""
    l, run = step.layer, step.run
    only_if(run.model.specs[l].kind == "residual" and len(run.model.specs[l].inner) == 1)
    return run.model.specs[l], run.tapes[l], run.deltas[l]


@operator("mean of the means of uneven chunks", LEAVES, "examples weighted")
def _(step):
    chunks = [step.each[i:i + 4] for i in range(0, len(step.each), 4)]
    return sum(chunk.mean(axis=0) for chunk in chunks) / len(chunks)


@operator("incomplete chunk dropped", LEAVES, "examples left out", "examples weighted")
def _(step):
    return step.each[:len(step.each) // 4 * 4].sum(axis=0) / len(step.each)


@operator("divided inside the loop over examples", LEAVES, "examples weighted")
def _(step):
    total = np.zeros_like(step.right)
    for each in step.each:
        total = (total + each) / len(step.each)
    return total


@operator("number of examples off the wrong axis", LEAVES, "wrong divisor")
def _(step):
    return step.each.sum(axis=0) / (step.a if step.leaf == "w" else step.delta).shape[-1]


@operator("mean over the active examples only", LEAVES, "wrong divisor")
def _(step):
    count = np.maximum((step.delta != 0).sum(axis=0), 1).astype(step.right.dtype)
    return step.each.sum(axis=0) / (count[..., None] if step.right.ndim > count.ndim else count)


@operator("floor division by the examples", LEAVES, "rounded")
def _(step):
    return step.each.sum(axis=0) // len(step.each)


@operator("every unit written one place too early", LEAVES, "swapped entries", "other delta")
def _(step):
    return np.roll(step.right, -1, axis=units(step))


@operator("last unit written over all of them", LEAVES, "other delta")
def _(step):
    last = np.take(step.right, [-1], axis=units(step))
    return np.broadcast_to(last, step.right.shape).copy()


@operator("parameter handed back", LEAVES, "cotangent ignored", "target ignored", "update for gradient")
def _(step):
    return np.array(step.value, dtype=step.right.dtype)


@operator("parameter after its update handed back", LEAVES, "unexplained", "penalty added", "update for gradient")
def _(step):
    return step.value - 0.1 * step.right


@operator("leaf with the derivative at a", LEAVES, "derivative at a", "other delta")
def _(step):
    return remade(step, delta=before_derivative(step) * SLOPES[step.activation](step.activated))


@operator("leaf with the derivative one layer down", LEAVES, "derivative elsewhere", "other delta")
def _(step):
    z = below(step).z
    only_if(z.shape == step.z.shape)
    return remade(step, delta=before_derivative(step) * SLOPES[step.activation](z))


@operator("target of repeated label taken off once", LEAVES, "wrong target", "target ignored", "other delta")
def _(step):
    Y = subtracted(step)
    only_if(step.activation == "softmax")
    later = np.cumsum(Y[::-1], axis=0)[::-1] - Y
    return remade(step, delta=step.delta + Y * (later > 0))


@operator("target taken off twice in place", LEAVES, "wrong target", "other delta")
def _(step):
    return remade(step, delta=step.delta - subtracted(step))


@operator("input activated once more", WEIGHT, "activation twice", "other activation")
def _(step):
    return remade(step, a=FUNCTIONS[below_activation(step)](step.a))


@operator("network's input activated", WEIGHT, "other activation", "rectified", "entries left out", "clipped")
def _(step):
    only_if(step.layer == 0 and step.spec.kind == "dense")
    return remade(step, a=FUNCTIONS[step.spec.activation](step.a))


@operator("delta reshaped where it is transposed", WEIGHT, "shuffled examples", "other delta", "swapped entries")
def _(step):
    only_if(step.spec.kind == "dense")
    return remade(step, delta=step.delta.reshape(step.delta.shape[::-1]).T)


@operator("flat gradient filled in by columns", WEIGHT, "transposed", "swapped entries")
def _(step):
    only_if(step.right.ndim > 1)
    return np.ascontiguousarray(step.right.reshape(-1).reshape(step.right.shape, order="F"))


@operator("input overwritten by its derivative", WEIGHT, "other activation", "signs alone")
def _(step):
    return remade(step, a=SLOPES[below_activation(step)](below(step).z))


@operator("input recomputed without the bias", WEIGHT, "other activation")
def _(step):
    sigma, p = FUNCTIONS[below_activation(step)], step.run.params[step.layer - 1]
    only_if(isinstance(p, dict) and "w" in p and p["w"].ndim == 2)
    return remade(step, a=sigma(below(step).z - p["b"]))


@operator("input behind a dropout mask", WEIGHT, "other activation", "entries left out")
def _(step):
    only_if(step.spec.kind in ("dense", "maxout"))
    return remade(step, a=2 * step.a * (rng_of(step).random(step.a.shape) < 0.5))


@operator("delta summed over the units first", WEIGHT, "wrong axis", "other delta")
def _(step):
    only_if(step.spec.kind == "dense" and step.activation != "softmax")
    return remade(step, delta=np.broadcast_to(step.delta.sum(axis=1, keepdims=True), step.delta.shape))


@operator("product summed over units", WEIGHT, "wrong axis", "missing reduction", also=structural, shapes=True)
def _(step):
    only_if(step.spec.kind == "dense" and step.delta.shape == step.a.shape)
    return step.delta @ step.a.T / len(step.a)


@operator("value of the penalty for its slope", WEIGHT, "offset", "penalty added", "term added", also=penalised)
def _(step):
    return step.right + 0.01 * (step.value ** 2).sum() / 2


@operator("first column cut off as the bias", WEIGHT, "wrong shape", also=structural, shapes=True)
def _(step):
    only_if(step.right.ndim == 2)
    return step.right[:, 1:]


@operator("bias read off the matrix's first column", BIAS, "examples weighted")
def _(step):
    return matrix_gradient(step)[..., 0]


@operator("bias summed from the matrix's gradient", BIAS, "examples weighted", "wrong axis")
def _(step):
    return matrix_gradient(step).sum(axis=-1)


@operator("bias made after delta has moved on", BIAS, "another layer's delta", "gradient of the inputs")
def _(step):
    plain(step)
    l, run = step.layer, step.run
    slope = SLOPES[below_activation(step)](below(step).z)
    only_if(slope.shape == step.delta.shape)
    return run.reduce(reference.pull(run.model.specs[l], run.params[l], run.tapes[l], step.delta) * slope, "b")


@operator("bias from the means of its factors", BIAS, "averaged too early")
def _(step):
    return before_derivative(step).mean(axis=0) * SLOPES[step.activation](step.z).mean(axis=0)


@operator("gain with the variance as the spread", WEIGHT, "wrong statistics", "examples weighted", "other activation")
def _(step):
    normalised(step)
    return remade(step, a=step.a / step.run.tapes[step.layer].spread)


@operator("gain from the input over its length", WEIGHT, "wrong statistics", "other activation", "normalised")
def _(step):
    a = normalised(step)
    return remade(step, a=a / np.sqrt((a ** 2).mean(axis=1, keepdims=True) + 1e-5))


@operator("gain with epsilon outside the root", WEIGHT, "wrong statistics", "examples weighted", "other activation")
def _(step):
    a = normalised(step)
    return remade(step, a=(a - a.mean(axis=1, keepdims=True)) / (a.std(axis=1, keepdims=True) + 1e-5))


@operator("delta times the gain in place before", LEAVES, "factor", "other delta", "wrong product", "other activation")
def _(step):
    normalised(step)
    return remade(step, delta=step.delta * step.run.params[step.layer]["gain"])


@operator("winning piece found without its bias", LEAVES, "wrong piece", "other delta", "derivative elsewhere")
def _(step):
    return shared(step, lambda z, b: (z == z.max(axis=1, keepdims=True)).astype(z.dtype))


@operator("pieces share as a softmax would", LEAVES, "wrong piece", "another activation's derivative")
def _(step):
    return shared(step, lambda z, b: np.moveaxis(softmax(np.moveaxis(z + b, 1, -1)), -1, 1))


@operator("pieces and units interleaved", LEAVES, "transposed", "swapped entries", "other delta")
def _(step):
    only_if(step.spec.kind == "maxout")
    return np.swapaxes(step.right, 0, 1).reshape(step.right.shape)


@operator("skip connection led into the branch", LEAVES, "added to another", "other delta", "offset", "other derivative",
          "term added")
def _(step):
    return remade(step, delta=step.delta + block(step)[2])


@operator("derivative at the output of the block", LEAVES, "derivative elsewhere", "other delta")
def _(step):
    spec, tape, delta = block(step)
    return remade(step, delta=delta * SLOPES[spec.inner[0].activation](reference.output((spec,), (tape,))))


@operator("branch's output for its input", WEIGHT, "another layer's activation")
def _(step):
    spec, tape, _ = block(step)
    return remade(step, a=reference.output(spec.inner, tape.inner))


WITHIN = tuple(replace(found, unseen=True) for found in FOUND[FIRST:])
"""Every operator of this file."""
