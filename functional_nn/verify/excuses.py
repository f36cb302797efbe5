"""Recognise errors that are no wrong gradients: kinks, rounding, and calls that do not repeat.

At a kink a function has two one-sided derivatives, L and R, and any number between them is a valid
convention for its derivative: relu'(0) is 0 for JAX and may be 1 elsewhere. Such a convention is
excused if three conditions hold: R − L does not shrink with the step, the gradient lies between L
and R, and the gradient is right a little away from the point.
"""

import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.noise import STEP, UNIT, rounding_of
from functional_nn.verify.references import RELATIVE, Probe, toward

# These steps tell a kink from a smooth bend: at a bend, R − L shrinks with the step.
STEPS = (STEP, STEP / 8, STEP / 64)
AWAY = 1e-6  # the jitter, relative to the parameters: far more than the last step
# With central differences at most LOOKS["fd"] rows of each leaf are measured again. With the other
# references it is FEW rows of all leaves together, since a gradient costs them no more than a few
# values of f.
LOOKS = {"fd": 1024}
FEW = 5


class Kink(NamedTuple):
    """A row of a probe, that is an entry or a direction, along which f has a kink.

    Attributes:
      row: the row's index.
      left, right: the one-sided derivatives.
      given: the derivative by the gradient under test.
      reference: the derivative by the reference.
      between: whether `given` lies between the one-sided derivatives.
    """

    row: int
    left: float
    right: float
    given: float
    reference: float
    between: bool


class Seen(NamedTuple):
    """The result of measuring rows again.

    Attributes:
      probe: the probe, with new derivatives where a bend made the old ones inaccurate.
      kinks: the kinks that were found.
      bends: the number of rows with a bend.
    """

    probe: Probe
    kinks: list[Kink]
    bends: int


def suspicious(given: np.ndarray, probe: Probe, name: str) -> np.ndarray:
    """Return the rows of the probe that may be wrong, the worst first.

    `given` is the gradient along each row, and `name` is the reference's name.
    """
    with np.errstate(all="ignore"):
        gap = np.abs(given - probe.derivatives)
        allowed = (RELATIVE[name] * float(np.linalg.norm(given)) + probe.noise) / max(len(given), 1) ** 0.5
    rows = np.flatnonzero(np.isfinite(gap) & (gap > 0.3 * allowed))
    return rows[np.argsort(-gap[rows], kind="stable")]


def from_both_sides(rows: np.ndarray, given: np.ndarray, probe: Probe, ahead: np.ndarray, behind: np.ndarray) -> list[Kink]:
    """Return the kinks among the rows, found from the reference's derivatives at two nearby points.

    Let g be the reference at the point, g₊ a jitter ahead of it and g₋ a jitter behind it. A unit
    at its kink is on at one of the two sides only. So in g₊ + g₋ − g each such unit has the
    convention that g does not have. A gradient with either convention, or one in between, lies
    within the range of g, g₊, g₋ and g₊ + g₋ − g.

    >>> both = Probe(None, np.array([0.0, 2.0]), 0.0), np.array([1.0, 2.0]), np.array([0.0, 2.0])             # relu at 0; 2p
    >>> [kink.row for kink in from_both_sides(np.array([0, 1]), np.array([0.5, 3.0]), *both)]
    [0]
    """
    here = probe.derivatives
    four = np.stack([ahead, behind, here, ahead + behind - here])
    low, high = four.min(axis=0), four.max(axis=0)
    slack = 1e-3 * (high - low) + 10 * AWAY * probe.change / len(here) ** 0.5
    inside = (low - slack <= given) & (given <= high + slack)
    return [Kink(int(row), float(min(ahead[row], behind[row])), float(max(ahead[row], behind[row])), float(given[row]),
                 float(here[row]), True) for row in rows if inside[row]]


def look_closely(f: Callable, value: float, params, i: int, rows: np.ndarray, given: np.ndarray, probe: Probe,
                 name: str) -> Seen:
    """Measure rows of leaf i again, by one-sided derivatives of f at two or three steps.

    Args:
      f: the scalar function of params.
      value: f(params).
      i: the leaf's index.
      rows: the rows in which the gradient differs from the reference.
      given: the gradient along all of the probe's rows.
      probe: the reference's probe of the leaf.
      name: the reference's name.
    """
    found, kinks, bends, noise = probe.derivatives.copy(), [], 0, 0.0
    steps = STEPS if name == "fd" else STEPS[1:]
    for row in rows:
        left, right = _sides(f, value, params, i, row, probe, steps)
        central, jump = (left + right) / 2, np.abs(right - left)
        rough = np.array([max(rounding_of(value, step), probe.rounding * STEP / step) for step in steps]) + 8 * UNIT * np.maximum(np.abs(left), np.abs(right))
        if jump[-1] > max(0.5 * jump[-2], 4 * rough[-1]):
            low, high = sorted((left[-1], right[-1]))
            slack = 2 * rough[-1] + jump[-1] * 1e-3
            kinks.append(Kink(int(row), float(left[-1]), float(right[-1]), float(given[row]), float(probe.derivatives[row]),
                              bool(low - slack <= given[row] <= high + slack)))
        # the first step crossed a kink or a bend
        elif name == "fd" and abs(central[0] - central[2]) > 2 * rough[2]:
            low, high = sorted((left[2], right[2]))
            # there may be a kink within the last step
            unresolved = jump[2] > 4 * rough[2] and low <= given[row] <= high
            found[row], bends, noise = given[row] if unresolved else central[2], bends + 1, np.hypot(noise, rough[2])
    return Seen(probe._replace(derivatives=found, noise=float(np.hypot(probe.noise, noise))), kinks, bends)


def _sides(f: Callable, value: float, params, i: int, row: int, probe: Probe, steps) -> tuple[np.ndarray, np.ndarray]:
    """Return the one-sided derivatives (L, R) of f along one row, each with one entry per step."""
    leaves, tree = jax.tree.flatten(params)
    along = np.eye(1, leaves[i].size, row)[0] if probe.directions is None else probe.directions[row]
    direction = toward(params, i, along)
    at = [[float(f(tree.unflatten([p + sign * step * d for p, d in zip(leaves, direction, strict=True)])))
           for sign in (-1, 1)] for step in steps]
    return tuple(np.array([sign * (both[place] - value) / step for both, step in zip(at, steps, strict=True)])
                 for place, sign in ((0, -1), (1, 1)))


def jittered(params, key, size: float):
    """Return the parameters, each moved at random by up to `size` · (|p| + the typical |p|)."""
    leaves = jax.tree.leaves(params)
    typical = (sum(float(np.sum(np.square(leaf))) for leaf in leaves) / max(sum(leaf.size for leaf in leaves), 1)) ** 0.5 or 1.0

    def moved(path, leaf):
        # the key depends on the leaf's path, not on the order of the leaves
        own = jax.random.fold_in(key, zlib.crc32(jax.tree_util.keystr(path).encode()))
        return leaf + size * (np.abs(leaf) + typical) * np.asarray(jax.random.uniform(own, leaf.shape, leaf.dtype, -1.0, 1.0))

    return jax.tree_util.tree_map_with_path(moved, params)


def right_nearby(f: Callable, there, i: int, given: np.ndarray, kinks: Sequence[Kink], probe: Probe, name: str,
                 values: np.ndarray | None) -> bool:
    """Return whether leaf i is right at the parameters `there`, a jitter away.

    Args:
      f: the scalar function of params.
      there: the moved parameters.
      i: the leaf's index.
      given: the gradient at `there`, along the probe's rows.
      kinks: the kinks that were found at the original parameters.
      probe: the reference's probe of the leaf.
      name: the reference's name.
      values: the reference's derivatives at `there`. None for central differences, whose step
        would reach back to the kink; they are taken again with the last step, on the kinks' rows.
    """
    if values is not None:
        size = max(np.linalg.norm(given), np.linalg.norm(values))
        return bool(np.linalg.norm(given - values) <= RELATIVE[name] * size + probe.noise)
    value = float(f(there))
    for kink in kinks:
        left, right = (side[0] for side in _sides(f, value, there, i, kink.row, probe, STEPS[2:]))
        rough = rounding_of(value, STEPS[2]) + RELATIVE[name] * (abs(left) + abs(right))
        if not abs(given[kink.row] - (left + right) / 2) <= 2 * rough + abs(kink.right - kink.left) * 1e-3:
            return False
    return True


def differs(first, second, path: str, tolerance: float) -> str:
    """Return a sentence that says how a leaf differs between two calls, "" if it does not.

    >>> differs(np.array([1.0, 2.0]), np.array([1.0, 2.5]), "['w']", 1e-12)
    "['w'] differs by up to 0.5, at ['w'][1]: 2, then 2.5"
    """
    a, b = (np.atleast_1d(np.asarray(leaf, dtype=np.float64)) for leaf in (first, second))
    if a.shape != b.shape:
        return f"{path} had shape {np.shape(first)}, then {np.shape(second)}"
    with np.errstate(all="ignore"):
        gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    gap = np.where(np.isnan(gap), np.inf, gap)
    if gap.size == 0 or gap.max() <= tolerance * np.linalg.norm(np.nan_to_num(a, posinf=0.0, neginf=0.0)):
        return ""
    flat = int(np.argmax(gap))
    index = [int(n) for n in np.unravel_index(flat, np.shape(first))]
    return f"{path} differs by up to {gap.flat[flat]:.3g}, at {path}{index or ''}: {a.flat[flat]:.6g}, then {b.flat[flat]:.6g}"


def unit_of(leaf) -> float:
    """Return the rounding unit of a gradient's dtype: half its eps; for integers float64's.

    >>> unit_of(np.float32(1)) == 2.0**-24, unit_of(3) == 2.0**-53
    (True, True)
    """
    dtype = np.asarray(leaf).dtype if not hasattr(leaf, "dtype") else leaf.dtype
    return float(jnp.finfo(dtype).eps) / 2 if jnp.issubdtype(dtype, jnp.floating) else 2.0**-53


def rounding_allowed(unit: float, size: float, probe: Probe) -> float:
    """Return the largest norm of an error that rounding to `unit` explains.

    It is 16 units of the leaf and of the terms whose sum is the leaf, and 2 units of the largest
    leaf, since terms of that size may have cancelled.
    """
    return unit * (16 * (size + probe.change) + 2 * probe.largest)
