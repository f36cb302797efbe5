"""Layers: initialisation, forward pass and hand-written backward pass of each kind (N5–N10).

`fnn.sequential` composes layers to a network. A new kind of layer is one function that returns a
`Layer`, and one row in `KINDS`.
"""

from types import MappingProxyType

from functional_nn.layers.dense import dense, maxout
from functional_nn.layers.dropout import dropout
from functional_nn.layers.layer import (
    Factors,
    Layer,
    Step,
    backward,
    factors_of,
    forward,
    init,
    keys_of,
    rank_one,
    sizes,
    whole,
)
from functional_nn.layers.norm import layer_norm
from functional_nn.layers.residual import residual

__all__ = ["KINDS", "Factors", "Layer", "Step", "backward", "dense", "dropout", "factors_of",
           "forward", "init", "keys_of", "layer_norm", "maxout", "rank_one", "residual", "sizes",
           "whole"]

KINDS = MappingProxyType({
    kind.__name__: kind for kind in (dense, maxout, dropout, layer_norm, residual)})
"""Name -> the function that makes a layer of that kind."""
