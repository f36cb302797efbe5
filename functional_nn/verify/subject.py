"""The function under test: called with copies, in the user's own layout, and read back."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from functional_nn.verify.calls import called
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
        dense = all(set(place_of) == {"w", "b"} for place_of in (at(net._shapes, place) for place in places))
        fits = own and shapes == [leaf.shape for leaf in jax.tree.leaves(net._shapes)]
        if not fits and not (dense and len(places) == len(net.layers)):
            net.check_params(params)  # says what does not fit
        self.layout: Layout | None = None if fits else detect(params, net.sizes, layout)
        self.params = jax.tree.map(lambda leaf: np.array(leaf, dtype=np.float64), params)
        self.net_params = self.params if fits else self._ours(net)

    def _ours(self, net):
        W, b = self.layout.read(self.params)
        return tuple({"w": w, "b": bias} for w, bias in zip(W, b, strict=True))

    def path(self, station: int, leaf: str) -> str:
        """The leaf's path in the user's own tree."""
        place = self.places[station]
        if self.layout is None:
            return "".join(f"[{i}]" for i in place.path) + f"[{leaf!r}]"
        index = (self.layout.biases if leaf == place.bias else self.layout.weights)[station]
        return self.layout.paths[index]

    def raw(self, X, Y) -> Any:
        """The gradient tree as the user's function returns it."""
        return self._gradient(called(self.function, (self.params, X, Y), f"value_and_grad of {len(X)} example(s)",
                                     ("params", "X", "Y")))

    def _gradient(self, result):
        if isinstance(result, tuple) and len(result) == 2 and np.ndim(_first(result[0])) == 0 and (
                jax.tree.structure(result) != jax.tree.structure(self.params)):
            return result[1]
        return result

    def gradients(self, X, Y) -> list[dict[str, np.ndarray]]:
        """The gradient of a batch, one dict a station, float64."""
        tree = self.raw(X, Y)
        if self.layout is None:
            return [{name: np.asarray(leaf, dtype=np.float64) for name, leaf in at(tree, place).items()}
                    for place in self.places]
        W, b = self.layout.read(tree)
        return [{"w": w, "b": bias} for w, bias in zip(W, b, strict=True)]


def _first(tree):
    leaves = jax.tree.leaves(tree)
    return leaves[0] if len(leaves) == 1 else np.zeros(2)
