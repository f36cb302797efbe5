"""The function under test at given parameters, with what is known to be part of its gradient.

Its gradients are converted to one dict per station.
"""

import copy
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.calls.given import UserFunction
from functional_nn.verify.dither import dithered, rounds_late
from functional_nn.verify.stations import at


class Subject:
    """A user's function, as `calls.given` reads it, at parameters that may be moved."""

    def __init__(self, given: UserFunction):
        self.given, self.places, self.params = given, given.places, given.start
        # the gradient of the cost's own penalty, subtracted from each gradient
        self.own: list[dict[str, np.ndarray]] | None = None
        self.own_power = 0.0  # `own` is multiplied by this power of the number of examples
        # another such term, a wrong penalty that was found, is subtracted too
        self.added: list[dict[str, np.ndarray]] | None = None
        self.power = 0.0  # `added` is multiplied by this power of the number of examples
        self.doubt = 0.0  # the error of each entry of `added`, in rounding units
        # leaves that are known to have changed places
        self.exchanged: dict[tuple[int, str], tuple[int, str]] = {}
        # rounding unit of the function's computations, if it is finer than that of its result
        self.inner: float | None = None
        # rounding unit of the function's result, if that rounding is averaged away
        self.coarse: float | None = None
        # the dtype to which the result is rounded at the end, if that rounding is averaged away
        self.rounds_to: Any = None
        # the rounding error of each entry, where it was measured to be more than a few units
        self.measured: list[dict[str, np.ndarray]] | None = None
        self.floor = 0.0  # the size below which numbers of the gradient's dtype lose digits
        # (params, X, Y) -> (the gradient with its rounding averaged away, its deviation)
        self.mean: Callable | None = None
        self.deviation: Any = None  # the deviation of the last such mean
        self.spare: Callable | None = None  # (X, Y) -> replacements of leaves that are not finite

    def moved(self, seed: int, size: float) -> "Subject":
        """Return the same function at other parameters.

        Each entry moves at random, by about `size` times the root mean square of its leaf.
        """
        rng, other = np.random.default_rng(seed), copy.copy(self)
        mean = np.mean([np.sqrt(np.mean(leaf**2)) for leaf in jax.tree.leaves(self.params) if leaf.size])
        other.params = self.given.settled(jax.tree.map(lambda leaf: leaf + size * (
            np.sqrt(np.mean(leaf**2)) if leaf.any() else mean) * rng.normal(size=leaf.shape), self.params))
        return other

    def replaced(self, station: int, leaves: dict[str, np.ndarray]) -> "Subject":
        """Return the same function at parameters with other leaves in one station."""
        other = copy.copy(self)
        other.params = replaced(self.params, self.places[station].path, leaves)
        return other

    def stationed(self, tree) -> list[dict[str, np.ndarray]]:
        """Return a tree like the parameters as one dict per station, float64."""
        return [{name: np.asarray(leaf, dtype=np.float64) for name, leaf in at(tree, place).items()} for place in self.places]

    def path(self, station: int, leaf: str) -> str:
        """Return the leaf's path in the user's own tree."""
        return self.given.path(station, leaf)

    def known(self, count: int) -> list[dict[str, np.ndarray]] | None:
        """Return the terms that are part of the gradient of `count` examples; None without any."""
        terms = [(term, float(count) ** power) for term, power in ((self.own, self.own_power), (self.added, self.power))
                 if term is not None]
        if not terms:
            return None
        return [{leaf: sum(times * term[s][leaf] for term, times in terms) for leaf in terms[0][0][s]}
                for s in range(len(self.places))]

    def raw(self, X, Y) -> Any:
        """Return the gradient by the user's function, or its mean over nearby parameters."""
        if self.mean is None:
            return self.given.gradient(self.params, X, Y)
        tree, self.deviation = self.mean(self.params, X, Y)
        return tree

    def smoothed(self, right: Callable, sides: Callable, X, Y, dtype, seed: int) -> float | None:
        """Make `raw` return a mean in which rounding to `dtype` averages out.

        Return the rounding unit of that mean. If the function computes in `dtype` throughout,
        nothing changes, and the result is None.

        Args:
          right: (several params, X, Y) -> the right gradients as our parameters.
          sides: (several params, X, Y) -> the side of its kinks on which each unit lies, as
            `dithered` takes it.
          X, Y: a batch.
          dtype: the dtype of the function's result.
          seed: seed of the nearby parameters.
        """
        if not rounds_late(self.given.gradient, self.params, X, Y, dtype):
            return None
        unit = float(jnp.finfo(dtype).eps) / 2
        # for a finer dtype the averages suffice, and cancellation leaves errors above its precision
        self.rounds_to = dtype if unit > 1e-6 else None
        # behind half precision, float32 computations cannot be told from float64
        self.coarse, self.inner = unit, 2.0**-24 if unit > 1e-6 else 2.0**-53
        self.mean = dithered(self.given.gradient, right, sides, unit, seed)
        mean, deviation = self.mean(self.params, X, Y)
        leaves = zip(*map(jax.tree.leaves, (mean, *right([self.params], X, Y), deviation)), strict=True)
        noise = [np.linalg.norm(spread) / max(np.linalg.norm(given), np.linalg.norm(expected), 1e-300)
                 for given, expected, spread in leaves]
        return float(min(max(np.median(noise), unit / 16), unit))

    def slack(self, unit: float) -> list[dict[str, np.ndarray]] | None:
        """Return the rounding error in each entry of the last gradient, or None if there is none.

        It comes from subtracted and averaged terms, and is beyond the relative tolerance.
        """
        found = None
        if (known := self.known(1)) is not None:
            found = [{leaf: 4 * unit * np.abs(plus) for leaf, plus in own.items()} for own in known]
        if self.measured is not None:
            found = [{leaf: (0 if found is None else found[s][leaf]) + plus for leaf, plus in own.items()}
                     for s, own in enumerate(self.measured)]
        if self.mean is not None:
            spread = [{leaf: 6 * deviation for leaf, deviation in own.items()} for own in self.stationed(self.deviation)]
            found = spread if found is None else [{leaf: more[leaf] + plus for leaf, plus in own.items()}
                                                  for own, more in zip(found, spread, strict=True)]
        return found

    def gradients(self, X, Y) -> list[dict[str, np.ndarray]]:
        """Return the gradient of a batch, one dict per station, float64.

        Terms that are known to be added are subtracted, and exchanged leaves are put back.
        """
        found = self.stationed(self.raw(X, Y))
        if self.spare is not None:
            found = [{leaf: g if np.isfinite(g).all() else other[leaf] for leaf, g in own.items()}
                     for own, other in zip(found, self.spare(X, Y), strict=True)]
        if self.exchanged:
            found = [{name: found[t][other] for name in own for t, other in [self.exchanged.get((s, name), (s, name))]}
                     for s, own in enumerate(found)]
        if (known := self.known(len(X))) is not None:
            found = [{name: leaf - plus[name] for name, leaf in own.items()} for own, plus in zip(found, known, strict=True)]
        return found


def replaced(tree, path: tuple[int, ...], leaves: dict):
    """Return a tree shaped like the parameters with other leaves in one station."""
    if not path:
        return {**tree, **leaves}
    return tuple(replaced(part, path[1:], leaves) if i == path[0] else part for i, part in enumerate(tree))
