"""Check the backward pass of a layer against `jax.vjp`."""

import jax
import jax.numpy as jnp

from functional_nn.layers import Layer
from functional_nn.layers.windows import per_axis
from functional_nn.verify.calls.calling import proof
from functional_nn.verify.report import Report
from functional_nn.verify.rule import check_rule


def check_layer(layer: Layer, n_in: int | tuple[int, ...], *, key=None, seed: int = 0) -> Report:
    """Compare a layer's `backward` and `factors` with `jax.vjp` of its `forward`.

    The comparison is in float64, at random parameters and a random input.

    Args:
      layer: a layer of `fnn.layers`, or your own.
      n_in: the size of the layer's input, or its shape, such as (28, 28, 1).
      key: the random key of a random layer such as dropout.
      seed: seed of the parameters, the input and the cotangents.

    >>> import functional_nn as fnn
    >>> bool(check_layer(fnn.layers.maxout(3, pieces=2), 4))
    True
    >>> bool(check_layer(fnn.layers.attention(4, heads=2), (5, 3)))
    True
    """
    if not isinstance(layer, Layer):
        raise TypeError(f"layer must be a layer such as fnn.layers.dense(30, 'relu'), got {layer!r}")
    n_in = per_axis("n_in", n_in)
    layer.n_out(n_in)  # raises an error where the layer cannot take it
    with proof():
        start, noise = jax.random.split(jax.random.key(seed))
        params = layer.init(start, n_in, jnp.float64)
        leaves, tree = jax.tree.flatten(params)
        params = tree.unflatten([leaf + jax.random.normal(k, leaf.shape, leaf.dtype) for leaf, k in zip(
            leaves, jax.random.split(noise, max(len(leaves), 1)), strict=False)])
        shape, noise = (n_in,) if isinstance(n_in, int) else n_in, jax.random.fold_in(noise, 1)
        a = jax.random.normal(noise, shape, jnp.float64) if layer.tokens is None else (
            jax.random.randint(noise, shape, 0, layer.tokens).astype(jnp.float64))

        def backward(delta, params, a):
            cotangent, factors = layer.backward(params, layer.forward(params, a, key)[1], delta)
            return layer.factors.gradient(factors), cotangent

    return check_rule(lambda params, a: layer.forward(params, a, key)[0], backward, params, a,
                      names=("params", "input"), seed=seed)
