"""The losses, each with its gradient and its curvature by hand (N11)."""

import math
from types import MappingProxyType

import jax
import jax.numpy as jnp

from functional_nn import checks, recipes
from functional_nn.losses.loss import Loss


def _size(r):
    """|r|, for which `jax.grad` gives 0 at r = 0; for `jnp.abs`, newer versions give 1 there."""
    return r * jnp.sign(r)


def _log_cosh(r):
    """ln cosh r, without overflow for large |r| and without cancellation for small |r|."""
    size = jnp.abs(r)
    near = jnp.log1p(2 * jnp.square(jnp.sinh(jnp.minimum(size, 1) / 2)))
    return jnp.where(size < 1, near, size + jnp.log1p(jnp.exp(-2 * size)) - math.log(2))


def _sech_squared(r):
    """1 / cosh² r, without the cancellation of 1 − tanh² r."""
    t = jnp.exp(-2 * jnp.abs(r))
    return 4 * t / jnp.square(1 + t)


def _huber(r, delta):
    """½r² where |r| ≤ δ, else δ(|r| − ½δ). With m = min(|r|, δ) both are m(|r| − ½m)."""
    m = jnp.minimum(jnp.abs(r), delta)
    return m * (jnp.abs(r) - m / 2)


def _times_log(y, p):
    """y ln p, with 0 ln 0 = 0."""
    return jnp.where(y == 0, jnp.zeros_like(p), y * jnp.log(jnp.where(y == 0, jnp.ones_like(p), p)))


def _times_log1p(y, p):
    """y ln(1 + p), with 0 ln 0 = 0.

    For p = −a with a small a it is accurate, where ln(1 − a) loses a: 1 − a rounds to 1.
    """
    return jnp.where(
        y == 0,
        jnp.zeros_like(p),
        y * jnp.log1p(jnp.where(y == 0, jnp.zeros_like(p), p)))


def _ratio(y, p):
    """y / p, with 0 / 0 = 0."""
    return jnp.where(y == 0, jnp.zeros_like(p), y / jnp.where(y == 0, jnp.ones_like(p), p))


quadratic = Loss(
    "quadratic",
    lambda a, y: jnp.sum(jnp.square(a - y)) / 2,
    lambda a, y: a - y,
    sums=True, residual=True, formula="½·({a} − {y})²", slope_formula="{a} − {y}",
    curvature=lambda a, y: jnp.ones_like(a))
"""L = ½ Σ (a − y)². ∇ₐL = a − y. The loss of the backpropagation equations BP1–BP4 (N14)."""

squared_error = Loss(
    "squared_error",
    lambda a, y: jnp.sum(jnp.square(a - y)),
    lambda a, y: 2 * (a - y),
    sums=True, residual=True, formula="({a} − {y})²", slope_formula="2·({a} − {y})",
    curvature=lambda a, y: jnp.full_like(a, 2))
"""L = Σ (a − y)². ∇ₐL = 2 (a − y). The loss of linear regression (N15)."""

mse = Loss(
    "mse",
    lambda a, y: jnp.mean(jnp.square(a - y)),
    lambda a, y: 2 * (a - y) / a.size,
    residual=True, formula="({a} − {y})²", slope_formula="2·({a} − {y})",
    curvature=lambda a, y: jnp.full_like(a, 2 / a.size))
"""L = (1/n) Σ (a − y)². ∇ₐL = 2 (a − y) / n."""

mae = Loss(
    "mae",
    lambda a, y: jnp.mean(_size(a - y)),
    lambda a, y: jnp.sign(a - y) / a.size,
    residual=True, formula="|{a} − {y}|", slope_formula="sign({a} − {y})",
    curvature=lambda a, y: jnp.zeros_like(a))
"""L = (1/n) Σ |a − y|. ∇ₐL = sign(a − y) / n, 0 at a = y."""

huber = Loss(
    "huber",
    lambda a, y, delta: jnp.mean(_huber(a - y, delta)),
    lambda a, y, delta: jnp.clip(a - y, -delta, delta) / a.size,
    parameters={"delta": 1.0}, limits={"delta": (1e-30, 1e30)}, residual=True,
    slope_formula="max(−{delta}, min({delta}, {a} − {y}))",
    curvature=lambda a, y, delta: (jnp.abs(a - y) < delta).astype(a.dtype) / a.size)
"""L = (1/n) Σ ½r² where |r| ≤ δ, else δ(|r| − ½δ), with r = a − y (Huber, 1964).

∇ₐL = clip(r, −δ, δ) / n.
"""

log_cosh = Loss(
    "log_cosh",
    lambda a, y: jnp.mean(_log_cosh(a - y)),
    lambda a, y: jnp.tanh(a - y) / a.size,
    residual=True, formula="ln cosh({a} − {y})", slope_formula="tanh({a} − {y})",
    curvature=lambda a, y: _sech_squared(a - y) / a.size)
"""L = (1/n) Σ ln cosh(a − y). ∇ₐL = tanh(a − y) / n."""

quantile = Loss(
    "quantile",
    lambda a, y, tau: jnp.mean(tau * jax.nn.relu(y - a) + (1 - tau) * jax.nn.relu(a - y)),
    lambda a, y, tau: (
        (1 - tau) * (a > y).astype(a.dtype) - tau * (a < y).astype(a.dtype)) / a.size,
    parameters={"tau": 0.5}, limits={"tau": (0.0, 1.0)}, residual=True,
    formula="max({tau}·({y} − {a}), (1 − {tau})·({a} − {y}))",
    curvature=lambda a, y, tau: jnp.zeros_like(a))
"""The pinball loss: L = (1/n) Σ τ (y − a) where a < y, else (1 − τ) (a − y).

∇ₐL = −τ/n where a < y, (1 − τ)/n where a > y, and 0 at a = y.
"""

epsilon_insensitive = Loss(
    "epsilon_insensitive",
    lambda a, y, epsilon: jnp.mean(jax.nn.relu(jnp.abs(a - y) - epsilon)),
    lambda a, y, epsilon: jnp.sign(a - y) * (jnp.abs(a - y) > epsilon).astype(a.dtype) / a.size,
    parameters={"epsilon": 1.0}, limits={"epsilon": (0.0, 1e30)}, residual=True,
    formula="max(0, |{a} − {y}| − {epsilon})",
    curvature=lambda a, y, epsilon: jnp.zeros_like(a))
"""L = (1/n) Σ max(0, |a − y| − ε), with ε = 1 as drawn in the notes.

∇ₐL = sign(a − y) / n where |a − y| > ε, else 0.
"""

binary_cross_entropy = Loss(
    "binary_cross_entropy",
    lambda a, y: -jnp.sum(_times_log(y, a) + _times_log1p(1 - y, -a)),
    lambda a, y: _ratio(1 - y, 1 - a) - _ratio(y, a),
    output="sigmoid", sums=True, targets="shares",
    formula="−({y}·ln {a} + (1 − {y})·ln(1 − {a}))",
    slope_formula="(1 − {y})/(1 − {a}) − {y}/{a}",
    curvature=lambda a, y: _ratio(1 - y, jnp.square(1 - a)) + _ratio(y, jnp.square(a)),
    target_slope=lambda a, y: jnp.log1p(-a) - jnp.log(a))
"""L = −Σ [y ln a + (1 − y) ln(1 − a)], a in (0, 1). ∇ₐL = (1 − y)/(1 − a) − y/a."""

cross_entropy = Loss(
    "cross_entropy",
    lambda a, y: -jnp.sum(_times_log(y, a)),
    lambda a, y: -_ratio(y, a),
    output="softmax", labels=True, sums=True, targets="distribution",
    formula="−{y}·ln {a}", slope_formula="−{y}/{a}",
    curvature=lambda a, y: _ratio(y, jnp.square(a)),
    target_slope=lambda a, y: -jnp.log(a))
"""L = −Σ y ln a, with y a probability vector or one integer class. ∇ₐL = −y / a."""

hinge = Loss(
    "hinge",
    lambda a, y: jnp.mean(jax.nn.relu(1 - y * a)),
    lambda a, y: -y * (y * a < 1).astype(a.dtype) / a.size,
    targets="signs", formula="max(0, 1 − {y}·{a})",
    slope_formula="−{y} if {y}·{a} < 1, else 0",
    curvature=lambda a, y: jnp.zeros_like(a),
    target_slope=lambda a, y: -a * (y * a < 1).astype(a.dtype) / a.size)
"""L = (1/n) Σ max(0, 1 − y a), y ∈ {−1, +1}. ∇ₐL = −y/n where y a < 1, else 0."""


LOSSES = MappingProxyType({
    value.name: value for value in list(vars().values()) if isinstance(value, Loss)})
"""Every loss defined above, by name."""
recipes.by_name(Loss, LOSSES)


def get(loss: str | Loss) -> Loss:
    """The loss of that name; a `Loss` is returned as it is.

    Raises a ValueError for an unknown name, with the nearest known one.

    >>> get("huber")
    huber(delta=1.0)
    >>> get("crossentropy")
    Traceback (most recent call last):
        ...
    ValueError: unknown loss 'crossentropy'; did you mean 'cross_entropy'? There are: quadratic, ...
    """
    if isinstance(loss, Loss):
        return loss
    return checks.one_of("loss", loss, LOSSES)
