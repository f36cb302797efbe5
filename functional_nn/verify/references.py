"""Independent derivatives of a scalar function: reverse mode, forward mode, central differences, the complex step.

A *direction* moves one leaf of the parameters. A leaf of at most `ENTRIES` entries is probed along every coordinate, so that
the derivative of each entry is known; a larger one along random ±1 vectors d, whose number `directions_for` sets.

How likely is it that a wrong leaf passes? Let its error be e, the threshold of one direction τ. If some |eᵢ| > τ, then
d·e with dᵢ = 1 and with dᵢ = −1 lie more than 2τ apart, so that at least one of the two is seen: P(|d·e| ≤ τ) ≤ 1/2, and 0
where eᵢ is the only wrong entry. If all |eᵢ| ≤ τ and ‖e‖ ≥ 4τ, the theorem of Berry and Esseen gives
P(|d·e| ≤ τ) ≤ erf(1/√32) + 2 · 0.56/4 < 1/2. So whatever the error, k directions miss one of norm 4τ or more with probability
at most 2⁻ᵏ. (A dense one of norm rτ, with P ≈ erf(1/(r√2))ᵏ, is missed far more rarely.)
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.calls import traceable

ENTRIES = 4096
UNIT = float(np.finfo(np.float64).eps)  # u
COVERED = 4.0  # the smallest ‖e‖/τ for which a direction's miss is at most 1/2
STEP = 2.0**-17  # h ≈ ∛u of central differences: a power of two, so that p ± h is exact and the size of p does no harm
_FEWEST = 16  # directions; to find a wrong entry takes 2 log₂ n more
_CHUNK = 64  # directions evaluated side by side


class Probe(NamedTuple):
    """A reference's derivatives of one leaf: along `directions` (k, size), or of every entry where that is None.

    noise: the error to be expected in the norm of `derivatives`. change: what they change by when every parameter changes by
    its own size. largest: the norm of the largest leaf's derivatives.
    """

    directions: np.ndarray | None
    derivatives: np.ndarray
    noise: float
    change: float = 0.0
    largest: float = 0.0


class Reference(NamedTuple):
    """probes: of every leaf. at: params -> the same derivatives elsewhere, one array a leaf. along: (params, direction) -> the
    derivative along one direction, or None where every entry is known anyway."""

    probes: list[Probe]
    at: Callable
    along: Callable | None


def directions_for(miss: float) -> int:
    """How many directions let an error of 4 thresholds or more pass with probability at most `miss`: k = log₂(1/miss).

    >>> directions_for(1e-9), directions_for(1e-3), directions_for(0.5)      # at least 16 in any case
    (30, 16, 16)
    """
    return max(_FEWEST, math.ceil(-math.log2(miss)))


def autodiff(f: Callable, params, seed: int, count: int) -> Reference:
    """Reverse mode, `jax.grad`: every entry of every leaf."""
    gradient = compiled(jax.grad(f))

    def at(params):
        return [np.ravel(leaf) for leaf in jax.tree.leaves(gradient(params))]

    return Reference(_probes(at, params, seed, UNIT), at, None)


def forward(f: Callable, params, seed: int, count: int) -> Reference:
    """Forward mode, `jax.jvp`."""
    directions = _directions(params, seed, count)

    def slope(params, direction):
        return jax.jvp(f, (params,), (direction,))[1]

    at = (_every if _traced(f, params) else _one_by_one)(slope, directions)
    return Reference(_probes(at, params, seed, UNIT, directions), at, compiled(slope))


def differences(f: Callable, params, seed: int, count: int) -> Reference:
    """Central differences (f(p + hd) − f(p − hd)) / 2h with h ≈ ∛u: truncation O(h²), rounding u|f|/h, in f's own u."""
    directions, traced = _directions(params, seed, count), _traced(f, params)
    value = np.asarray((compiled(f) if traced else f)(params))
    unit = float(jnp.finfo(value.dtype).eps)
    h = STEP if unit == UNIT else 2.0 ** round(math.log2(unit) / 3)

    def slope(params, direction):
        ahead = f(jax.tree.map(lambda p, d: p + h * d, params, direction))
        behind = f(jax.tree.map(lambda p, d: p - h * d, params, direction))
        return (ahead - behind) / (2 * h)

    at = (_every if traced else _one_by_one)(slope, directions)
    rounding = rounding_of(float(value), h) * unit / UNIT
    probes = [probe._replace(noise=probe.noise + rounding * len(probe.derivatives) ** 0.5)
              for probe in _probes(at, params, seed, h**2, directions, unit)]
    return Reference(probes, at, compiled(slope) if traced else slope)


def rounding_of(value: float, step: float) -> float:
    """The error that rounding of f = value leaves in a difference quotient: 16 u |f| / step."""
    return float(np.nan_to_num(16 * UNIT * abs(value) / step, nan=0.0, posinf=0.0))


def complex_step(f: Callable, params, seed: int, count: int) -> Reference:
    """Im f(p + ihd) / h with h = 1e-30: exact to rounding, where f is analytic and does not drop the imaginary part.

    Raises:
      ValueError: central differences along one direction do not agree: f takes an absolute value, a maximum or a real part.
    """
    h = 1e-30

    def slope(params, direction):
        return np.imag(f(jax.tree.map(lambda p, d: p + 1j * h * d, params, direction))) / h

    def real_slope(params, direction):
        ahead = f(jax.tree.map(lambda p, d: p + STEP * d, params, direction))
        return float((ahead - f(jax.tree.map(lambda p, d: p - STEP * d, params, direction))) / (2 * STEP))

    one = jax.tree.map(lambda p: np.random.default_rng(0).normal(size=np.shape(p)), params)
    if not np.isclose(float(slope(params, one)), real_slope(params, one), rtol=1e-5, atol=1e-7):
        raise ValueError("reference='complex' needs an analytic f: abs, max, norm and conj drop the imaginary part; use 'fd'")
    directions = _directions(params, seed, count)
    at = _one_by_one(slope, directions)
    return Reference(_probes(at, params, seed, UNIT, directions), at, slope)


REFERENCES = {"autodiff": autodiff, "forward": forward, "fd": differences, "complex": complex_step}
RELATIVE = {"autodiff": 1e-12, "forward": 1e-12, "fd": 1e-6, "complex": 1e-12}
"""The largest relative error of a right leaf in float64, beyond the reference's own noise."""
TITLES = {"autodiff": "jax.grad", "forward": "forward mode", "fd": "central differences", "complex": "complex step"}


def compiled(function: Callable) -> Callable:
    """`function` under `jit`, or as it is where it looks at values and cannot be traced."""
    traced = jax.jit(function)

    def call(*args):
        try:
            return traced(*args)
        except jax.errors.JAXTypeError:
            return function(*args)

    return call


def _traced(f: Callable, params) -> bool:
    """Whether f can be compiled: plain NumPy, and Python's `if` on a value, cannot."""
    try:
        return traceable(f, params)
    except jax.errors.JAXTypeError:
        return False


def _probes(derivatives: Callable, params, seed: int, error: float, directions=None, unit: float = UNIT) -> list[Probe]:
    """The derivatives at `params`, each with its noise, 16 times the larger of

    - u ‖g‖ for the largest leaf g, u the `unit` that f computes in: a leaf whose true gradient is 0 comes out at the rounding
      of the others;
    - `error` (of the method, relative) times what g changes by when every parameter changes by its own size: a gradient that is
      0 because its terms cancel, as at a minimum, comes out at the rounding of the terms. The change is taken over a step of
      √u, so that a kink adds next to nothing.
    """
    def nearby(p):
        p = np.asarray(p)
        return p + unit**0.5 * p * _signs(seed, p.shape)

    moved = jax.tree.map(nearby, params)
    here, there = derivatives(params), derivatives(moved)
    norms = [np.linalg.norm(leaf) for leaf in here]
    largest = float(max((norm for norm in norms if np.isfinite(norm)), default=0.0))
    with np.errstate(all="ignore"):
        changes = [float(np.nan_to_num(np.linalg.norm(b - a) / unit**0.5, nan=0.0, posinf=0.0))
                   for a, b in zip(here, there, strict=True)]
    return [Probe(direction, leaf, 16 * max(unit * largest, error * change), change, largest)
            for direction, leaf, change in zip(directions or [None] * len(here), here, changes, strict=True)]


def _signs(seed: int, shape) -> np.ndarray:
    """Random ±1, by NumPy: JAX would compile for every shape."""
    return 2.0 * np.random.default_rng(seed).integers(2, size=shape) - 1.0


def _directions(params, seed: int, count: int) -> list[np.ndarray | None]:
    """None for a leaf to be probed along its coordinates, else random directions (count, size)."""
    # one seed for all: they are probed one at a time, and then neither their order nor their number matters
    return [None if leaf.size <= ENTRIES else _signs(seed, (count, leaf.size)) for leaf in jax.tree.leaves(params)]


def toward(params, i: int, row) -> list:
    """The leaves of the direction that moves leaf i alone, along `row` (size,)."""
    return [np.reshape(row, np.shape(leaf)) if i == j else np.zeros(np.shape(leaf))
            for j, leaf in enumerate(jax.tree.leaves(params))]


def _every(along: Callable, directions) -> Callable:
    """params -> for each leaf the derivatives along its directions, from along(params, direction)."""

    @jax.jit
    def entries(params, places):
        """Along the coordinates (leaf, entry): one compilation for all leaves."""
        leaves, tree = jax.tree.flatten(params)

        def one(place):
            direction = [((place[0] == i) & (jnp.arange(leaf.size) == place[1])).astype(leaf.dtype).reshape(leaf.shape)
                         for i, leaf in enumerate(leaves)]
            return along(params, jax.tree.unflatten(tree, direction))

        return jax.lax.map(one, places, batch_size=_CHUNK)

    @partial(jax.jit, static_argnums=1)
    def rows(params, i, directions):
        leaves, tree = jax.tree.flatten(params)

        def one(row):
            direction = [row.reshape(leaf.shape) if i == j else jnp.zeros_like(leaf) for j, leaf in enumerate(leaves)]
            return along(params, jax.tree.unflatten(tree, direction))

        return jax.lax.map(one, directions, batch_size=_CHUNK)

    def of_every_leaf(params):
        sizes = [leaf.size if each is None else 0 for leaf, each in zip(jax.tree.leaves(params), directions, strict=True)]
        places = np.array([(i, j) for i, size in enumerate(sizes) for j in range(size)], dtype=int).reshape(-1, 2)
        small = np.split(np.asarray(entries(params, places)), np.cumsum(sizes)[:-1])
        return [small[i] if each is None else np.asarray(rows(params, i, each)) for i, each in enumerate(directions)]

    return of_every_leaf


def _one_by_one(along: Callable, directions) -> Callable:
    """As `_every`, for functions that JAX cannot trace."""
    def of_every_leaf(params):
        leaves, tree = jax.tree.flatten(params)
        rows = [np.eye(leaf.size) if each is None else each for leaf, each in zip(leaves, directions, strict=True)]
        return [np.array([float(along(params, tree.unflatten(toward(params, i, row)))) for row in each])
                for i, each in enumerate(rows)]

    return of_every_leaf
