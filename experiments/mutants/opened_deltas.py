"""Mistakes between two layers that were held back once: what they taught is in the code that names causes."""

from dataclasses import replace

import numpy as np

from experiments.mutants import reference
from experiments.mutants.further import derived
from experiments.mutants.making import (
    DELTAS,
    FOUND,
    LEAVES,
    operator,
    pulled,
    sloped,
    unfit,
    upstream,
)
from experiments.mutants.mutant import Place, Step, Where, only_if, weights_of
from experiments.mutants.reference import FUNCTIONS, SLOPES, sigmoid

FIRST = len(FOUND)
PULLBACK = ("pullback",)
OTHER = "another activation's derivative"


def lowest(place: Place, last: int) -> tuple[Where, ...]:
    """δ of layer 0 goes into that layer's two leaves and nowhere else, so they may be blamed in its place."""
    return (frozenset((site, 0) for site in LEAVES),) if place == ("pullback", 0) else ()


def through(step: Step, kind: str):
    """What is above, where it is of that kind."""
    above = step.above()
    only_if(above[0].kind == kind)
    return above


def matrix(step: Step):
    """The weights of the dense layer above."""
    return through(step, "dense")[1]["w"]


def shared(step: Step, share):
    """δ again, with other shares of the maxout pieces above."""
    spec, p, tape, delta = through(step, "maxout")
    return reference.pull(spec, p, replace(tape, share=share(tape.share)), delta) * slope_of(step)


def slope_of(step: Step):
    """The derivative of this layer's activation."""
    return SLOPES[step.activation](step.z)


def inside_norm(step: Step):
    """What a layer norm above is made of: gain ⊙ δ, x̂, the spread."""
    _, p, tape, delta = through(step, "layer_norm")
    return p["gain"] * delta, tape.x_hat, tape.spread


@operator("derivative at the layer's own input", DELTAS, "derivative elsewhere", also=lowest)
def _(step):
    derived(step)
    a = step.run.tapes[step.layer].a
    only_if(a.shape == step.z.shape)
    return sloped(step, z=a)


@operator("formula for a given z", DELTAS, "pre-activation for activation", OTHER, also=lowest)
def _(step):
    derived(step)
    only_if(step.activation in ("sigmoid", "tanh"))
    z = step.z
    return upstream(step) * (z * (1 - z) if step.activation == "sigmoid" else 1 - z ** 2)


@operator("1 - a and nothing more", DELTAS, OTHER, also=lowest)
def _(step):
    derived(step)
    only_if(step.activation in ("sigmoid", "tanh"))
    return upstream(step) * (1 - step.activated)


@operator("plus for minus in 1 - a^2", PULLBACK, OTHER, "other derivative", also=lowest)
def _(step):
    only_if(step.activation == "tanh")
    return step.cotangent * (1 + step.activated ** 2)


@operator("sign of z as a step", PULLBACK, OTHER, "other derivative", also=lowest)
def _(step):
    only_if(step.activation == "relu")
    return step.cotangent * np.sign(step.z)


@operator("mask of the inactive units", PULLBACK, OTHER, "derivative elsewhere", "other derivative", also=lowest)
def _(step):
    only_if(step.activation == "relu")
    return step.cotangent * (step.z <= 0)


@operator("mask taken from what comes back", PULLBACK, "rectified", "missing derivative", "derivative elsewhere", also=lowest)
def _(step):
    only_if(step.activation == "relu")
    return step.cotangent * (step.cotangent > 0)


@operator("smooth step for a sharp one", PULLBACK, OTHER, also=lowest)
def _(step):
    only_if(step.activation == "relu")
    return step.cotangent * sigmoid(step.z)


@operator("straight lines for the curve", PULLBACK, OTHER, "other derivative", also=lowest)
def _(step):
    only_if(step.activation in ("sigmoid", "tanh"))
    height, reach = (1, 1) if step.activation == "tanh" else (0.2, 2.5)
    return step.cotangent * height * (np.abs(step.z) < reach)


@operator("derivative by a coarse difference", DELTAS, "derivative elsewhere", OTHER, also=lowest)
def _(step):
    derived(step)
    sigma = FUNCTIONS[step.activation]
    return upstream(step) * (sigma(step.z + 0.01) - sigma(step.z)) / 0.01


@operator("derivative from a table", PULLBACK, "derivative elsewhere", "rounded", "other derivative", also=lowest)
def _(step):
    return sloped(step, z=np.round(step.z, 1))


@operator("derivative at the mean z", PULLBACK, "averaged too early", "derivative elsewhere", also=lowest)
def _(step):
    return sloped(step, z=np.broadcast_to(step.z.mean(axis=0), step.z.shape))


@operator("z left over from the last example", PULLBACK, "shuffled examples", "derivative elsewhere", also=lowest)
def _(step):
    return sloped(step, z=np.broadcast_to(step.z[-1], step.z.shape))


@operator("mean of what comes back", PULLBACK, "averaged too early",
          also=lambda place, last: (*lowest(place, last), frozenset({("weight", 0)})) if place == ("pullback", 0) else ())
def _(step):
    return step.cotangent.mean(axis=0) * slope_of(step)


@operator("averaged again on the way down", PULLBACK, "divided twice", "mean for sum", also=lowest)
def _(step):
    return step.right / len(step.right)


@operator("what comes back clipped", PULLBACK, "clipped", also=lowest)
def _(step):
    return np.clip(step.cotangent, -0.05, 0.05) * slope_of(step)


@operator("only the sign of what comes back", PULLBACK, "signs alone", also=lowest)
def _(step):
    return np.sign(step.cotangent) * slope_of(step)


@operator("signs lost on the way", (*DELTAS, *LEAVES), "rectified", also=lowest)
def _(step):
    return np.abs(step.right)


@operator("centred over the batch", DELTAS, "normalised", also=lowest)
def _(step):
    return step.right - step.right.mean(axis=0)


@operator("epsilon added to be safe", (*DELTAS, *LEAVES), "offset", also=lowest)
def _(step):
    return step.right + 1e-3


@operator("weights decayed before use", PULLBACK, "updated weight", "factor", also=lowest)
def _(step):
    only_if(step.above()[0].kind != "residual")
    return pulled(step, 0.95 * weights_of(step.above()[1]))


@operator("bias column not cut off", PULLBACK, "other weights", also=lowest)
def _(step):
    return pulled(step, np.concatenate([through(step, "dense")[1]["b"][:, None], matrix(step)[:, :-1]], axis=1))


@operator("weights reshaped to the other order", PULLBACK, "untransposed weight", "other weights", also=lowest)
def _(step):
    w = matrix(step)
    only_if(w.shape[0] != w.shape[1])
    return pulled(step, w.reshape(w.shape[::-1]).T)


@operator("loop over units above ends early", PULLBACK, "other weights", "dead unit", also=lowest)
def _(step):
    w = matrix(step).copy()
    w[-1] = 0
    return pulled(step, w)


@operator("weights quantised to eighths", PULLBACK, "other weights", "rounded", also=lowest)
def _(step):
    return pulled(step, np.round(8 * matrix(step)) / 8)


@operator("small weights pruned away", PULLBACK, "other weights", also=lowest)
def _(step):
    w = matrix(step)
    return pulled(step, w * (np.abs(w) >= np.median(np.abs(w))))


@operator("product of sums for sum of products", PULLBACK, "other weights", "wrong axis", "zero", also=lowest)
def _(step):
    w = matrix(step)
    return pulled(step, np.broadcast_to(w.sum(axis=0), w.shape))


@operator("pieces that lost", PULLBACK, "wrong piece", also=lowest)
def _(step):
    return shared(step, lambda share: (1 - share) / (share.shape[1] - 1))


@operator("always the first of the pieces", PULLBACK, "wrong piece", also=lowest)
def _(step):
    def first(share):
        share = np.zeros_like(share)
        share[:, 0] = 1
        return share

    return shared(step, first)


@operator("winners of another example", PULLBACK, "shuffled examples", "wrong piece", also=lowest)
def _(step):
    return shared(step, lambda share: np.roll(share, 1, axis=0))


@operator("mean not differentiated", PULLBACK, "statistics held constant", also=lowest)
def _(step):
    v, x_hat, spread = inside_norm(step)
    return (v - x_hat * (v * x_hat).mean(axis=1, keepdims=True)) / spread * slope_of(step)


@operator("spread not differentiated", PULLBACK, "statistics held constant", also=lowest)
def _(step):
    v, _, spread = inside_norm(step)
    return (v - v.mean(axis=1, keepdims=True)) / spread * slope_of(step)


@operator("spread's own term added", PULLBACK, "wrong statistics", also=lowest)
def _(step):
    v, x_hat, spread = inside_norm(step)
    return (v - v.mean(axis=1, keepdims=True) + x_hat * (v * x_hat).mean(axis=1, keepdims=True)) / spread * slope_of(step)


@operator("sums over units for means", PULLBACK, "wrong statistics", also=lowest)
def _(step):
    v, x_hat, spread = inside_norm(step)
    return (v - v.sum(axis=1, keepdims=True) - x_hat * (v * x_hat).sum(axis=1, keepdims=True)) / spread * slope_of(step)


@operator("means down the batch in a layer norm", PULLBACK, "wrong axis", also=lowest)
def _(step):
    v, x_hat, spread = inside_norm(step)
    return (v - v.mean(axis=0) - x_hat * (v * x_hat).mean(axis=0)) / spread * slope_of(step)


@operator("not divided by the spread", PULLBACK, "wrong statistics", also=lowest)
def _(step):
    spec, p, tape, delta = through(step, "layer_norm")
    return reference.pull(spec, p, replace(tape, spread=np.ones_like(tape.spread)), delta) * slope_of(step)


@operator("spread of another example", PULLBACK, "wrong statistics", "shuffled examples", "examples weighted", also=lowest)
def _(step):
    spec, p, tape, delta = through(step, "layer_norm")
    return reference.pull(spec, p, replace(tape, spread=np.roll(tape.spread, 1, axis=0)), delta) * slope_of(step)


@operator("gain left out on the way", PULLBACK, "weights forgotten", "other weights", also=lowest)
def _(step):
    return pulled(step, np.ones_like(through(step, "layer_norm")[1]["gain"]))


@operator("skip connection counted twice", PULLBACK, "added to another", "skip connection weighted", also=lowest)
def _(step):
    return step.right + through(step, "residual")[3] * slope_of(step)


@operator("skip connection past the derivative", PULLBACK, "missing derivative", also=lowest)
def _(step):
    spec, p, tape, delta = through(step, "residual")
    return (reference.pull(spec, p, tape, delta) - delta) * slope_of(step) + delta


@operator("block's inner derivative missing", PULLBACK, "missing derivative", also=lowest)
def _(step):
    spec, p, _, delta = through(step, "residual")
    only_if(len(spec.inner) == 1)
    return (delta + delta @ p[0]["w"]) * slope_of(step)


@operator("activity held down by a penalty", PULLBACK, "penalty added", also=lowest)
def _(step):
    return step.right + 0.01 * step.activated * slope_of(step)


@operator("active share of nothing", PULLBACK, "not a number", also=unfit, shapes=True)
def _(step):
    only_if(step.activation == "relu" and np.any(step.z <= 0))
    active = np.maximum(step.z, 0)
    return step.cotangent * (active / active)


BETWEEN = tuple(FOUND[FIRST:])
"""Every operator of this file."""
