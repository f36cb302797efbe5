"""The same-cotangent method: what each step of a backward pass must give, taken what the step above it gave.

A *station* is a layer with parameters, or a whole residual block; its δ is ∂L/∂z. Hold the z of every station fixed and let
each station compute its own z from those of the stations before it: then one reverse-mode pass, fed with anybody's deltas,
returns what a right backward pass would make of exactly these deltas, one step further: the δ of every station and the gradient
of every parameter. A wrong step disagrees with that; the steps after it, which only pass its error on, do not.
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from functional_nn.layers import Layer
from functional_nn.objective import Objective


class Station(NamedTuple):
    """layer: index in the network's layers. path: of its parameters. part: the Layer. weight, bias: the names of its leaves.

    A residual block comes after the layers inside it, and has no leaves of its own: weight and bias are None.
    """

    layer: int
    path: tuple[int, ...]
    part: Layer
    weight: str | None = None
    bias: str | None = None

    @property
    def label(self) -> str:
        """Its number in formulas: 1, or 1.0 for the first layer inside block 1."""
        return ".".join(map(str, self.path))

    @property
    def fed(self) -> str:
        """What it is fed with: x, or the activation of the layer before it or before its block."""
        path = self.path
        while path and path[-1] == 0:
            path = path[:-1]
        return f"a{'.'.join(map(str, (*path[:-1], path[-1] - 1)))}" if path else "x"

    @property
    def back(self) -> str:
        """What takes a δ of it back to its input."""
        return f"(block {self.label}).T" if self.weight is None else f"W{self.label}.T"

    @property
    def leaves(self) -> dict[str, str]:
        """site -> the name of its leaf."""
        return {} if self.weight is None else {"weight": self.weight, "bias": self.bias}


class Forward(NamedTuple):
    """Of every station: its input a, its z, and σ(z); and the loss."""

    inputs: tuple[jax.Array, ...]
    z: tuple[jax.Array, ...]
    outputs: tuple[jax.Array, ...]
    loss: jax.Array


class Expected(NamedTuple):
    """What right steps make of given deltas: gradients, a dict a station; δ and ∂L/∂a of every station."""

    gradients: tuple[dict[str, jax.Array], ...]
    deltas: tuple[jax.Array, ...]
    cotangents: tuple[jax.Array, ...]


def stations(net) -> tuple[Station, ...]:
    """The layers with parameters, first to last, those inside residual layers too, each block after its layers."""
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
    """The station whose input is σ of station s: the next layer, or the block that station s is the last layer of."""
    return next(t for t in range(s + 1, len(places)) if len(places[t].path) <= len(places[s].path))


def ends_block(places: tuple[Station, ...], s: int) -> bool:
    """Whether station s is the last layer of a block, which takes its output as it is: its ∂L/∂σ(z) is the block's δ."""
    return above(places, s) == s + 1 and places[s + 1].weight is None


def coming_back(places: tuple[Station, ...], s: int) -> str:
    """∂L/∂σ(z) of station s, written out."""
    upper = places[above(places, s)]
    return f"d{upper.label}" if ends_block(places, s) else f"{upper.back} @ d{upper.label}"


def at(tree, station: Station) -> dict[str, Any]:
    """The station's part of a tree shaped like the parameters; nothing for a block."""
    if station.weight is None:
        return {}
    for i in station.path:
        tree = tree[i]
    return tree


def _run(layers, params, a, given, passed) -> tuple[jax.Array, jax.Array]:
    """(a, z) of the last layer. After station s its z becomes given[s][0], and its output moves by given[s][1]."""
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
    """Compiled (forward, expected) for batches of examples.

    forward: (params, X, Y) -> Forward, everything with a leading axis of examples.
    expected: (params, X, Y, z, deltas) -> Expected, likewise, for one example each.
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
