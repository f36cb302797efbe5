"""Independent derivatives of a scalar function, with which a gradient is compared.

They are taken by reverse mode, forward mode, central differences or the complex step.

A *direction* moves one leaf of the parameters. A leaf of at most `ENTRIES` entries is probed along
each coordinate, which gives the derivative of each entry. A larger leaf is probed along random ±1
vectors d; `directions_for` sets their number.

How likely is it that a wrong leaf passes? Let e be the error of the leaf and τ the threshold of
one direction.

- If some |eᵢ| > τ, then d·e with dᵢ = 1 and d·e with dᵢ = −1 lie more than 2τ apart, so at least
  one of the two is detected: P(|d·e| ≤ τ) ≤ 1/2. If eᵢ is the only wrong entry, P is 0.
- If all |eᵢ| ≤ τ and ‖e‖ ≥ 4τ, the theorem of Berry and Esseen gives
  P(|d·e| ≤ τ) ≤ erf(1/√32) + 2 · 0.56/4 < 1/2.

So k directions miss an error of norm 4τ or more with probability at most 2⁻ᵏ. A dense error of
norm rτ is missed far more rarely, with P ≈ erf(1/(r√2))ᵏ.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.debugger.tolerance import SAME
from functional_nn.verify.limits import DIFFERENCES, ENTRIES, FEWEST, ROUNDINGS, STEP, TINIEST, UNIT
from functional_nn.verify.noise import central, noise_of, rounding_of, signs_of

_CHUNK = 64  # directions evaluated in parallel


class Probe(NamedTuple):
    """A reference's derivatives of one leaf.

    Attributes:
      directions: (k, size), the directions of the derivatives; None if the derivative of each
        entry is known.
      derivatives: along each direction, or by each entry.
      noise: the expected error in the norm of `derivatives`.
      change: the norm by which `derivatives` change if each parameter changes by its own size.
      largest: the norm of the largest leaf's derivatives.
      rounding: the error of one central difference with the step `STEP` by f's own rounding.
    """

    directions: np.ndarray | None
    derivatives: np.ndarray
    noise: float
    change: float = 0.0
    largest: float = 0.0
    rounding: float = 0.0


class Reference(NamedTuple):
    """One kind of independent derivatives of f.

    Attributes:
      probes: one Probe per leaf.
      at: params -> the same derivatives at other parameters, one array per leaf.
      along: (params, direction) -> the derivative along one direction; None if the derivative of
        each entry is known.
    """

    probes: list[Probe]
    at: Callable
    along: Callable | None


def directions_for(miss: float) -> int:
    """Return the number of random directions k = log₂(1/miss), at least 16.

    Then an error of 4 thresholds or more passes with probability at most `miss`.

    >>> directions_for(1e-9), directions_for(1e-3), directions_for(0.5)      # at least 16 in any case
    (30, 16, 16)
    """
    return max(FEWEST, math.ceil(-math.log2(miss)))


def autodiff(f: Callable, params, seed: int, count: int) -> Reference:
    """Return reverse-mode derivatives, by `jax.grad`, of each entry of each leaf."""
    gradient = compiled(jax.grad(f))

    def at(params):
        return [np.ravel(leaf) for leaf in jax.tree.leaves(gradient(params))]

    return Reference(_probes(at, params, seed, UNIT), at, None)


def forward(f: Callable, params, seed: int, count: int) -> Reference:
    """Return forward-mode derivatives, by `jax.jvp`."""
    directions = random_directions(params, seed, count)

    def slope(params, direction):
        return jax.jvp(f, (params,), (direction,))[1]

    at = (_every if _traced(f, params) else one_by_one)(slope, directions)
    return Reference(_probes(at, params, seed, UNIT, directions), at, compiled(slope))


def differences(f: Callable, params, seed: int, count: int) -> Reference:
    """Return central differences (f(p + hd) − f(p − hd)) / 2h with h ≈ ∛u.

    The truncation error is O(h²) and the rounding error u|f|/h, where u is the eps of f's dtype.
    """
    directions, traced = random_directions(params, seed, count), _traced(f, params)
    quick = compiled(f) if traced else f
    value = np.asarray(quick(params))
    unit = float(jnp.finfo(value.dtype).eps)
    h = STEP if unit == UNIT else 2.0 ** round(math.log2(unit) / 3)

    def slope(params, direction):
        return central(f, params, direction, h)

    at = (_every if traced else one_by_one)(slope, directions)
    rounding = max(rounding_of(float(value), h) * unit / UNIT, 4 * noise_of(quick, params) / h)
    probes = [probe._replace(noise=probe.noise + rounding * len(probe.derivatives) ** 0.5,
                             rounding=rounding * h / STEP)
              for probe in _probes(at, params, seed, h**2, directions, unit)]
    return Reference(probes, at, compiled(slope) if traced else slope)


def complex_step(f: Callable, params, seed: int, count: int) -> Reference:
    """Return complex-step derivatives Im f(p + ihd) / h with a tiny h.

    They are exact to rounding if f is analytic and does not drop the imaginary part.

    Raises:
      ValueError: central differences along one direction disagree, as they do if f takes an
        absolute value, a maximum or a real part.
    """
    h = TINIEST

    def slope(params, direction):
        with jax.numpy_dtype_promotion("standard"):  # real arguments meet the complex parameters in f
            return np.imag(f(jax.tree.map(lambda p, d: p + 1j * h * d, params, direction))) / h

    one = jax.tree.map(lambda p: np.random.default_rng(0).normal(size=np.shape(p)), params)
    if not np.isclose(float(slope(params, one)), float(central(f, params, one)), rtol=SAME, atol=DIFFERENCES):
        raise ValueError("reference='complex' needs an analytic f: abs, max, norm and conj drop the imaginary part; use 'fd'")
    directions = random_directions(params, seed, count)
    at = one_by_one(slope, directions)
    return Reference(_probes(at, params, seed, UNIT, directions), at, slope)


REFERENCES = {"autodiff": autodiff, "forward": forward, "fd": differences, "complex": complex_step}
TITLES = {"autodiff": "jax.grad", "forward": "forward mode", "fd": "central differences", "complex": "complex step"}


def compiled(function: Callable) -> Callable:
    """Return `function` under `jit`, with a fallback to plain calls if it cannot be traced."""
    traced = jax.jit(function)

    def call(*args):
        try:
            return traced(*args)
        except jax.errors.JAXTypeError:
            return function(*args)

    return call


def _traced(f: Callable, params) -> bool:
    """Return whether f can be compiled: plain NumPy and a Python `if` on a value cannot."""
    if not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(params)):  # f is NumPy
        return False
    try:
        jax.eval_shape(f, params)
    except jax.errors.JAXTypeError:
        return False
    return True


def _probes(derivatives: Callable, params, seed: int, error: float, directions=None, unit: float = UNIT) -> list[Probe]:
    """Return one Probe per leaf at `params`.

    The noise of a leaf is ROUNDINGS times the larger of two terms:

    - u ‖g‖, where g is the largest leaf's gradient and u is `unit`, the eps of f's dtype. A leaf
      whose true gradient is 0 comes out as large as the rounding of the other leaves.
    - `error`, the relative error of the method, times the change of g if each parameter changes by
      its own size. A gradient that is 0 because its terms cancel, as at a minimum, comes out as
      large as the rounding of those terms. The change is extrapolated from a step of √u, so that a
      kink adds next to nothing.
    """
    def nearby(p):
        p = np.asarray(p)
        return p + unit**0.5 * p * signs_of(seed, p.shape)

    moved = jax.tree.map(nearby, params)
    here, there = derivatives(params), derivatives(moved)
    norms = [np.linalg.norm(leaf) for leaf in here]
    largest = float(max((norm for norm in norms if np.isfinite(norm)), default=0.0))
    with np.errstate(all="ignore"):
        changes = [float(np.nan_to_num(np.linalg.norm(b - a) / unit**0.5, nan=0.0, posinf=0.0))
                   for a, b in zip(here, there, strict=True)]
    return [Probe(direction, leaf, ROUNDINGS * max(unit * largest, error * change), change, largest)
            for direction, leaf, change in zip(directions or [None] * len(here), here, changes, strict=True)]


def random_directions(params, seed: int, count: int, most: int = ENTRIES) -> list[np.ndarray | None]:
    """Return random directions (count, size) for each leaf of more than `most` entries, else None.

    A leaf with None is probed along its coordinates.
    """
    # One seed serves all leaves, as they are probed one at a time: so a leaf's directions depend
    # neither on the order of the leaves nor on their number.
    return [None if leaf.size <= most else signs_of(seed, (count, leaf.size)) for leaf in jax.tree.leaves(params)]


def toward(params, i: int, row) -> list:
    """Return the leaves of the direction that moves leaf i alone, along `row` (size,)."""
    return [np.reshape(row, np.shape(leaf)) if i == j else np.zeros(np.shape(leaf))
            for j, leaf in enumerate(jax.tree.leaves(params))]


def _every(along: Callable, directions) -> Callable:
    """Return a function of params that gives each leaf's derivatives along its directions.

    `along` is (params, direction) -> the derivative along one direction.
    """

    @jax.jit
    def entries(params, places):
        """Return the derivatives along coordinates (leaf, entry), compiled once for all leaves."""
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


def one_by_one(along: Callable, directions) -> Callable:
    """Do the same as `_every` for functions that JAX cannot trace."""
    def of_every_leaf(params):
        leaves, tree = jax.tree.flatten(params)
        rows = [np.eye(leaf.size) if each is None else each for leaf, each in zip(leaves, directions, strict=True)]
        return [np.array([float(along(params, tree.unflatten(toward(params, i, row)))) for row in each])
                for i, each in enumerate(rows)]

    return of_every_leaf
