"""Rounding averaged away: a gradient that is rounded at the end, looked at from many nearby points."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

MOVES = 8  # that a function may fail to notice
PAIRS, DRAWN = 16, 64  # of those drawn, the pairs that cross the fewest kinks are looked at


def rounds_late(function: Callable, params, X, Y, dtype) -> bool:
    """Whether `function`, whose gradients are of a coarse dtype, computes in a finer one and rounds what it gives.

    Parameters that dtype holds exactly are moved by less than half its unit: what rounds them on entry does not notice. Of what
    hardly depends on them it takes several moves to see that.
    """
    unit = float(jnp.finfo(dtype).eps) / 2
    rng = np.random.default_rng(0)

    def held(leaf):
        return np.asarray(jnp.asarray(leaf).astype(dtype), dtype=np.float64)

    def moved(leaf):
        return leaf * (1 + unit / 4 * rng.choice([-1.0, 1.0], size=leaf.shape))

    params, X = jax.tree.map(held, params), held(X)
    before = function(params, X, Y)
    ways = lambda: function(jax.tree.map(moved, params), X, Y), lambda: function(params, moved(X), Y)
    return all(any(_changed(before, way()) for _ in range(MOVES)) for way in ways)


def _changed(one, other) -> bool:
    return any(not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def dithered(function: Callable, right: Callable, sides: Callable, unit: float, seed: int) -> Callable:
    """(params, X, Y) -> (`function` with its rounding averaged away, the deviation of that mean), trees of its form.

    What it gives at nearby parameters, less what is right there, is averaged: rounding goes up here and down there, a mistake
    stays, where no kink lies between: beyond one it is another. The points lie on either side by some rounding units. An
    entry that hardly changes there is rounded the same way everywhere, and its deviation says so.

    Args:
      right: (several params, X, Y) -> the right gradients, trees like the function's.
      sides: (several params, X, Y) -> on which side of its kinks every unit stands, (params, examples, units), or None where
        there are none.
    """
    def mean(params, X, Y) -> tuple[Any, Any]:
        points = _points(params, functools.partial(sides, X=X, Y=Y), unit, np.random.default_rng(seed))
        centre, *rights = (jax.tree.leaves(tree) for tree in right([params, *points], X, Y))
        errors = [[np.asarray(g, np.float64) - r for g, r in zip(jax.tree.leaves(function(there, X, Y)), expected, strict=True)]
                  for there, expected in zip(points, rights, strict=True)]
        every = [np.stack(each).reshape(PAIRS, 2, *np.shape(each[0])).mean(axis=1) for each in zip(*errors, strict=True)]
        means = [leaf + each.mean(axis=0) for leaf, each in zip(centre, every, strict=True)]
        still = [unit * np.abs(leaf) * (np.std(each, axis=0) < 3 * unit * np.abs(leaf))  # rounded alike at all points
                 for leaf, each in zip(centre, zip(*rights, strict=True), strict=True)]
        deviations = [each.std(axis=0) / PAIRS**0.5 + rest / 4 for each, rest in zip(every, still, strict=True)]
        tree = jax.tree.structure(params)
        return tree.unflatten(means), tree.unflatten(deviations)

    return mean


def either_side(params, unit: float, rng: np.random.Generator) -> list:
    """Two parameters nearby, `params` in the middle."""
    shares = jax.tree.map(lambda leaf: 7 * unit * rng.uniform(-1, 1, size=leaf.shape), params)
    return [jax.tree.map(lambda p, e, side=side: p * (1 + side * e), params, shares) for side in (1, -1)]


def _points(params, sides: Callable, unit: float, rng: np.random.Generator) -> list:
    """PAIRS pairs of parameters, on opposite sides of `params`, on the same side of as many kinks as can be had."""
    pairs = []
    for _ in range(PAIRS if sides([params]) is None else DRAWN):
        pairs.append(either_side(params, unit, rng))
    if len(pairs) > PAIRS:
        centre, *there = sides([params, *(point for pair in pairs for point in pair)])
        crossed = [np.count_nonzero(one != centre) for one in there]
        pairs = [pairs[i] for i in np.argsort(np.reshape(crossed, (-1, 2)).sum(axis=1), kind="stable")[:PAIRS]]
    return [point for pair in pairs for point in pair]
