"""The same-cotangent method: the right result of each backward step, given the step above it.

A *station* is a layer with parameters, or a whole residual block; its δ is ∂L/∂z. Treat the z of
all stations as independent inputs, from which each station computes its own z. One reverse-mode
pass of this function takes the user's deltas as cotangents. It returns the results of right steps
from exactly these deltas: the δ of each station and the gradient of each parameter. A wrong step
disagrees with them. The steps after it, which only propagate its error, agree.
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from functional_nn.layers import Layer
from functional_nn.objective import Objective


class Station(NamedTuple):
    """A layer with parameters, or a whole residual block.

    A residual block comes after the layers inside it, and has no leaves of its own.

    Attributes:
      layer: the index in the network's layers.
      path: the path of the station's parameters in the network's.
      part: the Layer.
      weight, bias: the names of its leaves; None for a block.
    """

    layer: int
    path: tuple[int, ...]
    part: Layer
    weight: str | None = None
    bias: str | None = None

    @property
    def label(self) -> str:
        """Return its number in formulas: 1, or 1.0 for the first layer inside block 1."""
        return ".".join(map(str, self.path))

    @property
    def fed(self) -> str:
        """Return the name of its input: x, or the output of the layer before it or its block."""
        path = self.path
        while path and path[-1] == 0:
            path = path[:-1]
        return f"a{'.'.join(map(str, (*path[:-1], path[-1] - 1)))}" if path else "x"

    @property
    def back(self) -> str:
        """Return the formula of the matrix that pulls its δ back to its input."""
        return f"(block {self.label}).T" if self.weight is None else f"W{self.label}.T"

    @property
    def leaves(self) -> dict[str, str]:
        """Return a dict from site, "weight" or "bias", to the leaf's name; empty for a block."""
        return {} if self.weight is None else {"weight": self.weight, "bias": self.bias}


class Forward(NamedTuple):
    """The forward pass: the input a, z and the output σ(z) of each station, and the loss."""

    inputs: tuple[jax.Array, ...]
    z: tuple[jax.Array, ...]
    outputs: tuple[jax.Array, ...]
    loss: jax.Array


class Expected(NamedTuple):
    """The results of right steps from given deltas.

    Attributes:
      gradients: the parameters' gradients, one dict per station.
      deltas: δ of each station.
      cotangents: ∂L/∂σ(z) of each station.
    """

    gradients: tuple[dict[str, jax.Array], ...]
    deltas: tuple[jax.Array, ...]
    cotangents: tuple[jax.Array, ...]


def stations(net) -> tuple[Station, ...]:
    """Return the stations of a network, first to last; a residual block comes after its layers."""
    return tuple(_stations(net.layers, net._shapes, ()))


def _stations(layers, shapes, path) -> Iterator[Station]:
    for i, (layer, shape) in enumerate(zip(layers, shapes, strict=True)):
        where = (*path, i)
        if layer.parts:
            yield from _stations(layer.parts, shape, where)
            yield Station(where[0], where, layer)
        elif jax.tree.leaves(shape):
            bias = "b" if "b" in shape else "bias"
            yield Station(where[0], where, layer, next(name for name in shape if name != bias), bias)


def above(places: tuple[Station, ...], s: int) -> int:
    """Return the station that takes the output σ(z) of station s.

    It is the next layer, or the block whose last layer is station s.
    """
    return next(t for t in range(s + 1, len(places)) if len(places[t].path) <= len(places[s].path))


def ends_block(places: tuple[Station, ...], s: int) -> bool:
    """Return whether station s is the last layer of a block: then its ∂L/∂σ(z) is the block's δ."""
    return above(places, s) == s + 1 and places[s + 1].weight is None


def coming_back(places: tuple[Station, ...], s: int) -> str:
    """Return the formula of ∂L/∂σ(z) of station s."""
    upper = places[above(places, s)]
    return f"d{upper.label}" if ends_block(places, s) else f"{upper.back} @ d{upper.label}"


def at(tree, station: Station) -> dict[str, Any]:
    """Return the station's part of a tree shaped like the parameters; {} for a block."""
    if station.weight is None:
        return {}
    for i in station.path:
        tree = tree[i]
    return tree


def _run(layers, params, a, given, passed) -> tuple[jax.Array, jax.Array]:
    """Return (a, z) of the last layer, and append (input, z) of each station to `passed`.

    If `given` is not None, it holds (z, shift) for each station: z replaces the station's own, and
    shift is added to its output.
    """
    for layer, p in zip(layers, params, strict=True):
        if layer.parts:
            z = a + _run(layer.parts, p, a, given, passed)[0]
        else:
            z, _ = layer.forward(p, a, None)
        shift = 0.0
        if layer.parts or jax.tree.leaves(p):
            passed.append((a, z))
            if given is not None:
                z, shift = given[len(passed) - 1]
        a = layer.activation(z) + shift
    return a, z


@functools.lru_cache(maxsize=8)
def passes(problem: Objective):
    """Return compiled functions (forward, expected) for batches of examples.

    forward: (params, X, Y) -> Forward; all arrays have a leading axis of examples.
    expected: (params, X, Y, z, deltas) -> Expected; likewise, one result per example.
    """
    layers, places = problem.net.layers, stations(problem.net)

    def forward(params, x, y):
        passed = []
        _, z = _run(layers, params, x, None, passed)
        inputs, zs = zip(*passed, strict=True)
        outputs = tuple(place.part.activation(z) for place, z in zip(places, zs, strict=True))
        return Forward(inputs, zs, outputs, problem.head.value(z, y))

    def expected(params, x, y, zs, deltas):
        def one_step(params, zs, shifts):
            passed = []
            _, z = _run(layers, params, x, tuple(zip(zs, shifts, strict=True)), passed)
            return tuple(z for _, z in passed), problem.head.value(z, y)

        shifts = tuple(jnp.zeros_like(z) for z in zs)
        _, pull = jax.vjp(one_step, params, zs, shifts)
        gradients, delta, cotangent = pull((deltas, jnp.ones((), x.dtype)))
        return Expected(tuple(at(gradients, place) for place in places), delta, cotangent)

    over = jax.vmap(forward, in_axes=(None, 0, 0))
    return jax.jit(over), jax.jit(jax.vmap(expected, in_axes=(None, 0, 0, 0, 0)))
