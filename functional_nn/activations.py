"""Activations: value and hand-written derivative side by side (N10).

Every function takes pre-activations z of any shape (softmax: its last axis) and returns the same shape and dtype. Values and
derivatives are finite for |z| up to 1e30, keep their relative accuracy where they saturate, and at a kink the derivative is
the one that `jax.grad` of the value gives; each definition says which.

>>> import functional_nn as fnn
>>> float(fnn.activations.relu(-2.0)), float(fnn.activations.relu.derivative(3.0))
(0.0, 1.0)
>>> fnn.activations.leaky_relu.configure(slope=0.01)
leaky_relu(slope=0.01)
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from functional_nn import checks

__all__ = ["ACTIVATIONS", "Activation", "elu", "gelu", "get", "leaky_relu", "linear", "relu", "sigmoid", "silu", "softmax",
           "softplus", "step", "tanh"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Activation:
    """A function a = σ(z) with its derivative, both written by hand.

    Attributes:
      name: how it is asked for.
      function: (z, **parameters) -> a.
      slope: (z, **parameters) -> σ′(z), of z's shape; for a vector-valued σ the Jacobian (..., n, n).
      product: (z, v, **parameters) -> J(z) v for a vector-valued σ, whose Jacobian must be symmetric; None for one that acts
        on each entry alone, where it is σ′(z) ⊙ v.
      parameters: hyper-parameters and their values; `configure` sets them.
      limits: the smallest and the largest value of each hyper-parameter.
    """

    name: str
    function: Callable[..., jax.Array]
    slope: Callable[..., jax.Array]
    product: Callable[..., jax.Array] | None = None
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    limits: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)

    def __call__(self, z) -> jax.Array:
        """a = σ(z)."""
        return self.function(checks.floating("z", z), **self.parameters)

    def derivative(self, z) -> jax.Array:
        """σ′(z): of z's shape, or softmax's Jacobian (..., n, n)."""
        return self.slope(checks.floating("z", z), **self.parameters)

    def pullback(self, z, cotangent) -> jax.Array:
        """The derivative's product with a vector, J(z)ᵀ v: σ′(z) ⊙ v, and for softmax without making the Jacobian."""
        if self.product is not None:
            return self.product(z, cotangent, **self.parameters)
        return cotangent * self.slope(z, **self.parameters)

    def configure(self, **parameters) -> "Activation":
        """The same activation with other hyper-parameters; an error for one that it has not or that is out of its limits."""
        return dataclasses.replace(self, parameters=checks.configured(self.name, self.parameters, self.limits, parameters))

    def __repr__(self) -> str:
        return checks.call_text(self.name, self.parameters)


def _logistic_slope(z):
    """σ(z) σ(−z) from one exponential of −|z|, so that the tails keep their digits: σ(1 − σ) would round to 0."""
    t = jnp.exp(-jnp.abs(z))
    return t / jnp.square(1 + t)


def _softmax_jacobian(z):
    s = jax.nn.softmax(z)
    identity = jnp.broadcast_to(jnp.eye(z.shape[-1], dtype=z.dtype), (*z.shape, z.shape[-1]))
    return s[..., :, None] * (identity - s[..., None, :])


def _softmax_product(z, v):
    s = jax.nn.softmax(z)
    return s * (v - jnp.sum(s * v, axis=-1, keepdims=True))


linear = Activation("linear", lambda z: z, jnp.ones_like, lambda z, v: v)
"""a = z, σ′ = 1: no activation; regression's output."""

step = Activation("step", lambda z: (z >= 0).astype(z.dtype), jnp.zeros_like)
"""a = 1 where z ≥ 0 (−0 too), else 0: the perceptron (N2). σ′ = 0 everywhere, which is why it cannot be trained (N3)."""

sigmoid = Activation("sigmoid", jax.nn.sigmoid, _logistic_slope)
"""a = 1 / (1 + e⁻ᶻ), in (0, 1). σ′ = a (1 − a)."""

tanh = Activation("tanh", jnp.tanh, lambda z: 4 * _logistic_slope(2 * z))
"""a = (eᶻ − e⁻ᶻ) / (eᶻ + e⁻ᶻ), in (−1, 1). σ′ = 1 − a² = sech² z."""

relu = Activation("relu", jax.nn.relu, lambda z: (z > 0).astype(z.dtype))
"""a = max(0, z). σ′ = 1 where z > 0; 0 at z = 0."""

leaky_relu = Activation(
    "leaky_relu",
    lambda z, slope: jnp.where(z >= 0, z, slope * z),
    lambda z, slope: jnp.where(z >= 0, jnp.ones_like(z), jnp.full_like(z, slope)),
    parameters={"slope": 0.1}, limits={"slope": (-1e30, 1.0)})
"""a = max(slope · z, z), slope = 0.1 as the notes have it (jax.nn.leaky_relu's default is 0.01). σ′ = 1 at z = 0."""

elu = Activation(
    "elu",
    jax.nn.elu,
    lambda z, alpha: jnp.where(z > 0, jnp.ones_like(z), alpha * jnp.exp(jnp.minimum(z, 0))),
    parameters={"alpha": 1.0}, limits={"alpha": (0.0, 1e30)})
"""a = z for z ≥ 0, α (eᶻ − 1) below (Clevert et al., 2016). σ′ = α at z = 0, where α ≠ 1 makes a kink."""

softplus = Activation("softplus", jax.nn.softplus, jax.nn.sigmoid)
"""a = ln(1 + eᶻ), a smooth relu. σ′ = 1 / (1 + e⁻ᶻ)."""

gelu = Activation(
    "gelu",
    lambda z: z * _normal_cdf(z),
    lambda z: _normal_cdf(z) + z * jnp.exp(-jnp.square(z) / 2) / math.sqrt(2 * math.pi))
"""a = z Φ(z), exactly, with Φ the normal distribution (Hendrycks & Gimpel, 2016). σ′ = Φ(z) + z φ(z)."""

silu = Activation("silu", jax.nn.silu, lambda z: jax.nn.sigmoid(z) * (1 + z * jax.nn.sigmoid(-z)))
"""a = z σ(z), also called swish. σ′ = σ(z) (1 + z σ(−z))."""

softmax = Activation("softmax", jax.nn.softmax, _softmax_jacobian, _softmax_product)
"""aⱼ = e^zⱼ / Σₖ e^zₖ over the last axis. The derivative is the Jacobian diag(a) − a aᵀ; times v it is a ⊙ (v − a·v)."""


def _normal_cdf(z):
    return jax.lax.erfc(-z * math.sqrt(0.5)) / 2


ACTIVATIONS = MappingProxyType({a.name: a for a in (
    linear, step, sigmoid, tanh, relu, leaky_relu, elu, softplus, gelu, silu, softmax)})


def get(activation: str | Activation) -> Activation:
    """The activation of that name; an Activation is handed back as it is.

    >>> get("sigmiod")
    Traceback (most recent call last):
        ...
    ValueError: unknown activation 'sigmiod'; did you mean 'sigmoid'? There are: linear, step, sigmoid, tanh, ...
    """
    if isinstance(activation, Activation):
        return activation
    return checks.one_of("activation", activation, ACTIVATIONS)
