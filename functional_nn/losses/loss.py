"""What a loss is: value, gradient and curvature side by side, and the targets that it takes."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks

__all__ = ["Loss"]


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

    >>> from functional_nn.losses import huber
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

        >>> from functional_nn.losses import cross_entropy
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

        >>> from functional_nn.losses import hinge
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

        >>> from functional_nn.losses import huber
        >>> huber.configure(delta=0.5)
        huber(delta=0.5)
        """
        return dataclasses.replace(
            self,
            parameters=checks.configured(self.name, self.parameters, self.limits, parameters))

    def __repr__(self) -> str:
        return checks.call_text(self.name, self.parameters)
