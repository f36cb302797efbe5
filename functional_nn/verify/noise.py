"""How far f strays from its exact value, by its own rounding: measured along short lines."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from functional_nn.verify.limits import FINE, HALF, LINE, NOISY, ROUNDINGS, SHORT, STEP, UNIT, WIDER


def central(f: Callable, at, direction, h: float = STEP):
    """Return the central difference (f(at + h d) − f(at − h d)) / 2h along one direction d.

    `at`, the direction and what f returns are trees of arrays.

    >>> central(lambda p: p[0] ** 2, [3.0], [1.0])
    6.0
    """
    ahead, behind = (f(jax.tree.map(lambda p, d, s=s: p + s * d, at, direction)) for s in (h, -h))
    return jax.tree.map(lambda a, b: (a - b) / (2 * h), ahead, behind)


def signs_of(seed: int, shape) -> np.ndarray:
    """Return random ±1, drawn by NumPy because JAX would compile for each shape."""
    return 2.0 * np.random.default_rng(seed).integers(2, size=shape) - 1.0


def noise_of(f: Callable, params) -> float:
    """Return how far f strays, by its own rounding, from a parabola along a very short line.

    It is far above the rounding of f's value where digits cancel within f, as in log(1 − a). On a
    line so short a kink shows no more than central differences are allowed to err.

    >>> noise_of(lambda x: float(np.log(1 - (1 - x[0]))), np.array([1e-4])) > 1e-13
    True
    """
    near, places = _line(f, params, SHORT), np.arange(-LINE, LINE + 1)
    if not np.isfinite(near).all():
        return 0.0
    near = near - near[LINE]
    return float(np.abs(near - np.polyval(np.polyfit(places, near, 2), places)).max())


def _line(f: Callable, params, step: float) -> np.ndarray:
    """f along a line through params, `step` of their typical size between its places."""
    signs = jax.tree.map(lambda p: signs_of(0, np.shape(p)), params)
    typical = max((float(np.abs(leaf).max(initial=0.0)) for leaf in jax.tree.leaves(params)), default=0.0) or 1.0
    return np.array([float(f(jax.tree.map(lambda p, d, t=t: p + t * step * typical * d, params, signs)))
                     for t in np.arange(-LINE, LINE + 1)])


class Steps(NamedTuple):
    """How coarsely a function moves.

    Attributes:
      dtype: the precision in which it seems to be computed.
      size: the size of its steps, relative to its value.
    """

    dtype: str
    size: float


def moves_in_steps(f: Callable, params, value: float) -> Steps | None:
    """Return how coarsely f moves, if more coarsely than float64; else None.

    Along a short line f is nearly a parabola, and what is left of it is f's own rounding. So a
    function that computes in float32 and returns a Python float is found out.

    >>> moves_in_steps(lambda x: float(np.sum(np.float32(x) ** 2)), np.ones(3) / 3, 1 / 3).dtype
    'float32'
    """
    places = np.arange(-LINE, LINE + 1)

    def left(values: np.ndarray) -> float:
        return float(np.abs(values - np.polyval(np.polyfit(places, values - value, 2), places) - value).max() / abs(value))

    near, far = _line(f, params, FINE), _line(f, params, WIDER * FINE)
    if not (value and np.isfinite(near).all() and np.isfinite(far).all()) or (size := left(far)) <= NOISY:
        return None
    if ROUNDINGS * left(near) < size and np.ptp(near):  # what grows with the line is a kink or a bend
        return None
    return Steps("float32" if size <= HALF else "float16", size)


def rounding_of(value: float, step: float) -> float:
    """Return the error of a difference quotient by the rounding of f = value, some ROUNDINGS · u |f| / step."""
    return float(np.nan_to_num(ROUNDINGS * UNIT * abs(value) / step, nan=0.0, posinf=0.0))
