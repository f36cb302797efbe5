"""The function under test: called with copies, in the user's own layout, and read back."""

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

    It may be written in JAX or in NumPy, return (cost, gradient) or the gradient alone, and hold the parameters in any layout
    that `layouts.detect` reads.
    """

    def __init__(self, net, places: tuple[Station, ...], params, function: Callable, layout: str | None):
        self.places, self.function = places, function
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(params)]
        own = jax.tree.structure(params) == jax.tree.structure(net._shapes) and layout is None
        dense = all(place.leaves == {"weight": "w", "bias": "b"} for place in places)
        fits = own and shapes == [leaf.shape for leaf in jax.tree.leaves(net._shapes)]
        if not fits and not (dense and len(places) == len(net.layers)):
            net.check_params(params)  # says what does not fit
        self.layout: Layout | None = None if fits else detect(params, net.sizes, layout)
        self.params = jax.tree.map(lambda leaf: np.array(leaf, dtype=np.float64), params)
        self.added: list[dict[str, np.ndarray]] | None = None  # known to be in every gradient, and taken off: a penalty
        self.power = 0.0  # of the number of examples, which what is added is multiplied with
        self.doubt = 0.0  # rounding units that each entry of what is added may be off
        self.exchanged: dict[tuple[int, str], tuple[int, str]] = {}  # leaves known to stand in each other's place
        self.inner: float | None = None  # rounding unit of what it computes in, where that is finer than what it gives
        self.coarse: float | None = None  # rounding unit of what it gives, where that is averaged away
        self.rounds_to: Any = None  # the dtype that what it computes is rounded to at the end, where that is averaged away
        self.shaped = False  # whether its shapes have been found right on one batch, and must be on all
        self.floor = 0.0  # below which the gradient's dtype has no more digits
        self.mean: Callable | None = None  # (params, X, Y) -> the gradient with its rounding averaged away, its deviation
        self.deviation: Any = None  # of the last such mean
        self.spare: Callable | None = None  # (X, Y) -> what stands for leaves that are not finite

    @property
    def net_params(self):
        """The parameters as the network has them."""
        return self.translated(self.params)

    def translated(self, params):
        """Parameters in the caller's layout as the network has them."""
        if self.layout is None:
            return params
        W, b = self.layout.read(params)
        return tuple({"w": w, "b": bias} for w, bias in zip(W, b, strict=True))

    def moved(self, seed: int, size: float) -> "Subject":
        """The same function at other parameters: each entry moves by about `size` times its leaf's own."""
        rng, other = np.random.default_rng(seed), copy.copy(self)
        mean = np.mean([np.sqrt(np.mean(leaf**2)) for leaf in jax.tree.leaves(self.params) if leaf.size])
        other.params = jax.tree.map(lambda leaf: leaf + size * (np.sqrt(np.mean(leaf**2)) if leaf.any() else mean) * rng.normal(
            size=leaf.shape), self.params)
        return other

    def replaced(self, station: int, leaves: dict[str, np.ndarray]) -> "Subject":
        """The same function at parameters with other leaves in that station."""
        other, place = copy.copy(self), self.places[station]
        if self.layout is None:
            other.params = replaced(self.params, place.path, leaves)
        else:
            W, b = self.layout.read(self.params)
            W[station], b[station] = leaves.get("w", W[station]), leaves.get("b", b[station])
            other.params = self.layout.write(W, b)
        return other

    def stationed(self, tree) -> list[dict[str, np.ndarray]]:
        """A tree in the caller's layout as one dict a station, float64."""
        if self.layout is None:
            return [{name: np.asarray(leaf, dtype=np.float64) for name, leaf in at(tree, place).items()}
                    for place in self.places]
        W, b = self.layout.read(tree)
        return [{"w": w, "b": bias} for w, bias in zip(W, b, strict=True)]

    def path(self, station: int, leaf: str) -> str:
        """The leaf's path in the user's own tree."""
        place = self.places[station]
        if self.layout is None:
            return "".join(f"[{i}]" for i in place.path) + f"[{leaf!r}]"
        index = (self.layout.biases if leaf == place.bias else self.layout.weights)[station]
        return self.layout.paths[index]

    def raw(self, X, Y) -> Any:
        """The gradient tree as the user's function returns it, or its mean over nearby parameters."""
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
        """From here on the gradient is a mean in which rounding to `dtype` averages out; the unit that is left.

        None, and nothing changes, where the function computes in that dtype from the start.

        Args:
          right: (several params, X, Y) -> the right gradients in the caller's layout.
          sides: likewise, on which side of its kinks every unit stands, as for `dithered`.
        """
        if not rounds_late(self._call, self.params, X, Y, dtype):
            return None
        unit = float(jnp.finfo(dtype).eps) / 2
        self.rounds_to = dtype if unit > 1e-6 else None  # finer, averages show enough, and cancelled terms too much
        self.coarse, self.inner = unit, 2.0**-24 if unit > 1e-6 else 2.0**-53  # float32 would not show behind half precision
        self.mean = dithered(self._call, right, sides, unit, seed)
        mean, deviation = self.mean(self.params, X, Y)
        leaves = zip(*map(jax.tree.leaves, (mean, *right([self.params], X, Y), deviation)), strict=True)
        noise = [np.linalg.norm(spread) / max(np.linalg.norm(given), np.linalg.norm(expected), 1e-300)
                 for given, expected, spread in leaves]
        return float(min(max(np.median(noise), unit / 16), unit))

    def slack(self, unit: float) -> list[dict[str, np.ndarray]] | None:
        """What rounding may have left in every entry of the last gradient, besides a share of its size; None for nothing."""
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
        """The gradient of a batch, one dict a station, float64, less what is known to be added and in its right place."""
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
    """A tree shaped like the parameters with other leaves in one station."""
    if not path:
        return {**tree, **leaves}
    return tuple(replaced(part, path[1:], leaves) if i == path[0] else part for i, part in enumerate(tree))
