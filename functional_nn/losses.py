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

import dataclasses
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks, recipes
from functional_nn.activations import sigmoid, softmax

__all__ = ["FUSED", "LOSSES", "Head", "Loss", "binary_cross_entropy", "cross_entropy",
           "epsilon_insensitive", "get", "hinge", "huber", "log_cosh", "mae", "mse", "quadratic",
           "quantile", "squared_error"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Loss:
    """The loss L(a, y) of one example with its gradient ∇ₐL, both written by hand.

    Attributes:
      name: the name under which `get` finds it.
      function: (a, y, **parameters) -> L, a scalar.
      slope: (a, y, **parameters) -> ∇ₐL, of a's shape.
      output: the name of the only output activation whose values this loss is defined for;
        None if any will do.
      labels: whether a target may be an integer class instead of a vector.
      parameters: the hyper-parameters by name; `configure` sets them.
      limits: the smallest and the largest value of each hyper-parameter.
      sums: whether the outputs are summed; else they are averaged.
      targets: what a target holds: any "values"; "signs", −1 or 1; "shares" from 0 to 1; or a
        "distribution", shares that add up to 1.
      formula: the term of one output {a} with its target {y}, with numbers put in where
        `fnn.explain` writes an example out; by default the call, such as huber(a, y).
      slope_formula: the derivative of the term, likewise.
      curvature: (a, y, **parameters) -> ∂²L/∂aⱼ², of a's shape, for a loss that is a sum or mean
        over its outputs, so that its Hessian is diagonal. None if it is not known.
      residual: whether L depends on a − y alone, so that ∂L/∂y = −∇ₐL.
      target_slope: (a, y, **parameters) -> ∂L/∂y, of a's shape, for a loss that is not of the
        residual. None if it is not known.

    >>> prediction, target = jnp.array([0.0, 3.0]), jnp.array([0.5, 0.0])
    >>> float(huber(prediction, target)), huber.gradient(prediction, target).tolist()
    (1.3125, [-0.25, 0.5])
    """

    name: str
    function: Callable[..., jax.Array]
    slope: Callable[..., jax.Array]
    output: str | None = None
    labels: bool = False
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    limits: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    sums: bool = False
    targets: str = "values"
    formula: str = ""
    slope_formula: str = ""
    curvature: Callable[..., jax.Array] | None = None
    residual: bool = False
    target_slope: Callable[..., jax.Array] | None = None

    def __call__(self, prediction, target) -> jax.Array:
        """The loss L(a, y), a scalar.

        Raises a TypeError unless the prediction a holds real floats, and a ValueError for a
        batch of predictions or a target that `target` does not take.
        """
        prediction = checks.floating("prediction", prediction)
        return self.function(prediction, self.target(prediction, target), **self.parameters)

    def gradient(self, prediction, target) -> jax.Array:
        """The gradient ∇ₐL(a, y), of the prediction's shape. Raises the errors of `__call__`."""
        prediction = checks.floating("prediction", prediction)
        return self.slope(prediction, self.target(prediction, target), **self.parameters)

    def target(self, prediction, target) -> jax.Array:
        """`target` in the prediction's shape and dtype.

        An integer class becomes its one-hot vector if the loss takes `labels`. Raises a
        ValueError when the prediction has more than one axis, when the shapes differ, and when
        a class is not one of the outputs.

        >>> cross_entropy.target(jnp.array([0.2, 0.7, 0.1]), 2).tolist()
        [0.0, 0.0, 1.0]
        """
        target = checks.real("target", target)
        if prediction.ndim > 1:
            raise ValueError(
                f"prediction must be that of ONE example, a vector, got shape {prediction.shape}; "
                "use jax.vmap for a batch")
        if (self.labels and target.ndim == 0 and prediction.ndim == 1
                and jnp.issubdtype(target.dtype, jnp.integer)):
            checks.labels("target", target, prediction.size)
            return jax.nn.one_hot(
                checks.as_jax("target", target), prediction.size, dtype=prediction.dtype)
        if target.shape != prediction.shape:
            label = " or one integer class" if self.labels else ""
            raise ValueError(
                f"target must have the prediction's shape {prediction.shape}{label}, got "
                f"{target.dtype} of shape {target.shape}; a loss takes ONE example, so use "
                "jax.vmap for a batch")
        return checks.as_jax("target", target, prediction.dtype)

    def check_range(self, argument: str, targets) -> None:
        """Raise a ValueError for a target that is not of the kind `self.targets`.

        Integers are not checked where they may be classes (`self.labels`).

        >>> hinge.check_range("Y", jnp.array([1.0, 0.0]))
        Traceback (most recent call last):
            ...
        ValueError: Y must hold signs, -1 or 1, for hinge, got Y[1] = 0.0; write 2 * Y - 1 for ...
        """
        if self.targets == "values" or (
                self.labels and jnp.issubdtype(targets.dtype, jnp.integer)):
            return
        values = np.asarray(targets)
        if self.targets == "signs":
            bad, wanted, fix = (values != 1) & (values != -1), "signs, -1 or 1,", (
                f"write 2 * {argument} - 1 for classes 0 and 1")
        else:
            bad, wanted, fix = (values < 0) | (values > 1), "shares from 0 to 1", (
                "number two classes 0 and 1, or choose a loss of values, such as mse")
        if bad.any():
            first = tuple(np.argwhere(bad)[0].tolist())
            place = "".join(f"[{i}]" for i in first)
            raise ValueError(f"{argument} must hold {wanted} for {self.name}, got "
                             f"{argument}{place} = {values[first]}; {fix}")

    def configure(self, **parameters) -> "Loss":
        """The same loss with other values of some hyper-parameters.

        Raises a TypeError for a hyper-parameter that the loss does not have or that is not a
        number, and a ValueError for a value outside its limits. Arrays are not checked.

        >>> huber.configure(delta=0.5)
        huber(delta=0.5)
        """
        return dataclasses.replace(
            self,
            parameters=checks.configured(self.name, self.parameters, self.limits, parameters))

    def __repr__(self) -> str:
        return checks.call_text(self.name, self.parameters)


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
    curvature=lambda a, y, tau: jnp.zeros_like(a))
"""The pinball loss: L = (1/n) Σ τ (y − a) where a < y, else (1 − τ) (a − y).

∇ₐL = −τ/n where a < y, (1 − τ)/n where a > y, and 0 at a = y.
"""

epsilon_insensitive = Loss(
    "epsilon_insensitive",
    lambda a, y, epsilon: jnp.mean(jax.nn.relu(jnp.abs(a - y) - epsilon)),
    lambda a, y, epsilon: jnp.sign(a - y) * (jnp.abs(a - y) > epsilon).astype(a.dtype) / a.size,
    parameters={"epsilon": 1.0}, limits={"epsilon": (0.0, 1e30)}, residual=True,
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
