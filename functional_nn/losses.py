"""Losses of ONE example: value and hand-written gradient side by side (N11, N12).

A loss compares a prediction a with a target y of the same shape and returns a scalar; its gradient ∇ₐL has the prediction's
shape. The sum or mean over *examples* is the cost, and belongs to `objective`. Over *outputs*, `quadratic`, `squared_error`,
`binary_cross_entropy` and `cross_entropy` sum, the others average over their n outputs. At every kink the gradient is 0 of
that term, as `jax.grad` of the value gives. Values are finite wherever twice the exact one can be represented.

>>> import functional_nn as fnn, jax.numpy as jnp
>>> float(fnn.losses.quadratic(jnp.array([1.0, 3.0]), jnp.array([0.0, 1.0])))
2.5
>>> fnn.losses.quadratic.gradient(jnp.array([1.0, 3.0]), jnp.array([0.0, 1.0])).tolist()
[1.0, 2.0]
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from functional_nn import checks

__all__ = ["FUSED", "LOSSES", "Head", "Loss", "binary_cross_entropy", "cross_entropy", "epsilon_insensitive", "get", "hinge",
           "huber", "log_cosh", "mae", "mse", "quadratic", "quantile", "squared_error"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Loss:
    """L(a, y) of one example with its gradient ∇ₐL, both written by hand.

    Attributes:
      name: how it is asked for.
      function: (a, y, **parameters) -> scalar.
      slope: (a, y, **parameters) -> ∇ₐL, of a's shape.
      output: the one output activation whose values this loss is defined for, or None for any.
      labels: whether a target may be one integer class instead of a vector.
      parameters: hyper-parameters and their values; `configure` sets them.
      limits: the smallest and the largest value of each hyper-parameter.
    """

    name: str
    function: Callable[..., jax.Array]
    slope: Callable[..., jax.Array]
    output: str | None = None
    labels: bool = False
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    limits: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)

    def __call__(self, prediction, target) -> jax.Array:
        """L(a, y), a scalar."""
        prediction = checks.floating("prediction", prediction)
        return self.function(prediction, self.target(prediction, target), **self.parameters)

    def gradient(self, prediction, target) -> jax.Array:
        """∇ₐL(a, y), of the prediction's shape."""
        prediction = checks.floating("prediction", prediction)
        return self.slope(prediction, self.target(prediction, target), **self.parameters)

    def target(self, prediction, target) -> jax.Array:
        """`target` in the prediction's shape and dtype: an integer class becomes its unit vector where that is allowed."""
        target = jnp.asarray(target)
        if prediction.ndim > 1:
            raise ValueError(f"prediction must be that of ONE example, a vector, got shape {prediction.shape}; use jax.vmap "
                             "for a batch")
        if self.labels and target.ndim == 0 and prediction.ndim == 1 and jnp.issubdtype(target.dtype, jnp.integer):
            checks.labels("target", target, prediction.size)
            return jax.nn.one_hot(target, prediction.size, dtype=prediction.dtype)
        if target.shape != prediction.shape:
            label = " or one integer class" if self.labels else ""
            raise ValueError(f"target must have the prediction's shape {prediction.shape}{label}, got {target.dtype} of shape "
                             f"{target.shape}; a loss takes ONE example, so use jax.vmap for a batch")
        return target.astype(prediction.dtype)

    def configure(self, **parameters) -> "Loss":
        """The same loss with other hyper-parameters; an error for one that it has not or that is out of its limits."""
        return dataclasses.replace(self, parameters=checks.configured(self.name, self.parameters, self.limits, parameters))

    def __repr__(self) -> str:
        return checks.call_text(self.name, self.parameters)


def _size(r):
    """|r|, which `jax.grad` differentiates to 0 at r = 0; that of `jnp.abs` is 1 there in newer versions."""
    return r * jnp.sign(r)


def _log_cosh(r):
    """ln cosh r without overflow for large |r| and without cancellation for small."""
    size = jnp.abs(r)
    near = jnp.log1p(2 * jnp.square(jnp.sinh(jnp.minimum(size, 1) / 2)))
    return jnp.where(size < 1, near, size + jnp.log1p(jnp.exp(-2 * size)) - math.log(2))


def _huber(r, delta):
    """½r² where |r| ≤ δ, else δ(|r| − ½δ): with m = min(|r|, δ) both are m(|r| − ½m)."""
    m = jnp.minimum(jnp.abs(r), delta)
    return m * (jnp.abs(r) - m / 2)


def _times_log(y, p):
    """y ln p, which is 0 where y = 0 even at p = 0."""
    return jnp.where(y == 0, jnp.zeros_like(p), y * jnp.log(jnp.where(y == 0, jnp.ones_like(p), p)))


def _times_log1p(y, p):
    """y ln(1 + p) in the same way; ln(1 − p) of a small p is −p, where 1 − p would round to 1."""
    return jnp.where(y == 0, jnp.zeros_like(p), y * jnp.log1p(jnp.where(y == 0, jnp.zeros_like(p), p)))


def _ratio(y, p):
    """y / p, which is 0 where y = 0 even at p = 0."""
    return jnp.where(y == 0, jnp.zeros_like(p), y / jnp.where(y == 0, jnp.ones_like(p), p))


quadratic = Loss("quadratic", lambda a, y: jnp.sum(jnp.square(a - y)) / 2, lambda a, y: a - y)
"""L = ½ Σ (a − y)². ∇ₐL = a − y. The cost of the four equations (N14)."""

squared_error = Loss("squared_error", lambda a, y: jnp.sum(jnp.square(a - y)), lambda a, y: 2 * (a - y))
"""L = Σ (a − y)². ∇ₐL = 2 (a − y). Linear regression's (N15)."""

mse = Loss("mse", lambda a, y: jnp.mean(jnp.square(a - y)), lambda a, y: 2 * (a - y) / a.size)
"""L = (1/n) Σ (a − y)². ∇ₐL = 2 (a − y) / n."""

mae = Loss("mae", lambda a, y: jnp.mean(_size(a - y)), lambda a, y: jnp.sign(a - y) / a.size)
"""L = (1/n) Σ |a − y|. ∇ₐL = sign(a − y) / n, 0 at a = y."""

huber = Loss(
    "huber",
    lambda a, y, delta: jnp.mean(_huber(a - y, delta)),
    lambda a, y, delta: jnp.clip(a - y, -delta, delta) / a.size,
    parameters={"delta": 1.0}, limits={"delta": (1e-30, 1e30)})
"""L = (1/n) Σ ½r² where |r| ≤ δ, else δ(|r| − ½δ), with r = a − y (Huber, 1964). ∇ₐL = clip(r, −δ, δ) / n."""

log_cosh = Loss("log_cosh", lambda a, y: jnp.mean(_log_cosh(a - y)), lambda a, y: jnp.tanh(a - y) / a.size)
"""L = (1/n) Σ ln cosh(a − y). ∇ₐL = tanh(a − y) / n."""

quantile = Loss(
    "quantile",
    lambda a, y, tau: jnp.mean(tau * jax.nn.relu(y - a) + (1 - tau) * jax.nn.relu(a - y)),
    lambda a, y, tau: ((1 - tau) * (a > y).astype(a.dtype) - tau * (a < y).astype(a.dtype)) / a.size,
    parameters={"tau": 0.5}, limits={"tau": (0.0, 1.0)})
"""L = (1/n) Σ τ (y − a) below the target, (1 − τ) (a − y) above: pinball. ∇ₐL = −τ/n below, (1 − τ)/n above, 0 at a = y."""

epsilon_insensitive = Loss(
    "epsilon_insensitive",
    lambda a, y, epsilon: jnp.mean(jax.nn.relu(jnp.abs(a - y) - epsilon)),
    lambda a, y, epsilon: jnp.sign(a - y) * (jnp.abs(a - y) > epsilon).astype(a.dtype) / a.size,
    parameters={"epsilon": 1.0}, limits={"epsilon": (0.0, 1e30)})
"""L = (1/n) Σ max(0, |a − y| − ε), ε = 1 as the notes draw it. ∇ₐL = sign(a − y) / n outside, 0 within and at the edge."""

binary_cross_entropy = Loss(
    "binary_cross_entropy",
    lambda a, y: -jnp.sum(_times_log(y, a) + _times_log1p(1 - y, -a)),
    lambda a, y: _ratio(1 - y, 1 - a) - _ratio(y, a),
    output="sigmoid")
"""L = −Σ [y ln a + (1 − y) ln(1 − a)], a in (0, 1). ∇ₐL = (1 − y)/(1 − a) − y/a."""

cross_entropy = Loss(
    "cross_entropy",
    lambda a, y: -jnp.sum(_times_log(y, a)),
    lambda a, y: -_ratio(y, a),
    output="softmax", labels=True)
"""L = −Σ y ln a, with y a probability vector or one integer class. ∇ₐL = −y / a."""

hinge = Loss(
    "hinge",
    lambda a, y: jnp.mean(jax.nn.relu(1 - y * a)),
    lambda a, y: -y * (y * a < 1).astype(a.dtype) / a.size)
"""L = (1/n) Σ max(0, 1 − y a), y ∈ {−1, +1}. ∇ₐL = −y/n where y a < 1; 0 beyond and at the edge."""


LOSSES = MappingProxyType({loss.name: loss for loss in (
    quadratic, squared_error, mse, mae, huber, log_cosh, quantile, epsilon_insensitive, binary_cross_entropy, cross_entropy,
    hinge)})


def get(loss: str | Loss) -> Loss:
    """The loss of that name; a Loss is handed back as it is.

    >>> get("crossentropy")
    Traceback (most recent call last):
        ...
    ValueError: unknown loss 'crossentropy'; did you mean 'cross_entropy'? There are: quadratic, squared_error, mse, ...
    """
    if isinstance(loss, Loss):
        return loss
    return checks.one_of("loss", loss, LOSSES)


class Head(NamedTuple):
    """The last step of a network: its loss as a function of the last pre-activation z.

    value: (z, y) -> L; delta: (z, y) -> δᴸ = ∂L/∂z. Both take y in z's shape and dtype.
    """

    value: Callable[[jax.Array, jax.Array], jax.Array]
    delta: Callable[[jax.Array, jax.Array], jax.Array]


FUSED = MappingProxyType({
    # L = −Σ yⱼ ln softmax(z)ⱼ; δᴸ = a Σy − y, which is a − y for the probabilities that y holds
    ("softmax", "cross_entropy"): Head(
        lambda z, y: -jnp.sum(y * jax.nn.log_softmax(z)), lambda z, y: jax.nn.softmax(z) * jnp.sum(y) - y),
    # −ln σ(z) = softplus(−z) and −ln(1 − σ(z)) = softplus(z); δᴸ = a (1 − y) − (1 − a) y = a − y, with 1 − a = σ(−z)
    ("sigmoid", "binary_cross_entropy"): Head(
        lambda z, y: jnp.sum(y * jax.nn.softplus(-z) + (1 - y) * jax.nn.softplus(z)),
        lambda z, y: jax.nn.sigmoid(z) * (1 - y) - jax.nn.sigmoid(-z) * y),
    # ½ Σ (z − y)²; δᴸ = a − y
    ("linear", "quadratic"): Head(quadratic.function, quadratic.slope),
})
"""Output activation and loss that cancel to δᴸ = a − y, straight from z: through a, float32 gives inf or NaN at z = 20."""
