"""Layers: initialisation, forward pass and hand-written backward pass of each kind (N5–N10).

`fnn.sequential` composes layers to a network. A new kind of layer is one function that returns a
`Layer`, and one row in `KINDS`.
"""

import copyreg
import functools
from types import MappingProxyType

from functional_nn.layers.attention import attention
from functional_nn.layers.convolution import convolution
from functional_nn.layers.dense import dense, maxout
from functional_nn.layers.dropout import dropout
from functional_nn.layers.embedding import embedding, positions
from functional_nn.layers.factors import Factors, factors_of, nothing, rank_one, shared, whole
from functional_nn.layers.gru import gru
from functional_nn.layers.layer import (
    Equations,
    Layer,
    Step,
    backward,
    backward_tangent,
    forward,
    forward_tangent,
    init,
    keys_of,
    sizes,
)
from functional_nn.layers.norm import layer_norm
from functional_nn.layers.pooling import average_pool, max_pool
from functional_nn.layers.residual import residual
from functional_nn.layers.shape import flatten, reshape

__all__ = ["KINDS", "Equations", "Factors", "Layer", "Step", "attention", "average_pool",
           "backward", "backward_tangent", "convolution", "dense", "dropout", "embedding",
           "factors_of", "flatten", "forward", "forward_tangent", "gru", "init", "keys_of",
           "layer_norm", "max_pool", "maxout", "nothing", "positions", "rank_one", "reshape",
           "residual", "shared", "sizes", "whole"]

KINDS = MappingProxyType({
    kind.__name__: kind for kind in (
        dense, maxout, dropout, layer_norm, residual, reshape, flatten, convolution, average_pool,
        max_pool, embedding, positions, attention, gru)})
"""Name -> the function that makes a layer of that kind."""


def _reduced(layer: Layer) -> tuple:
    """How a layer is pickled and copied: by the call that made it, if it is of a kind here."""
    call = layer.kind, layer.parts, tuple(layer.arguments.items())
    ours = layer.kind in KINDS and (
        _again(*call).forward.__code__ is getattr(layer.forward, "__code__", None))
    return (_again, call) if ours else layer.__reduce_ex__(2)


def _again(*call) -> Layer:
    """The layer of a call (kind, parts, arguments); equal calls give the same layer."""
    try:
        return _made(*call)
    except TypeError:  # an argument is an array, which cannot be hashed
        return _made.__wrapped__(*call)


@functools.lru_cache(maxsize=256)
def _made(kind: str, parts: tuple[Layer, ...], arguments: tuple) -> Layer:
    return KINDS[kind](*parts, **dict(arguments))


copyreg.pickle(Layer, _reduced)
