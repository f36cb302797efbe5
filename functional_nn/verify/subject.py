"""The function under test, called in the user's layout of parameters.

It is called with copies of its arguments. Its gradients are converted to one dict per station.
"""

import copy
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.verify.calls import called
from functional_nn.verify.dither import dithered, rounds_late
from functional_nn.verify.layouts import Layout, detect
from functional_nn.verify.stations import Station, at


class Subject:
    """A user's value_and_grad of a known network.

    The function may be written in JAX or in NumPy. It returns (cost, gradient) or the gradient
    alone. Its parameters may have any layout that `layouts.detect` reads.
    """

    def __init__(self, net, places: tuple[Station, ...], params, function: Callable, layout: str | None):
        self.places, self.function = places, function
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(params)]
        own = jax.tree.structure(params) == jax.tree.structure(net._shapes) and layout is None
        dense = all(place.leaves == {"weight": "w", "bias": "b"} for place in places)
        fits = own and shapes == [leaf.shape for leaf in jax.tree.leaves(net._shapes)]
        if not fits and not (dense and len(places) == len(net.layers)):
            net.check_params(params)  # raises an error that names the misfit
        self.layout: Layout | None = None if fits else detect(params, net.sizes, layout)
        self.params = jax.tree.map(lambda leaf: np.array(leaf, dtype=np.float64), params)
        # a term, such as a penalty, that is part of each gradient and is subtracted from it
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
        self.shaped = False  # whether one batch's gradient had the right shapes, so that all must
        self.floor = 0.0  # the size below which numbers of the gradient's dtype lose digits
        # (params, X, Y) -> (the gradient with its rounding averaged away, its deviation)
        self.mean: Callable | None = None
        self.deviation: Any = None  # the deviation of the last such mean
        self.spare: Callable | None = None  # (X, Y) -> replacements of leaves that are not finite

    @property
    def net_params(self):
        """Return the parameters in the network's layout."""
        return self.translated(self.params)

    def translated(self, params):
        """Convert parameters from the caller's layout to the network's."""
        if self.layout is None:
            return params
        W, b = self.layout.read(params)
        return tuple({"w": w, "b": bias} for w, bias in zip(W, b, strict=True))

    def moved(self, seed: int, size: float) -> "Subject":
        """Return the same function at other parameters.

        Each entry moves at random, by about `size` times the root mean square of its leaf.
        """
        rng, other = np.random.default_rng(seed), copy.copy(self)
        mean = np.mean([np.sqrt(np.mean(leaf**2)) for leaf in jax.tree.leaves(self.params) if leaf.size])
        other.params = jax.tree.map(lambda leaf: leaf + size * (np.sqrt(np.mean(leaf**2)) if leaf.any() else mean) * rng.normal(
            size=leaf.shape), self.params)
        return other

    def replaced(self, station: int, leaves: dict[str, np.ndarray]) -> "Subject":
        """Return the same function at parameters with other leaves in one station."""
        other, place = copy.copy(self), self.places[station]
        if self.layout is None:
            other.params = replaced(self.params, place.path, leaves)
        else:
            W, b = self.layout.read(self.params)
            W[station], b[station] = leaves.get("w", W[station]), leaves.get("b", b[station])
            other.params = self.layout.write(W, b)
        return other

    def stationed(self, tree) -> list[dict[str, np.ndarray]]:
        """Convert a tree in the caller's layout to one dict per station, float64."""
        if self.layout is None:
            return [{name: np.asarray(leaf, dtype=np.float64) for name, leaf in at(tree, place).items()}
                    for place in self.places]
        W, b = self.layout.read(tree)
        return [{"w": w, "b": bias} for w, bias in zip(W, b, strict=True)]

    def path(self, station: int, leaf: str) -> str:
        """Return the leaf's path in the user's own tree."""
        place = self.places[station]
        if self.layout is None:
            return "".join(f"[{i}]" for i in place.path) + f"[{leaf!r}]"
        index = (self.layout.biases if leaf == place.bias else self.layout.weights)[station]
        return self.layout.paths[index]

    def raw(self, X, Y) -> Any:
        """Return the gradient tree of the user's function, or its mean over nearby parameters."""
        if self.mean is None:
            return self._call(self.params, X, Y)
        tree, self.deviation = self.mean(self.params, X, Y)
        return tree

    def _call(self, params, X, Y) -> Any:
        name = f"value_and_grad of {len(X)} example(s)"
        found = self._gradient(called(self.function, (params, X, Y), name, ("params", "X", "Y")))
        if self.shaped:
            wanted, got = ([np.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in (params, found))
            if wanted != got:
                which, had = next(((w, g) for w, g in zip(wanted, got, strict=False) if w != g), (len(wanted), len(got)))
                raise ValueError(f"{name} returned a leaf of shape {had} in place of {which}, which it does not with other "
                                 "batches; make it work for any number of examples")
        return found

    def smoothed(self, right: Callable, sides: Callable, X, Y, dtype, seed: int) -> float | None:
        """Make `raw` return a mean in which rounding to `dtype` averages out.

        Return the rounding unit of that mean. If the function computes in `dtype` throughout,
        nothing changes, and the result is None.

        Args:
          right: (several params, X, Y) -> the right gradients in the caller's layout.
          sides: (several params, X, Y) -> the side of its kinks on which each unit lies, as
            `dithered` takes it.
          X, Y: a batch.
          dtype: the dtype of the function's result.
          seed: seed of the nearby parameters.
        """
        if not rounds_late(self._call, self.params, X, Y, dtype):
            return None
        unit = float(jnp.finfo(dtype).eps) / 2
        # for a finer dtype the averages suffice, and cancellation leaves errors above its precision
        self.rounds_to = dtype if unit > 1e-6 else None
        # behind half precision, float32 computations cannot be told from float64
        self.coarse, self.inner = unit, 2.0**-24 if unit > 1e-6 else 2.0**-53
        self.mean = dithered(self._call, right, sides, unit, seed)
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
        if self.added is not None:
            found = [{leaf: 4 * unit * np.abs(plus) for leaf, plus in own.items()} for own in self.added]
        if self.mean is not None:
            spread = [{leaf: 6 * deviation for leaf, deviation in own.items()} for own in self.stationed(self.deviation)]
            found = spread if found is None else [{leaf: more[leaf] + plus for leaf, plus in own.items()}
                                                  for own, more in zip(found, spread, strict=True)]
        return found

    def _gradient(self, result):
        if isinstance(result, tuple) and len(result) == 2 and np.ndim(_first(result[0])) == 0 and (
                jax.tree.structure(result) != jax.tree.structure(self.params)):
            return result[1]
        return result

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
        if self.added is not None:
            found = [{name: leaf - plus[name] * len(X) ** self.power for name, leaf in own.items()}
                     for own, plus in zip(found, self.added, strict=True)]
        return found


def _first(tree):
    leaves = jax.tree.leaves(tree)
    return leaves[0] if len(leaves) == 1 else np.zeros(2)


def replaced(tree, path: tuple[int, ...], leaves: dict):
    """Return a tree shaped like the parameters with other leaves in one station."""
    if not path:
        return {**tree, **leaves}
    return tuple(replaced(part, path[1:], leaves) if i == path[0] else part for i, part in enumerate(tree))
