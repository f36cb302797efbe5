"""Activation functions: value and hand-written derivatives side by side (N10).

Every function takes pre-activations z of any shape and returns an array of the same shape
and dtype; softmax acts on the last axis. Values and derivatives are finite for |z| up to
1e30, and keep their relative accuracy where the function saturates. At a kink the
derivative equals that of `jax.grad` of the value; each definition states which one it is.

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

from functional_nn import checks, recipes

__all__ = ["ACTIVATIONS", "Activation", "elu", "gelu", "get", "leaky_relu", "linear", "relu",
           "sigmoid", "silu", "softmax", "softplus", "step", "tanh"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Activation:
    """An activation function a = σ(z) with its derivative, both written by hand.

    Attributes:
      name: the name under which `get` finds it.
      function: (z, **parameters) -> a.
      slope: (z, **parameters) -> σ′(z), of z's shape. For a vector-valued σ it is the
        Jacobian, of shape (..., n, n).
      product: (z, v, **parameters) -> J(z) v, for a vector-valued σ; the Jacobian must be
        symmetric. None for an elementwise σ, whose product is σ′(z) ⊙ v.
      parameters: the hyper-parameters by name; `configure` sets them.
      limits: the smallest and the largest value of each hyper-parameter.
      elementwise: whether each output depends on its own input alone; softmax's does not.
      kink: what jumps at z = 0: "slope" for σ′, "value" for σ itself, None where both are smooth.
      straight: whether σ′ is constant on either side of 0.
      init: the name of the initialiser that suits a layer with this activation.
      trains: whether σ′ differs from 0 somewhere, so that gradient descent gets through.
      formula: a of {z} and the hyper-parameters, into which `fnn.explain` puts numbers; by default
        the call, such as elu(z). {Σ e^([z])} is a sum over the z of all nodes of the layer.
      slope_formula: σ′ of {z} and {a}, likewise.
      curvature: (z, **parameters) -> σ″(z), of z's shape. For a vector-valued σ it is
        (z, u, v, **parameters) -> (∂J(z)[u]) v, the derivative of J(z) v along u. None if it is
        not known; a `straight` σ needs none, as its σ″ is 0.

    >>> z = jnp.array([-1.0, 2.0])
    >>> relu(z).tolist(), relu.derivative(z).tolist(), relu.pullback(z, 5 + z).tolist()
    ([0.0, 2.0], [0.0, 1.0], [0.0, 7.0])
    """

    name: str
    function: Callable[..., jax.Array]
    slope: Callable[..., jax.Array]
    product: Callable[..., jax.Array] | None = None
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    limits: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    elementwise: bool = True
    kink: str | None = None
    straight: bool = False
    init: str = "glorot_uniform"
    trains: bool = True
    formula: str = ""
    slope_formula: str = ""
    curvature: Callable[..., jax.Array] | None = None

    def __call__(self, z) -> jax.Array:
        """The activations a = σ(z), of z's shape. Raises a TypeError unless z holds real floats."""
        return self.function(checks.floating("z", z), **self.parameters)

    def derivative(self, z) -> jax.Array:
        """The derivative σ′(z), of z's shape; for softmax the Jacobian, of shape (..., n, n).

        Raises a TypeError unless z holds real floats.
        """
        return self.slope(checks.floating("z", z), **self.parameters)

    def pullback(self, z, cotangent) -> jax.Array:
        """The vector-Jacobian product J(z)ᵀ v of the cotangent v, of z's shape.

        It is σ′(z) ⊙ v for an elementwise σ. For softmax the Jacobian is not formed.
        """
        if self.product is not None:
            return self.product(z, cotangent, **self.parameters)
        return cotangent * self.slope(z, **self.parameters)

    def bend(self, z, u, v) -> jax.Array:
        """The derivative of J(z) v along u, of z's shape: R{J(z)} v where R{z} = u.

        It is σ″(z) ⊙ u ⊙ v for an elementwise σ. Pearlmutter's R-operator needs it.

        >>> print(f"{float(tanh.bend(jnp.array(0.5), 1.0, 1.0)):.3f}")      # −2 a (1 − a²)
        -0.727
        """
        if self.straight:
            return jnp.zeros_like(z)
        if not self.elementwise:
            return self.curvature(z, u, v, **self.parameters)
        return self.curvature(z, **self.parameters) * u * v

    def configure(self, **parameters) -> "Activation":
        """The same activation with other values of some hyper-parameters.

        Raises a TypeError for a hyper-parameter that the activation does not have or that is not
        a number, and a ValueError for a value outside its limits. Arrays are not checked.

        >>> float(elu.configure(alpha=2.0).derivative(0.0))
        2.0
        """
        return dataclasses.replace(
            self,
            parameters=checks.configured(self.name, self.parameters, self.limits, parameters))

    def __repr__(self) -> str:
        return checks.call_text(self.name, self.parameters)


def _logistic_slope(z):
    """σ(z) σ(−z), from one exponential of −|z|.

    This keeps the relative accuracy in the tails, where 1 − σ, and so σ (1 − σ), rounds to 0.
    """
    t = jnp.exp(-jnp.abs(z))
    return t / jnp.square(1 + t)


def _softmax_jacobian(z):
    s = jax.nn.softmax(z)
    identity = jnp.broadcast_to(jnp.eye(z.shape[-1], dtype=z.dtype), (*z.shape, z.shape[-1]))
    return s[..., :, None] * (identity - s[..., None, :])


def _softmax_product(z, v):
    return _spread(jax.nn.softmax(z), v)


def _spread(s, v):
    """s ⊙ (v − s·v), which is J v for s = softmax(z)."""
    return s * (v - jnp.sum(s * v, axis=-1, keepdims=True))


def _softmax_curvature(z, u, v):
    """R{s ⊙ (v − s·v)} = ṡ ⊙ (v − s·v) − s (ṡ·v), with ṡ = J u."""
    s = jax.nn.softmax(z)
    ds = _spread(s, u)
    return (ds * (v - jnp.sum(s * v, axis=-1, keepdims=True))
            - s * jnp.sum(ds * v, axis=-1, keepdims=True))


def _logistic_curvature(z):
    """The second derivative of the logistic function, −σ′(z) tanh(z/2)."""
    return -_logistic_slope(z) * jnp.tanh(z / 2)


linear = Activation("linear", lambda z: z, jnp.ones_like, lambda z, v: v, straight=True,
                    formula="{z}", slope_formula="1")
"""a = z, σ′ = 1: the identity, the output activation of a regression."""

step = Activation("step", lambda z: (z >= 0).astype(z.dtype), jnp.zeros_like,
                  kink="value", straight=True, trains=False,
                  formula="1 if {z} ≥ 0, else 0", slope_formula="0")
"""a = 1 where z ≥ 0 (also at −0), else 0: the perceptron (N2).

σ′ = 0 everywhere, so gradient descent cannot train it (N3).
"""

sigmoid = Activation("sigmoid", jax.nn.sigmoid, _logistic_slope, curvature=_logistic_curvature,
                     formula="1 / (1 + e^(−{z}))", slope_formula="{a}·(1 − {a})")
"""a = 1 / (1 + e⁻ᶻ), in (0, 1). σ′ = a (1 − a), σ″ = σ′ (1 − 2a)."""

tanh = Activation("tanh", jnp.tanh, lambda z: 4 * _logistic_slope(2 * z),
                  curvature=lambda z: 8 * _logistic_curvature(2 * z), slope_formula="1 − {a}²")
"""a = (eᶻ − e⁻ᶻ) / (eᶻ + e⁻ᶻ), in (−1, 1). σ′ = 1 − a² = sech² z, σ″ = −2 a σ′."""

relu = Activation("relu", jax.nn.relu, lambda z: (z > 0).astype(z.dtype),
                  kink="slope", straight=True, init="he_normal", formula="max(0, {z})",
                  slope_formula="1 if {z} > 0, else 0")
"""a = max(0, z). σ′ = 1 where z > 0; 0 at z = 0."""

leaky_relu = Activation(
    "leaky_relu",
    lambda z, slope: jnp.where(z >= 0, z, slope * z),
    lambda z, slope: jnp.where(z >= 0, jnp.ones_like(z), jnp.full_like(z, slope)),
    parameters={"slope": 0.1}, limits={"slope": (-1e30, 1.0)},
    kink="slope", straight=True, init="he_normal", formula="max({slope}·{z}, {z})",
    slope_formula="1 if {z} ≥ 0, else {slope}")
"""a = max(slope · z, z). σ′ = 1 where z ≥ 0, else slope.

slope = 0.1, as in the notes; the default of `jax.nn.leaky_relu` is 0.01.
"""

elu = Activation(
    "elu",
    jax.nn.elu,
    lambda z, alpha: jnp.where(z > 0, jnp.ones_like(z), alpha * jnp.exp(jnp.minimum(z, 0))),
    parameters={"alpha": 1.0}, limits={"alpha": (0.0, 1e30)},
    kink="slope", init="he_normal",
    formula="{z} if {z} > 0, else {alpha}·(e^({z}) − 1)",
    slope_formula="1 if {z} > 0, else {alpha}·e^({z})",
    curvature=lambda z, alpha: jnp.where(
        z > 0, jnp.zeros_like(z), alpha * jnp.exp(jnp.minimum(z, 0))))
"""a = z for z ≥ 0, else α (eᶻ − 1) (Clevert et al., 2016).

σ′ = 1 for z > 0, else α eᶻ. At z = 0 it is α, and there is a kink unless α = 1. σ″ = 0 for z > 0,
else α eᶻ.
"""

softplus = Activation("softplus", jax.nn.softplus, jax.nn.sigmoid, curvature=_logistic_slope,
                      formula="ln(1 + e^({z}))", slope_formula="1 / (1 + e^(−{z}))")
"""a = ln(1 + eᶻ), a smooth relu. σ′ = 1 / (1 + e⁻ᶻ), σ″ = σ′ (1 − σ′)."""

gelu = Activation(
    "gelu",
    lambda z: z * _normal_cdf(z),
    lambda z: _normal_cdf(z) + z * jnp.exp(-jnp.square(z) / 2) / math.sqrt(2 * math.pi),
    init="he_normal", formula="{z}·Φ({z})",
    # beyond |z| = 1e3 the density is 0, and z² might be inf
    curvature=lambda z: (2 - jnp.square(jnp.clip(z, -1e3, 1e3))) * (
        jnp.exp(-jnp.square(z) / 2) / math.sqrt(2 * math.pi)))
"""a = z Φ(z), with the exact normal distribution function Φ (Hendrycks & Gimpel, 2016).

σ′ = Φ(z) + z φ(z), where φ is the normal density. σ″ = (2 − z²) φ(z).
"""

silu = Activation(
    "silu",
    jax.nn.silu,
    lambda z: jax.nn.sigmoid(z) * (1 + z * jax.nn.sigmoid(-z)),
    init="he_normal", formula="{z} / (1 + e^(−{z}))",
    curvature=lambda z: _logistic_slope(z) * (2 - z * jnp.tanh(z / 2)))
"""a = z s with s = 1 / (1 + e⁻ᶻ), also called swish. σ′ = s (1 + z (1 − s)).

σ″ = s (1 − s) (2 − z tanh(z/2)).
"""

softmax = Activation("softmax", jax.nn.softmax, _softmax_jacobian, _softmax_product,
                     elementwise=False, curvature=_softmax_curvature,
                     formula="e^({z}) / ({Σ e^([z])})")
"""aⱼ = e^zⱼ / Σₖ e^zₖ over the last axis.

The derivative is the Jacobian J = diag(a) − a aᵀ; its product is J v = a ⊙ (v − a·v).
"""


def _normal_cdf(z):
    return jax.lax.erfc(-z * math.sqrt(0.5)) / 2


ACTIVATIONS = MappingProxyType({
    value.name: value for value in list(vars().values()) if isinstance(value, Activation)})
"""Every activation defined above, by name."""
recipes.by_name(Activation, ACTIVATIONS)


def get(activation: str | Activation) -> Activation:
    """The activation of that name; an `Activation` is returned as it is.

    Raises a ValueError for an unknown name, with the nearest known one.

    >>> get("tanh")
    tanh
    >>> get("sigmiod")
    Traceback (most recent call last):
        ...
    ValueError: unknown activation 'sigmiod'; did you mean 'sigmoid'? There are: linear, step, ...
    """
    if isinstance(activation, Activation):
        return activation
    return checks.one_of("activation", activation, ACTIVATIONS)
