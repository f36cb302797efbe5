"""Penalties on the parameters, value and gradient side by side (N12).

The objective J is the cost C, from the losses on the data, plus the penalty R:

    J(params) = C(params; data) + R(params)

`fit(…, penalty=l2(1e-4))` descends along ∇J and reports C and R separately. The optimiser
transformations `fnn.optimizers.l1` and `l2` add the same gradients in an `optax.chain`; with
them, R is not reported.

>>> import jax.numpy as jnp
>>> both = l1(0.5) + l2(0.1)
>>> params = ({"w": jnp.array([[2.0, -4.0]]), "b": jnp.array([6.0])},)
>>> float(l1(0.5).value(params)), float(l2(0.1).value(params)), float(both.value(params))
(3.0, 1.0, 4.0)
>>> both.gradient(params)
({'b': Array([0.], dtype=float32), 'w': Array([[ 0.7, -0.9]], dtype=float32)},)
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from functional_nn import checks
from functional_nn.recipes import recipe

__all__ = ["Penalty", "l1", "l2"]

LEAVES = {"weights": lambda w: w.ndim >= 2, "all": lambda w: True}


@dataclasses.dataclass(frozen=True, repr=False)
class Penalty:
    """A penalty R on the parameters with its gradient ∇R. The operator + adds two penalties.

    Attributes:
      name: the call that made it, for `repr`.
      value: params -> R, a scalar.
      gradient: params -> ∇R, a pytree shaped like params.

    >>> l1(0.5) + l2(0.1, leaves="all")
    l1(0.5) + l2(0.1, 'all')
    """

    name: str
    value: Callable[[Any], jax.Array]
    gradient: Callable[[Any], Any]

    def __add__(self, other: "Penalty") -> "Penalty":
        if not isinstance(other, Penalty):
            return NotImplemented
        return Penalty(
            f"{self} + {other}",
            _sum_of_values(self.value, other.value),
            _sum_of_gradients(self.gradient, other.gradient))

    def __repr__(self) -> str:
        return self.name


@recipe("first", "second")
def _sum_of_values(first: Callable, second: Callable) -> Callable:
    return lambda params: first(params) + second(params)


@recipe("first", "second")
def _sum_of_gradients(first: Callable, second: Callable) -> Callable:
    return lambda params: optax.tree.add(first(params), second(params))


@recipe("strength")
def l2(strength: float, leaves: str = "weights") -> Penalty:
    """The squared (L2) penalty: R = ½ λ Σ w², ∇R = λ w.

    Args:
        strength: λ, a finite number of at least 0, or an array to be swept.
        leaves: "weights", the leaves with at least two axes, or "all".

    Raises a TypeError or ValueError that names the wrong argument. Source: Krogh and Hertz,
    "A Simple Weight Decay Can Improve Generalization", 1991.

    >>> params = {"w": jnp.array([[2.0, -4.0]]), "b": jnp.array([2.0])}
    >>> float(l2(0.5).value(params)), float(l2(0.5, leaves="all").value(params))
    (5.0, 6.0)
    """
    return _by_leaf(
        "l2",
        strength,
        leaves,
        lambda w, lam: lam / 2 * jnp.sum(jnp.square(w)),
        lambda w, lam: lam * w)


@recipe("strength")
def l1(strength: float, leaves: str = "weights") -> Penalty:
    """The absolute-value (L1, lasso) penalty: R = λ Σ |w|, ∇R = λ sign(w) with sign(0) = 0.

    |w| is written as w sign(w), for which `jax.grad` also gives 0 at w = 0.

    Args:
        strength: λ, a finite number of at least 0, or an array to be swept.
        leaves: "weights", the leaves with at least two axes, or "all".

    Raises a TypeError or ValueError that names the wrong argument. Source: Tibshirani,
    "Regression Shrinkage and Selection via the Lasso", 1996.

    >>> l1(0.5).gradient({"w": jnp.array([[2.0, -4.0, 0.0]])})["w"].tolist()
    [[0.5, -0.5, 0.0]]
    """
    return _by_leaf(
        "l1",
        strength,
        leaves,
        lambda w, lam: lam * jnp.sum(w * jnp.sign(w)),
        lambda w, lam: lam * jnp.sign(w))


def _by_leaf(
    name: str, strength: float, leaves: str, value: Callable, gradient: Callable
) -> Penalty:
    """The penalty that sums `value` over the chosen leaves; λ is cast to the dtype of each leaf."""
    checks.not_negative("strength", strength)
    chosen = checks.one_of("leaves", leaves, LEAVES)

    def total(params):
        return jnp.asarray(sum(
            (value(w, jnp.asarray(strength, w.dtype))
             for w in jax.tree.leaves(params) if chosen(w)), 0.0))

    def slope(params):
        return jax.tree.map(
            lambda w: (
                gradient(w, jnp.asarray(strength, w.dtype)) if chosen(w) else jnp.zeros_like(w)),
            params)

    return Penalty(
        f"{name}({strength}{'' if leaves == 'weights' else f', {leaves!r}'})", total, slope)
