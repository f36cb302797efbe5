"""Losses of ONE example: value and hand-written gradient side by side (N11, N12).

A loss compares a prediction a with a target y of the same shape and returns a scalar. Its
gradient ∇ₐL has the prediction's shape. The sum or mean over *examples* is the cost, which
`objective` computes. Over their n *outputs*, `quadratic`, `squared_error`,
`binary_cross_entropy` and `cross_entropy` take the sum, and the other losses the mean. At a
kink, the gradient of the term is 0, as `jax.grad` of the value gives. A value is finite
wherever twice the exact value is representable.

>>> import functional_nn as fnn, jax.numpy as jnp
>>> float(fnn.losses.quadratic(jnp.array([1.0, 3.0]), jnp.array([0.0, 1.0])))
2.5
>>> fnn.losses.quadratic.gradient(jnp.array([1.0, 3.0]), jnp.array([0.0, 1.0])).tolist()
[1.0, 2.0]
"""

from functional_nn.losses.definitions import (
    LOSSES,
    binary_cross_entropy,
    cross_entropy,
    epsilon_insensitive,
    get,
    hinge,
    huber,
    log_cosh,
    mae,
    mse,
    quadratic,
    quantile,
    squared_error,
)
from functional_nn.losses.heads import FUSED, Head
from functional_nn.losses.loss import Loss

__all__ = ["FUSED", "LOSSES", "Head", "Loss", "binary_cross_entropy", "cross_entropy",
           "epsilon_insensitive", "get", "hinge", "huber", "log_cosh", "mae", "mse", "quadratic",
           "quantile", "squared_error"]
