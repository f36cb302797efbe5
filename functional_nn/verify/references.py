"""Independent derivatives of a scalar function: reverse mode, forward mode, central differences, the complex step.

A *direction* moves one leaf of the parameters. A leaf of at most `ENTRIES` entries is probed along every coordinate, so that
the derivative of each entry is known; a larger one along `DIRECTIONS` random ±1 vectors.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.calls import traceable

ENTRIES = 4096
DIRECTIONS = 32
UNIT = float(np.finfo(np.float64).eps)  # u
_CHUNK = 64  # directions evaluated side by side


class Probe(NamedTuple):
    """A reference's derivatives of one leaf: along `directions` (k, size), or of every entry where that is None."""

    directions: np.ndarray | None
    derivatives: np.ndarray
    noise: float  # the error to be expected in the norm of `derivatives`


def autodiff(f: Callable, params, key) -> list[Probe]:
    """Reverse mode, `jax.grad`: every entry of every leaf."""
    gradient = compiled(jax.grad(f))
    return _probes(lambda p: [np.ravel(leaf) for leaf in jax.tree.leaves(gradient(p))], params, key, UNIT)


def forward(f: Callable, params, key) -> list[Probe]:
    """Forward mode, `jax.jvp`."""
    directions = _directions(params, key)
    along = _every(lambda p, direction: jax.jvp(f, (p,), (direction,))[1], directions)
    return _probes(along, params, key, UNIT, directions)


def differences(f: Callable, params, key) -> list[Probe]:
    """Central differences (f(p + hd) − f(p − hd)) / 2h with h ≈ ∛u: truncation O(h²), rounding u|f|/h.

    h is a power of two, so that p ± h is exact and the size of p does no harm.
    """
    h = 2.0**-17

    def slope(params, direction):
        ahead = f(jax.tree.map(lambda p, d: p + h * d, params, direction))
        behind = f(jax.tree.map(lambda p, d: p - h * d, params, direction))
        return (ahead - behind) / (2 * h)

    directions = _directions(params, key)
    every = _every if traceable(f, params) else _one_by_one
    rounding = 16 * UNIT * abs(float(compiled(f)(params))) / h
    return [probe._replace(noise=probe.noise + rounding * len(probe.derivatives) ** 0.5)
            for probe in _probes(every(slope, directions), params, key, h**2, directions)]


def complex_step(f: Callable, params, key) -> list[Probe]:
    """Im f(p + ihd) / h with h = 1e-30: exact to rounding, where f is analytic and does not drop the imaginary part.

    Raises:
      ValueError: central differences along one direction do not agree: f takes an absolute value, a maximum or a real part.
    """
    h = 1e-30

    def slope(params, direction):
        return np.imag(f(jax.tree.map(lambda p, d: p + 1j * h * d, params, direction))) / h

    def real_slope(params, direction):
        step = 2.0**-17
        ahead = f(jax.tree.map(lambda p, d: p + step * d, params, direction))
        return float((ahead - f(jax.tree.map(lambda p, d: p - step * d, params, direction))) / (2 * step))

    one = jax.tree.map(lambda p: np.random.default_rng(0).normal(size=np.shape(p)), params)
    if not np.isclose(float(slope(params, one)), real_slope(params, one), rtol=1e-5, atol=1e-7):
        raise ValueError("reference='complex' needs an analytic f: abs, max, norm and conj drop the imaginary part; use 'fd'")
    directions = _directions(params, key)
    return _probes(_one_by_one(slope, directions), params, key, UNIT, directions)


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


def _probes(derivatives: Callable, params, key, error: float, directions=None) -> list[Probe]:
    """The derivatives at `params`, each with its noise, 16 times the larger of

    - u ‖g‖ for the largest leaf g: a leaf whose true gradient is 0 comes out at the rounding of the others;
    - `error` (of the method, relative) times what g changes by when every parameter changes by its own size: a gradient that is
      0 because its terms cancel, as at a minimum, comes out at the rounding of the terms. The change is taken over a step of
      √u, so that a kink adds next to nothing.
    """
    moved = jax.tree.map(lambda p: p + UNIT**0.5 * p * np.asarray(jax.random.rademacher(key, p.shape, p.dtype)), params)
    here, there = derivatives(params), derivatives(moved)
    floor = UNIT * max(np.linalg.norm(leaf) for leaf in here)
    changes = [np.linalg.norm(b - a) / UNIT**0.5 for a, b in zip(here, there, strict=True)]
    return [Probe(direction, leaf, float(np.nan_to_num(16 * max(floor, error * change), nan=0.0, posinf=0.0)))
            for direction, leaf, change in zip(directions or [None] * len(here), here, changes, strict=True)]


def _directions(params, key) -> list[np.ndarray | None]:
    """None for a leaf to be probed along its coordinates, else random directions (DIRECTIONS, size)."""
    leaves = jax.tree.leaves(params)
    return [None if leaf.size <= ENTRIES else np.asarray(jax.random.rademacher(k, (DIRECTIONS, leaf.size), leaf.dtype))
            for leaf, k in zip(leaves, jax.random.split(key, len(leaves)), strict=True)]


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
        found = []
        for i, (leaf, rows) in enumerate(zip(leaves, directions, strict=True)):
            rows = np.eye(leaf.size) if rows is None else rows
            zeros = [np.zeros(np.shape(other)) for other in leaves]
            found.append(np.array([float(along(params, jax.tree.unflatten(
                tree, [*zeros[:i], row.reshape(np.shape(leaf)), *zeros[i + 1:]]))) for row in rows]))
        return found

    return of_every_leaf
