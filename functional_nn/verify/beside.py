"""What else is known of f and says what a wrong leaf holds: other leaves, parts of f, its bends.

All of it is computed when a record asks for it, and once for each point.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.calls.arrays import is_array
from functional_nn.verify.limits import SMALL, WIDE
from functional_nn.verify.naming import close
from functional_nn.verify.noise import central

SECOND = np.array([-1, 16, -30, 16, -1]) / 12  # the stencil of a second derivative, of fourth order


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
        of, leaf, units = self._of_leaf(params, args, i)
        return np.array([central(of, leaf, unit) for unit in units])

    def _of_leaf(self, params: Any, args: tuple, i: int) -> tuple[Callable, np.ndarray, np.ndarray]:
        """(f of leaf i alone, the leaf, the directions of its entries)."""
        leaves, tree = jax.tree.flatten(params)
        leaf = np.array(leaves[i], dtype=np.float64)

        def of(moved: np.ndarray) -> float:
            like = moved if self.numpy else jnp.asarray(moved)
            return float(self.f(tree.unflatten([*leaves[:i], like, *leaves[i + 1:]]), args))

        return of, leaf, np.eye(leaf.size).reshape(-1, *leaf.shape)

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

    def second(self, params: Any, i: int, label: str) -> dict[str, np.ndarray]:
        """Return the second derivatives by leaf i, by central differences of f."""
        if not 1 < np.size(jax.tree.leaves(params)[i]) <= SMALL:
            return {}
        of, leaf, units = self._of_leaf(params, self.args, i)
        steps = WIDE * (np.arange(len(SECOND)) - len(SECOND) // 2)
        return {f"d²f/d{label}²": np.array([SECOND @ [of(leaf + step * unit) for step in steps] for unit in units]) / WIDE**2}

    def diagonals(self, params: Any, i: int) -> dict[str, np.ndarray]:
        """Return each argument g of the leaf's shape, times g's own second derivatives with the leaf.

        If f is Σ g · s(p), it is g times the diagonal of the Jacobian of s.
        """
        size, shape = np.size(jax.tree.leaves(params)[i]), np.shape(jax.tree.leaves(params)[i])
        alike = [k for k, arg in enumerate(self.args) if 1 < size <= SMALL and _is_data(arg) and arg.shape == shape]
        units, found = np.eye(size if alike else 0).reshape(-1, *shape), {}
        for k in alike:
            slopes = [self.slope(params, (*self.args[:k], self.args[k] + unit, *self.args[k + 1:]), i) for unit in units]
            found[f"args[{k}] times the diagonal of a Jacobian"] = np.ravel(self.args[k]) * (
                np.diagonal(slopes) - self.slope(params, self.args, i))
        return found


def _is_data(arg: Any) -> bool:
    return is_array(arg) and arg.ndim > 0 and jnp.issubdtype(arg.dtype, jnp.floating)


def known(parts: Parts | None, labels: list[str], params: Any, given: list, right: list, i: int,
          shape: tuple[int, ...]) -> dict[str, Callable]:
    """Return what `naming.Point` takes as `beside` for leaf i at one point.

    Args:
      parts: f; None where a leaf is seen along directions.
      labels: the names of the leaves.
      params: the point.
      given, right: the two gradients of all leaves, as they are seen; None is what is missing.
      shape: the shape of the leaf as it is seen.
    """
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(params)]
    alike = [j for j, other in enumerate(shapes)
             if j != i and other == shapes[i] and np.size(right[j]) == np.size(right[i])]

    def exchanged() -> dict[str, np.ndarray]:
        return {f"df/d{labels[j]}": np.reshape(right[j], shape) for j in alike
                if given[j] is not None and close(given[i], right[j]) and close(given[j], right[i])}

    def leaves() -> dict[str, np.ndarray]:
        return {f"df/d{labels[j]}": np.reshape(right[j], shape) for j in alike}

    def norms() -> dict[str, float]:
        whole = [g is not None and np.shape(np.ravel(r)) == (int(np.prod(own)),)
                 for g, r, own in zip(given, right, shapes, strict=True)]
        if len(given) < 2 or not all(whole):
            return {}
        return {name: float(np.sqrt(sum(np.sum(np.square(v)) for v in values)))
                for name, values in (("given", given), ("right", right))}

    def measured(of: Callable, *more) -> Callable:
        @functools.cache
        def values() -> dict[str, np.ndarray]:
            try:
                with np.errstate(all="ignore"):
                    return {name: np.reshape(v, shape) for name, v in of(params, i, *more).items()}
            except Exception:  # f may fail without its data
                return {}

        return values

    found = {"exchanged": exchanged}
    if parts is None:
        return found
    return {**found, "leaves": leaves, "norms": norms, "parts": measured(parts.terms),
            "second derivative": measured(parts.second, labels[i]),
            "cross terms forgotten": measured(parts.diagonals)}
