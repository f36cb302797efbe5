"""Mistakes in the way back through a layer norm, with v = g ⊙ δ, x = x̂ and the spread r."""

import numpy as np

from functional_nn.verify.catalogue.mistake import USUAL, Room, choices
from functional_nn.verify.debugger.anatomy import norm_pull
from functional_nn.verify.debugger.where import only_if

NORMS = Room()
PULLBACK = "pullback"
add = NORMS.add


def mean(v):
    """The mean over the features."""
    return v.mean(axis=1, keepdims=True)


HELD, WRONG = "statistics held constant", "wrong statistics"
STATISTICS = {
    "v / r": (HELD, lambda v, x, r: v / r), "v": (HELD, lambda v, x, r: v),
    "(v - x mean(v x)) / r": (HELD, lambda v, x, r: (v - x * mean(v * x)) / r),
    "(v - mean v) / r": (HELD, lambda v, x, r: (v - mean(v)) / r),
    "(..) / r**2": (WRONG, lambda v, x, r: norm_pull(v, x, r) / r),
    "(..) / r**3": (WRONG, lambda v, x, r: norm_pull(v, x, r) / r**2),
    "(..), not divided by r": (WRONG, lambda v, x, r: norm_pull(v, x, r) * r),
    "(v - mean v + x mean(v x)) / r": (WRONG, lambda v, x, r: (v - mean(v) + x * mean(v * x)) / r),
    "(v + mean v - x mean(v x)) / r": (WRONG, lambda v, x, r: (v + mean(v) - x * mean(v * x)) / r),
    "sums for means": (WRONG, lambda v, x, r: (v - v.shape[1] * (mean(v) + x * mean(v * x))) / r),
    "a sum in the second term": (WRONG, lambda v, x, r: (v - mean(v) - v.shape[1] * x * mean(v * x)) / r),
    "(v - mean v - mean(v x)) / r": (WRONG, lambda v, x, r: (v - mean(v) - mean(v * x)) / r),
    "(v - mean v - x mean v) / r": (WRONG, lambda v, x, r: (v - mean(v) - x * mean(v)) / r),
    "x**2 for x": (WRONG, lambda v, x, r: (v - mean(v) - x * x * mean(v * x)) / r),
    "(..) / n": (WRONG, lambda v, x, r: norm_pull(v, x, r) / v.shape[1]),
    "over n - 1": (WRONG, lambda v, x, r: (v - mean(v) - x * (v * x).sum(1, keepdims=True) / (
        max(v.shape[1] - 1, 1))) / r)}


def normed(step, change):
    """δ with another way back through the layer norm above."""
    pieces, delta = step.f.pieces[step.upper], step.run.deltas[step.upper]
    only_if("x_hat" in pieces)
    v = step.f.params[step.upper]["weight"] * delta
    return step.through(step.skip + change(v, pieces["x_hat"], pieces["spread"]))


def ungained(step, which):
    """δ through a layer norm, of whose means one or both are taken of δ, without the gain."""
    delta = step.run.deltas[step.upper]
    first, second = (delta if which in (place, "both") else None for place in ("first", "second"))
    return normed(step, lambda v, x, r: (v - mean(v if first is None else first)
                                         - x * mean((v if second is None else second) * x)) / r)


def without_epsilon(step):
    """δ through a layer norm without ε."""
    epsilon = step.f.pieces[step.upper].get("epsilon", 0)
    return normed(step, lambda v, x, r: norm_pull(v, x * r / np.sqrt(r**2 - epsilon), np.sqrt(r**2 - epsilon)))


def with_epsilon(step, epsilon):
    """δ through a layer norm with another ε."""
    only_if("epsilon" in step.f.pieces[step.upper])
    change = epsilon - step.f.pieces[step.upper]["epsilon"]
    return normed(step, lambda v, x, r: norm_pull(v, x * r / np.sqrt(r**2 + change), np.sqrt(r**2 + change)))


def gain_last(step):
    """δ through a layer norm whose gain is multiplied with at the end."""
    g = step.f.params[step.upper].get("weight")
    return normed(step, lambda v, x, r: g * norm_pull(step.run.deltas[step.upper], x, r))


def uncentred(step):
    """δ through a norm that divides by the root of the mean square, and does not centre."""
    a = step.f.a[step.upper]
    size = np.sqrt(mean(a * a) + step.f.pieces[step.upper].get("epsilon", 0))
    return normed(step, lambda v, x, r: (v - a * mean(v * a) / size**2) / size)


add(HELD, PULLBACK, uncentred, "{back} of a norm that does not centre")
add(WRONG, PULLBACK, with_epsilon, "{back} with epsilon {0:.6g}", choices(1e-3, 1e-6, 1e-8, 1e-12), (1e-3,), USUAL)
add(WRONG, PULLBACK, ungained, "{back}, the gain forgotten in the {0} of its means",
    choices("first", "second", "both"), ("first",), USUAL)
add(WRONG, PULLBACK, gain_last, "{back}, the gain multiplied with at the end")
add(WRONG, PULLBACK, lambda s: normed(s, lambda v, x, r: norm_pull(v, s.f.z[s.upper], r)), "{back}, z for the normalised input")
add(WRONG, PULLBACK, lambda s: normed(s, lambda v, x, r: norm_pull(v, s.f.a[s.upper], r)), "{back}, {a} for the normalised input")
NORMS.table(STATISTICS, PULLBACK, normed, "{back} as {0}, with v = g * delta and x = the normalised input")
add(WRONG, PULLBACK, without_epsilon, "{back} without epsilon")
