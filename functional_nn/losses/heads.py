"""Output activation and loss in one, as a function of the last pre-activation."""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp

from functional_nn.activations import sigmoid, softmax
from functional_nn.losses.definitions import quadratic

__all__ = ["FUSED", "Head"]


class Head(NamedTuple):
    """Output activation and loss in one: the loss as a function of the last pre-activation z.

    The last four are None where a derivative that they need is not known.

    Attributes:
      value: (z, y) -> L, a scalar, with y in z's shape and dtype.
      delta: (z, y) -> δᴸ = ∂L/∂z, of z's shape.
      hessian_product: (z, y, u) -> (∂²L/∂z²) u, of z's shape.
      ggn_product: (z, y, u) -> G u, the Hessian without the curvature of the activation. For the
        pairs in `FUSED` it is the Hessian, as their loss is a function of z itself.
      root: (z, y, u) -> S u with S Sᵀ = G, of z's shape, for u of z's shape.
      target: (z, y) -> ∂L/∂y, of z's shape.
    """

    value: Callable[[jax.Array, jax.Array], jax.Array]
    delta: Callable[[jax.Array, jax.Array], jax.Array]
    hessian_product: Callable[[jax.Array, jax.Array, jax.Array], jax.Array] | None = None
    ggn_product: Callable[[jax.Array, jax.Array, jax.Array], jax.Array] | None = None
    root: Callable[[jax.Array, jax.Array, jax.Array], jax.Array] | None = None
    target: Callable[[jax.Array, jax.Array], jax.Array] | None = None


def _canonical(value, delta, product, root, target) -> Head:
    """The head of a loss that is a function of z itself: its Hessian is all Gauss–Newton."""
    return Head(value, delta, product, product, root, target)


def _softmax_root(z, y, u):
    """√Σy (diag √p − p √pᵀ) u, whose square is Σy (diag p − ppᵀ)."""
    p = jax.nn.softmax(z)
    root = jnp.sqrt(p)
    return jnp.sqrt(jnp.sum(y)) * (root * u - p * jnp.sum(root * u))


FUSED = MappingProxyType({
    # L = −Σ yⱼ ln softmax(z)ⱼ. δᴸ = a Σy − y, which is a − y where y sums to 1
    ("softmax", "cross_entropy"): _canonical(
        lambda z, y: -jnp.sum(y * jax.nn.log_softmax(z)),
        lambda z, y: jax.nn.softmax(z) * jnp.sum(y) - y,
        lambda z, y, u: jnp.sum(y) * softmax.pullback(z, u),
        _softmax_root,
        lambda z, y: -jax.nn.log_softmax(z)),
    # −ln σ(z) = softplus(−z) and −ln(1 − σ(z)) = softplus(z).
    # δᴸ = a (1 − y) − (1 − a) y = a − y, with 1 − a = σ(−z)
    ("sigmoid", "binary_cross_entropy"): _canonical(
        lambda z, y: jnp.sum(y * jax.nn.softplus(-z) + (1 - y) * jax.nn.softplus(z)),
        lambda z, y: jax.nn.sigmoid(z) * (1 - y) - jax.nn.sigmoid(-z) * y,
        lambda z, y, u: sigmoid.slope(z) * u,
        lambda z, y, u: jnp.sqrt(sigmoid.slope(z)) * u,
        lambda z, y: -z),
    # ½ Σ (z − y)²; δᴸ = a − y
    ("linear", "quadratic"): _canonical(
        quadratic.function,
        quadratic.slope,
        lambda z, y, u: u,
        lambda z, y, u: u,
        lambda z, y: y - z),
})
"""The `Head` of each pair (output activation, loss) for which δᴸ = a − y, computed from z.

The chain rule through a fails in float32 where a rounds to 0 or 1: for y = 0 and a sigmoid it
gives inf at z = 20, and for softmax it gives NaN where the true class lies 100 below another.
"""
