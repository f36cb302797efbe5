"""What the contract tests draw from: an example of every layer kind, and targets for any loss."""

import jax
import jax.numpy as jnp

from functional_nn.layers import dense, dropout, layer_norm, maxout, residual

KINDS = {
    "dense": lambda n, a: (dense(n, a),),
    "maxout": lambda n, a: (dense(n, a), maxout(n, pieces=3)),
    "dropout": lambda n, a: (dense(n, a), dropout(0.3)),
    "layer_norm": lambda n, a: (dense(n, a), layer_norm()),
    "residual": lambda n, a: (residual(dense(n + 1, a), dense(n, a)),),
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
