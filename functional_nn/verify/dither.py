"""Average away the rounding of a gradient that is rounded at the end, over many nearby points."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

MOVES = 8  # random moves tried before a function counts as insensitive
PAIRS, DRAWN = 16, 64  # of DRAWN pairs, the PAIRS that cross the fewest kinks are used


def rounds_late(function: Callable, params, X, Y, dtype) -> bool:
    """Whether `function`, whose gradients have a coarse dtype, rounds only at the end.

    Values that the dtype holds exactly are moved by less than half its unit. A function that rounds
    them on entry gives the same gradient. A weak dependence may take several moves to show.
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
    """(params, X, Y) -> (the mean of `function` without its rounding, the mean's deviation), trees.

    The error of `function` is averaged over parameters some rounding units away, on either side.
    Rounding errors have both signs and cancel; a mistake stays. Points beyond a kink are avoided,
    since the mistake may differ there. An entry that hardly changes is rounded alike at all points;
    its deviation includes that rounding.

    Args:
      right: (several params, X, Y) -> the right gradients, trees like the function's.
      sides: (several params, X, Y) -> on which side of its kinks every unit is, (params, examples,
        units); None if there are no kinks.
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
    """Two random nearby parameters with `params` as their midpoint."""
    shares = jax.tree.map(lambda leaf: 7 * unit * rng.uniform(-1, 1, size=leaf.shape), params)
    return [jax.tree.map(lambda p, e, side=side: p * (1 + side * e), params, shares) for side in (1, -1)]


def _points(params, sides: Callable, unit: float, rng: np.random.Generator) -> list:
    """PAIRS pairs of parameters on opposite sides of `params` that cross the fewest kinks."""
    pairs = []
    for _ in range(PAIRS if sides([params]) is None else DRAWN):
        pairs.append(either_side(params, unit, rng))
    if len(pairs) > PAIRS:
        centre, *there = sides([params, *(point for pair in pairs for point in pair)])
        crossed = [np.count_nonzero(one != centre) for one in there]
        pairs = [pairs[i] for i in np.argsort(np.reshape(crossed, (-1, 2)).sum(axis=1), kind="stable")[:PAIRS]]
    return [point for pair in pairs for point in pair]
