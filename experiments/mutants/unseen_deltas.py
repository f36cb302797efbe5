"""Mistakes between two layers that are held back: the code that names causes was written without them."""

from dataclasses import replace

import numpy as np

from experiments.mutants import reference
from experiments.mutants.further import derived
from experiments.mutants.making import (
    DELTAS,
    FOUND,
    LEAVES,
    everywhere,
    operator,
    pulled,
    sloped,
    upstream,
)
from experiments.mutants.mutant import Place, Step, Where, only_if
from experiments.mutants.opened_deltas import inside_norm, lowest, matrix, shared, slope_of, through
from experiments.mutants.reference import FUNCTIONS, SLOPES, softmax

FIRST = len(FOUND)
PULLBACK = ("pullback",)
OTHER = "another activation's derivative"


def weighing(place: Place, last: int) -> tuple[Where, ...]:
    """What weighs the examples at the head might do it in the sum over them; at layer 0 it might do it in the leaves."""
    return (*everywhere(place, last), *lowest(place, last))


def own(step: Step, name: str):
    """A parameter of this layer, which is dense."""
    only_if(step.run.model.specs[step.layer].kind == "dense")
    return step.run.params[step.layer][name]


def returned(step: Step, delta):
    """δ again, out of another δ of the layer above."""
    spec, p, tape, _ = step.above()
    return reference.pull(spec, p, tape, delta) * slope_of(step)


def curved(step: Step, *activations: str):
    """z and σ(z), where the activation is one of these and its derivative multiplied with."""
    derived(step)
    only_if(step.activation in activations)
    return step.z, step.activated


def pieces(step: Step, biases: bool = True):
    """All pieces of a maxout layer above, (B, pieces, units)."""
    _, p, tape, _ = through(step, "maxout")
    return np.einsum("pjk,bk->bpj", p["w"], tape.a) + biases * p["b"]


def winners(z):
    """1 for the largest piece."""
    return (z == z.max(axis=1, keepdims=True)).astype(z.dtype)


def paths(step: Step):
    """What comes back through the skip connection of a residual layer above, and through its branch."""
    spec, p, tape, delta = through(step, "residual")
    return delta, reference.pull(spec, p, tape, delta) - delta


@operator("own weight, turned to fit", PULLBACK, "another layer's weight", "untransposed weight", also=lowest)
def _(step):
    w = own(step, "w").T
    only_if(w.shape == matrix(step).shape)
    return pulled(step, w)


@operator("gradient of the weights for the weights", PULLBACK, "other weights", also=lowest)
def _(step):
    matrix(step)
    return pulled(step, step.run.grads[step.layer + 1]["w"])


@operator("bias added on the way back", PULLBACK, "term added", also=lowest)
def _(step):
    matrix(step)
    return (step.cotangent + own(step, "b")) * slope_of(step)


@operator("rows of the weights of unit length", PULLBACK, "other weights", "other delta", "normalised", also=lowest)
def _(step):
    w = matrix(step)
    return pulled(step, w / np.sqrt((w ** 2).sum(axis=1, keepdims=True)))


@operator("weights updated between the examples", PULLBACK, "updated weight", "other weights", also=lowest)
def _(step):
    _, p, tape, delta = through(step, "dense")
    each = np.einsum("bj,bk->bjk", delta, tape.a)
    before = each.cumsum(axis=0) - each
    return np.einsum("bj,bjk->bk", delta, p["w"] - 0.1 * before) * slope_of(step)


@operator("inverse for the transpose", PULLBACK, "other weights", "other delta", also=lowest)
def _(step):
    return pulled(step, np.linalg.pinv(matrix(step)).T)


@operator("row of the unit before, the last first", PULLBACK, "other weights", "swapped entries", "other delta", also=lowest)
def _(step):
    return pulled(step, np.roll(matrix(step), 1, axis=0))


@operator("column per example, reshaped to rows", DELTAS, "transposed", "swapped entries", "shuffled examples", also=lowest)
def _(step):
    return step.right.T.reshape(step.right.shape)


@operator("delta above of the previous example", PULLBACK, "shuffled examples", "swapped entries", also=lowest)
def _(step):
    return returned(step, np.roll(step.above()[3], 1, axis=0))


@operator("loop over examples begins at one", PULLBACK, "examples left out", "examples weighted", "entries left out",
          also=lowest)
def _(step):
    wrong = step.right.copy()
    wrong[0] = 0
    return wrong


@operator("buffer not cleared between examples", PULLBACK, "other delta", also=lowest)
def _(step):
    return step.cotangent.cumsum(axis=0) * slope_of(step)


@operator("slope for a passed down, not for z", PULLBACK, "missing derivative", "other delta", "another loss", also=lowest)
def _(step):
    spec, _, tape, _ = through(step, "dense")
    run, l = step.run, step.layer + 1
    only_if(spec.activation != "linear")
    if l == run.model.last:
        return returned(step, reference.loss_slope(run.model.loss, FUNCTIONS[spec.activation](tape.z), run.Y))
    return returned(step, reference.pull(run.model.specs[l + 1], run.params[l + 1], run.tapes[l + 1], run.deltas[l + 1]))


@operator("derivative one layer late", PULLBACK, "missing derivative", "doubled derivative", "derivative elsewhere",
          also=lowest)
def _(step):
    spec, p, tape, delta = through(step, "dense")
    only_if(spec.activation in ("sigmoid", "tanh") and step.activation != "linear")
    return reference.pull(spec, p, tape, delta * SLOPES[spec.activation](tape.z))


@operator("derivative of the layer below", PULLBACK, "derivative elsewhere", also=lowest)
def _(step):
    derived(step)
    only_if(step.layer > 0 and step.run.tapes[step.layer - 1].z.shape == step.z.shape)
    return sloped(step, z=step.run.tapes[step.layer - 1].z)


@operator("square outside the brackets", PULLBACK, "other derivative", OTHER, also=lowest)
def _(step):
    _, a = curved(step, "tanh")
    return step.cotangent * (1 - a) ** 2


@operator("a (1 - z)", DELTAS, "pre-activation for activation", "other derivative", OTHER, "another loss", also=lowest)
def _(step):
    z, a = curved(step, "sigmoid")
    return upstream(step) * a * (1 - z)


@operator("minus forgotten in the exponent", DELTAS, "other derivative", OTHER, "another loss", also=lowest)
def _(step):
    z, a = curved(step, "sigmoid")
    return upstream(step) * np.exp(z) * a ** 2


@operator("exponential tail of another unit", PULLBACK, OTHER, also=lowest)
def _(step):
    z, _ = curved(step, "relu")
    return step.cotangent * np.exp(np.minimum(z, 0))


@operator("softmax's derivative in a hidden layer", PULLBACK, OTHER, also=lowest)
def _(step):
    derived(step)
    a, c = softmax(step.z), step.cotangent
    return a * (c - (a * c).sum(axis=1, keepdims=True))


@operator("derivative of the first unit for all", DELTAS, "derivative elsewhere", "other derivative", also=lowest)
def _(step):
    derived(step)
    return sloped(step, z=np.broadcast_to(step.z[:, :1], step.z.shape))


@operator("loop index one too high", PULLBACK, "another layer's delta", "another layer's weight", also=lowest)
def _(step):
    matrix(step)
    run, l = step.run, step.layer + 2
    only_if(l <= run.model.last)
    back = reference.pull(run.model.specs[l], run.params[l], run.tapes[l], run.deltas[l])
    only_if(back.shape == step.z.shape)
    return back * slope_of(step)


@operator("activation above for its delta", PULLBACK, "activation for delta", "cotangent ignored", "target ignored",
          "other delta", also=lowest)
def _(step):
    spec, _, tape, _ = step.above()
    return returned(step, FUNCTIONS[spec.activation](tape.z))


@operator("what comes back summed over the units", PULLBACK, "wrong axis", "other weights", also=lowest)
def _(step):
    matrix(step)
    return step.cotangent.sum(axis=1, keepdims=True) * slope_of(step)


@operator("hidden units asked to be sparse", PULLBACK, "penalty added", "term added", also=lowest)
def _(step):
    _, a = curved(step, "sigmoid")
    active = a.mean(axis=0)
    return (step.cotangent + 0.1 * (0.95 / (1 - active) - 0.05 / active)) * slope_of(step)


@operator("each example's delta cut to a length", DELTAS, "clipped", "examples weighted", "normalised", "another loss",
          also=weighing)
def _(step):
    length = np.sqrt((step.right ** 2).sum(axis=1, keepdims=True))
    return step.right * np.minimum(1, 0.2 / np.maximum(length, 1e-12))


@operator("units one place off", (*DELTAS, *LEAVES), "swapped entries", "other delta", "other weights", also=lowest)
def _(step):
    return np.roll(step.right, 1, axis=-2 if step.site == "weight" and step.right.ndim > 1 else -1)


@operator("formula of a norm that does not centre", PULLBACK, "statistics held constant", "wrong statistics", also=lowest)
def _(step):
    v, _, _ = inside_norm(step)
    a = step.above()[2].a
    spread = np.sqrt((a ** 2).mean(axis=1, keepdims=True) + 1e-5)
    return (v - a / spread * (v * a / spread).mean(axis=1, keepdims=True)) / spread * slope_of(step)


@operator("epsilon of another framework", PULLBACK, "wrong statistics", also=lowest)
def _(step):
    spec, p, tape, delta = through(step, "layer_norm")
    spread = np.sqrt(tape.a.var(axis=1, keepdims=True) + 1e-3)
    tape = replace(tape, x_hat=tape.x_hat * tape.spread / spread, spread=spread)
    return reference.pull(spec, p, tape, delta) * slope_of(step)


@operator("gain multiplied with at the end", PULLBACK, "wrong statistics", also=lowest)
def _(step):
    gain = through(step, "layer_norm")[1]["gain"]
    return pulled(step, np.ones_like(gain)) * gain


@operator("norm's output for what it normalised", PULLBACK, "wrong statistics", also=lowest)
def _(step):
    spec, p, tape, delta = through(step, "layer_norm")
    return reference.pull(spec, p, replace(tape, x_hat=tape.z), delta) * slope_of(step)


@operator("winner found without the biases", PULLBACK, "wrong piece", "derivative elsewhere", also=lowest)
def _(step):
    z = pieces(step, biases=False)
    return shared(step, lambda _: winners(z))


@operator("one winner for all units", PULLBACK, "wrong piece", "derivative elsewhere", also=lowest)
def _(step):
    z = pieces(step)
    return shared(step, lambda share: winners(z.sum(axis=2, keepdims=True)) * np.ones_like(share))


@operator("soft maximum for the maximum", PULLBACK, "wrong piece", "another activation's derivative", also=lowest)
def _(step):
    z = pieces(step)
    return shared(step, lambda _: np.swapaxes(softmax(np.swapaxes(z, 1, 2)), 1, 2))


@operator("winner's value where one should be", PULLBACK, "activation for derivative", "other delta", also=lowest)
def _(step):
    z = pieces(step)
    return shared(step, lambda share: share * z)


@operator("block's input added on the way back", PULLBACK, "activation for delta", "skip connection forgotten", "term added",
          also=lowest)
def _(step):
    _, branch = paths(step)
    return (step.above()[2].a + branch) * slope_of(step)


@operator("branch taken off", PULLBACK, "skip connection weighted", "sign", "other weights", also=lowest)
def _(step):
    skip, branch = paths(step)
    return (skip - branch) * slope_of(step)


@operator("block's derivative at what it puts out", PULLBACK, "derivative elsewhere", also=lowest)
def _(step):
    spec, p, tape, delta = through(step, "residual")
    tape = replace(tape, inner=(*tape.inner[:-1], replace(tape.inner[-1], z=tape.z)))
    return reference.pull(spec, p, tape, delta) * slope_of(step)


@operator("skip connection inside the activation", PULLBACK, "unexplained", "skip connection weighted",
          "another layer's delta", also=lowest)
def _(step):
    skip, branch = paths(step)
    spec, _, tape, _ = step.above()
    return (skip * SLOPES[spec.inner[-1].activation](tape.inner[-1].z) + branch) * slope_of(step)


BETWEEN = tuple(replace(found, unseen=True) for found in FOUND[FIRST:])
"""Every operator of this file."""
