"""Rounding averaged away: a gradient that is rounded at the end, looked at from many nearby points."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PAIRS = 16


def rounds_late(function: Callable, params, X, Y, dtype) -> bool:
    """Whether `function`, whose gradients are of a coarse dtype, computes in a finer one and rounds what it gives.

    Parameters that dtype holds exactly are moved by a quarter of its unit: what rounds them on entry does not notice.
    """
    unit = float(jnp.finfo(dtype).eps) / 2
    rng = np.random.default_rng(0)

    def held(leaf):
        return np.asarray(jnp.asarray(leaf).astype(dtype), dtype=np.float64)

    def moved(leaf):
        return leaf * (1 + unit / 4 * rng.choice([-1.0, 1.0], size=leaf.shape))

    params, X = jax.tree.map(held, params), held(X)
    before = function(params, X, Y)
    ways = function(jax.tree.map(moved, params), X, Y), function(params, moved(X), Y)
    return all(_changed(before, after) for after in ways)


def _changed(one, other) -> bool:
    return any(not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def dithered(function: Callable, right: Callable, unit: float, seed: int) -> Callable:
    """(params, X, Y) -> (`function` with its rounding averaged away, the deviation of that mean), trees of its form.

    What it gives at nearby parameters, less what is right there, is averaged: rounding goes up here and down there, a mistake
    stays. The points lie on either side by some rounding units. An entry that hardly changes there is rounded the same
    way everywhere, and its deviation says so.

    Args:
      right: (params, X, Y) -> the right gradient, a tree like the function's.
    """
    def mean(params, X, Y) -> tuple[Any, Any]:
        rng, errors, rights = np.random.default_rng(seed), [], []
        for _ in range(PAIRS):
            signs, pair = jax.tree.map(lambda leaf: 7 * unit * rng.uniform(-1, 1, size=leaf.shape), params), []
            for side in (1, -1):
                there = jax.tree.map(lambda p, e, side=side: p * (1 + side * e), params, signs)
                given, expected = function(there, X, Y), right(there, X, Y)
                rights.append([np.asarray(r) for r in jax.tree.leaves(expected)])
                pair.append([np.asarray(g, np.float64) - np.asarray(r) for g, r in zip(
                    jax.tree.leaves(given), jax.tree.leaves(expected), strict=True)])
            errors.append([(one + other) / 2 for one, other in zip(*pair, strict=True)])
        leaves, tree = jax.tree.flatten(right(params, X, Y))
        every = list(zip(*errors, strict=True))
        means = [np.asarray(leaf) + np.mean(each, axis=0) for leaf, each in zip(leaves, every, strict=True)]
        still = [unit * np.abs(leaf) * (np.std(each, axis=0) < 3 * unit * np.abs(leaf))  # rounded alike at all points
                 for leaf, each in zip(map(np.asarray, leaves), zip(*rights, strict=True), strict=True)]
        deviations = [np.std(each, axis=0) / len(each) ** 0.5 + rest / 4 for each, rest in zip(every, still, strict=True)]
        return tree.unflatten(means), tree.unflatten(deviations)

    return mean
