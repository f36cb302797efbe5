"""What else is known of f and says what a wrong leaf holds: other leaves, parts of f, its bends.

A `case` is one of `leaves`; `points` are (params, given leaves, right leaves) at several points.
Each function returns hypotheses as (cause, formula, prediction at the points).
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.calls.arrays import is_array
from functional_nn.verify.noise import STEP

SMALL = 64  # entries of a leaf up to which second derivatives are taken
WIDE = 2.0**-7  # step of second derivatives: their error is some WIDE⁴ / 90, and u / WIDE²
CLOSE = 1e-5  # relative: two leaves this close are the same
TIMES = {-1: ("penalty forgotten", "{}"), -0.5: ("penalty forgotten", "half of {}"),
         -2: ("sign", "of {}"), 1: ("penalty doubled", "{}")}
Guess = tuple  # (cause, formula, prediction at the points), and the fitted numbers in words if any


class Parts(NamedTuple):
    """f as a function of its arguments too, of which parts can be seen.

    Attributes:
      f: (params, args) -> the value.
      args: the arguments.
      numpy: whether f is NumPy, and is differentiated by central differences.
    """

    f: Callable
    args: tuple
    numpy: bool

    def slope(self, params: Any, args: tuple, i: int) -> np.ndarray:
        """Return the derivatives of f by leaf i, at other arguments."""
        if not self.numpy:
            return np.ravel(jax.tree.leaves(jax.grad(self.f)(params, args))[i])
        return (self._shifted(params, args, i, STEP) - self._shifted(params, args, i, -STEP)) / (
            2 * STEP)

    def _shifted(self, params: Any, args: tuple, i: int, step: float) -> np.ndarray:
        """f with each entry of leaf i moved by `step` in turn."""
        leaves, tree = jax.tree.flatten(params)

        def at(k: int) -> float:
            moved = np.array(leaves[i], dtype=np.float64)
            moved.flat[k] += step
            like = moved if self.numpy else jnp.asarray(moved)
            return float(self.f(tree.unflatten([*leaves[:i], like, *leaves[i + 1:]]), args))

        return np.array([at(k) for k in range(np.size(leaves[i]))])

    def terms(self, params: Any, i: int) -> dict[str, np.ndarray]:
        """Return parts of the derivative by leaf i: without data, and linear in one number."""
        found = {}
        for k, arg in enumerate(self.args):
            if np.ndim(arg) == 0 and isinstance(arg, float | np.floating | jax.Array) and arg != 0:
                doubled = (*self.args[:k], 2 * arg, *self.args[k + 1:])
                found[f"the part with args[{k}]"] = self.slope(params, doubled, i) - self.slope(
                    params, self.args, i)
        without = jax.tree.map(lambda arg: 0 * arg if _is_data(arg) else arg, self.args)
        if any(map(_is_data, jax.tree.leaves(self.args))):
            found["the part that no data touch"] = self.slope(params, without, i)
        return found

    def diagonals(self, params: Any, i: int) -> dict[str, np.ndarray]:
        """Return the second derivatives by leaf i, and with an argument of its shape.

        If f is Σ g · s(p), the latter times g is g times the diagonal of the Jacobian of s.
        """
        size, shape = np.size(jax.tree.leaves(params)[i]), np.shape(jax.tree.leaves(params)[i])
        if not 1 < size <= SMALL:
            return {}
        near, far = ([self._shifted(params, self.args, i, step * s) for s in (1, -1)]
                     for step in (WIDE, 2 * WIDE))
        value = float(self.f(params, self.args))
        found = {"second derivative": (16 * sum(near) - sum(far) - 30 * value) / (12 * WIDE**2)}
        for k, arg in enumerate(self.args):
            if is_array(arg) and arg.shape == shape and _is_data(arg):
                here = self.slope(params, self.args, i)
                unit = np.eye(size).reshape(size, *shape)
                slopes = [self.slope(params, (*self.args[:k], arg + e, *self.args[k + 1:]), i)[j]
                          for j, e in enumerate(unit)]
                found[f"args[{k}] times the diagonal of a Jacobian"] = np.ravel(arg) * (
                    np.array(slopes) - here)
        return found


def _is_data(arg: Any) -> bool:
    return is_array(arg) and arg.ndim > 0 and jnp.issubdtype(arg.dtype, jnp.floating)


def copied(case, i: int, points, stacked: Callable) -> list[Guess]:
    """Return the hypotheses that leaf i holds another leaf, or what a part of f gives."""
    others = [("another leaf's gradient", f"df/d{case.label(j)}",
               stacked(right[j] for _, _, right in points))
              for j in range(len(case.paths))
              if j != i and np.shape(case.leaves[j]) == np.shape(case.leaves[i])
              and all(np.size(right[j]) == np.size(case.leaves[j]) for _, _, right in points)]
    parts = getattr(case, "parts", None)
    return others if parts is None else [
        *others, *_by_terms(case, i, points, stacked, parts), *_by_diagonals(
            case, i, points, stacked, parts)]


def _by_terms(case, i: int, points, stacked, parts: Parts) -> Iterator[Guess]:
    """Hypotheses that a part of f is forgotten, halved, doubled or of the other sign."""
    right = stacked(right[i] for _, _, right in points)
    gap = stacked(mine[i] for _, mine, _ in points) - right
    with contextlib.suppress(Exception), np.errstate(all="ignore"):  # f may fail without its data
        each = [parts.terms(params, i) for params, _, _ in points]
        for name in each[0]:
            term = stacked(one[name] for one in each)
            if _close(term, right) or not term.any():
                continue
            for times, (cause, text) in TIMES.items():
                if _close(gap, times * term):
                    formula = f"df/d{case.label(i)} {'+-'[times < 0]} {abs(times):g} * ({name})"
                    yield cause, formula, right + times * term, text.format(name)


def _by_diagonals(case, i: int, points, stacked, parts: Parts) -> Iterator[Guess]:
    """Hypotheses that the leaf holds second derivatives."""
    with contextlib.suppress(Exception), np.errstate(all="ignore"):
        names = None
        for params, mine, _ in points:
            same = {name for name, value in parts.diagonals(params, i).items()
                    if _close(np.ravel(mine[i]), value)}
            names = same if names is None else names & same
            if not names:
                return
        mine = stacked(given[i] for _, given, _ in points)
        for name in names:
            second = name == "second derivative"
            yield (name if second else "cross terms forgotten",
                   f"d²f/d{case.label(i)}²" if second else name, mine, "")


def _close(mine: np.ndarray, theirs: np.ndarray) -> bool:
    return bool(np.linalg.norm(mine - theirs) <= CLOSE * np.linalg.norm(theirs))


def cut_together(case, i: int, points, stacked: Callable) -> list[Guess]:
    """Return the hypothesis that all leaves are clipped together, to a norm."""
    if len(case.paths) < 2 or any(g is None for _, mine, _ in points for g in mine) or any(
            np.size(r) != np.size(leaf) for _, _, right in points
            for r, leaf in zip(right, case.leaves, strict=True)):
        return []
    norms = [[float(np.sqrt(sum(np.sum(np.square(v)) for v in values))) for values in (mine, right)]
             for _, mine, right in points]
    limit = max(mine for mine, _ in norms)
    shares = [min(1.0, limit / right) if right else 1.0 for _, right in norms]
    if min(shares) == 1.0:
        return []
    text = f"df/d{case.label(i)} * min(1, {limit:.4g} / norm of all leaves)"
    return [("clipped", text, stacked(share * right[i] for share, (_, _, right)
                                      in zip(shares, points, strict=True)))]


def exchanged(case, i: int, point) -> list[int]:
    """Return the leaves of leaf i's shape that hold its gradient while leaf i holds theirs."""
    _, given, right = point

    def same(mine, theirs):
        return mine is not None and len(theirs) == mine.size and _close(mine.ravel(), theirs)

    return [j for j in range(len(right))
            if j != i and np.shape(case.leaves[j]) == np.shape(case.leaves[i])
            and same(given[i], right[j]) and same(given[j], right[i])]
