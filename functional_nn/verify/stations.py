"""The stations of a backward pass: where a δ is, and a layer's own gradient is made.

A *station* is a layer, or a whole residual block; its δ is ∂L/∂z. Dropout, which does nothing
without a key, is none.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from functional_nn.layers import Layer


class Station(NamedTuple):
    """A layer, or a whole residual block.

    A residual block comes after the layers inside it, and has no leaves of its own.

    Attributes:
      layer: the index in the network's layers.
      path: the path of the station's parameters in the network's.
      part: the Layer.
      leaves: a dict from site to the leaf's name. The sites are "weight" and "bias" where a layer has
        both and no more, else the names themselves.
    """

    layer: int
    path: tuple[int, ...]
    part: Layer
    leaves: Mapping[str, str] = MappingProxyType({})

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
        if "weight" in self.leaves:
            return f"W{self.label}.T"
        return f"({'block' if self.part.parts else self.part.kind} {self.label}).T"


def stations(net) -> tuple[Station, ...]:
    """Return the stations of a network, first to last; a residual block comes after its layers."""
    return tuple(_stations(net.layers, net._shapes, ()))


def _stations(layers, shapes, path) -> Iterator[Station]:
    for i, (layer, shape) in enumerate(zip(layers, shapes, strict=True)):
        where = (*path, i)
        if layer.parts:
            yield from _stations(layer.parts, shape, where)
            yield Station(where[0], where, layer)
        elif layer.kind != "dropout":
            yield Station(where[0], where, layer, _sites(tuple(shape or ())))


def _sites(names: tuple[str, ...]) -> dict[str, str]:
    """The leaves of a layer by site."""
    bias = next((name for name in ("b", "bias") if name in names), None)
    if bias is None or len(names) != 2:
        return {name: name for name in names}
    return {"weight": next(name for name in names if name != bias), "bias": bias}


def above(places: tuple[Station, ...], s: int) -> int:
    """Return the station that takes the output σ(z) of station s.

    It is the next layer, or the block whose last layer is station s.
    """
    return next(t for t in range(s + 1, len(places)) if len(places[t].path) <= len(places[s].path))


def ends_block(places: tuple[Station, ...], s: int) -> bool:
    """Return whether station s is the last layer of a block: then its ∂L/∂σ(z) is the block's δ."""
    return above(places, s) == s + 1 and bool(places[s + 1].part.parts)


def coming_back(places: tuple[Station, ...], s: int) -> str:
    """Return the formula of ∂L/∂σ(z) of station s."""
    upper = places[above(places, s)]
    return f"d{upper.label}" if ends_block(places, s) else f"{upper.back} @ d{upper.label}"


def at(tree, station: Station) -> dict[str, Any]:
    """Return the station's part of a tree shaped like the parameters; {} for a block."""
    if not station.leaves:
        return {}
    for i in station.path:
        tree = tree[i]
    return tree
