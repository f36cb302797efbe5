"""What the contract tests draw from: an example of every layer kind, and targets for any loss."""

import jax
import jax.numpy as jnp

from functional_nn.layers import (
    attention,
    average_pool,
    convolution,
    dense,
    dropout,
    embedding,
    flatten,
    gru,
    layer_norm,
    max_pool,
    maxout,
    positions,
    reshape,
    residual,
)

KINDS = {
    "dense": lambda n, a: (dense(n, a),),
    "maxout": lambda n, a: (dense(n, a), maxout(n, pieces=3)),
    "dropout": lambda n, a: (dense(n, a), dropout(0.3)),
    "layer_norm": lambda n, a: (dense(n, a), layer_norm()),
    "residual": lambda n, a: (residual(dense(n + 1, a), dense(n, a)),),
    "reshape": lambda n, a: (dense(n, a), reshape((n, 1)), flatten(), dense(n)),
    "flatten": lambda n, a: (dense(2 * n, a), reshape((2, n)), flatten(), dense(n)),
    "convolution": lambda n, a: (reshape((n, 1)), convolution(2, 2, a, padding="same"), flatten(), dense(n)),
    "average_pool": lambda n, a: (dense(4 * n, a), reshape((n, 4, 1)), average_pool((1, 3), (1, 1)), flatten(), dense(n)),
    "max_pool": lambda n, a: (dense(4 * n, a), reshape((4, n, 1)), max_pool(2, 1), flatten(), dense(n)),
    "embedding": lambda n, a: (dense(n, a), embedding(3, 2), flatten(), dense(n)),
    "positions": lambda n, a: (dense(2 * n, a), reshape((n, 2)), positions(), flatten(), dense(n)),
    "attention": lambda n, a: (  # of places far apart: where all are alike, the gradient of the keys is 0 by cancellation
        dense(2 * n, a), reshape((n, 2)), positions("nielsen_large"), attention(2, heads=2, causal=True),
        flatten(), dense(n)),
    "gru": lambda n, a: (dense(2 * n, a), reshape((n, 2)), gru(2), flatten(), dense(n)),
}
"""Kind -> (size, activation) -> layers from that size to that size, with a layer of the kind among them."""

TARGETS = {
    "values": lambda noise: 2 * noise,
    "signs": lambda noise: jnp.where(noise > 0, 1.0, -1.0),
    "shares": jax.nn.sigmoid,
    "distribution": jax.nn.softmax,
}
"""`Loss.targets` -> (normal noise, one row an example) -> such targets."""


def targets(loss, shape) -> jax.Array:
    """Targets of that shape which the loss is defined for."""
    return TARGETS[loss.targets](jax.random.normal(jax.random.key(5), shape))
