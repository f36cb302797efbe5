"""Penalties on the parameters, value and gradient side by side: what the objective has beside the loss (N12).

    J(params) = C(params; data) + R(params)

`fit(…, penalty=l2(1e-4))` descends along ∇J and shows C and R apart. The transformations `fnn.optimizers.l1` and `l2` put the
same gradients where an optimiser is chained, and show nothing.

>>> import jax.numpy as jnp
>>> both = l1(0.5) + l2(0.1)
>>> params = ({"w": jnp.array([[2.0, -4.0]]), "b": jnp.array([6.0])},)
>>> float(l1(0.5).value(params)), float(l2(0.1).value(params)), float(both.value(params))
(3.0, 1.0, 4.0)
>>> both.gradient(params)
({'b': Array([0.], dtype=float32), 'w': Array([[ 0.7, -0.9]], dtype=float32)},)
"""

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from functional_nn import checks

__all__ = ["Penalty", "l1", "l2"]

LEAVES = {"weights": lambda w: w.ndim >= 2, "all": lambda w: True}


@dataclasses.dataclass(frozen=True, repr=False)
class Penalty:
    """R and ∇R of the parameters. Penalties add up with +.

    Attributes:
      name: as it was asked for.
      value: params -> R, a scalar.
      gradient: params -> ∇R, shaped like params.
    """

    name: str
    value: Callable[[Any], jax.Array]
    gradient: Callable[[Any], Any]

    def __add__(self, other: "Penalty") -> "Penalty":
        if not isinstance(other, Penalty):
            return NotImplemented
        return Penalty(f"{self} + {other}", lambda params: self.value(params) + other.value(params),
                       lambda params: jax.tree.map(jnp.add, self.gradient(params), other.gradient(params)))

    def __repr__(self) -> str:
        return self.name


def l2(strength: float, leaves: str = "weights") -> Penalty:
    """R = ½ λ Σ w²,  ∇R = λ w.

    Args:
        strength: λ, a finite number of at least 0, or an array to be swept.
        leaves: "weights", those of two axes or more, or "all".

    Raises a TypeError or ValueError that names the argument at fault. Source: Krogh and Hertz, "A Simple Weight Decay Can
    Improve Generalization", 1991.
    """
    return _by_leaf("l2", strength, leaves, lambda w, lam: lam / 2 * jnp.sum(jnp.square(w)), lambda w, lam: lam * w)


def l1(strength: float, leaves: str = "weights") -> Penalty:
    """R = λ Σ |w|,  ∇R = λ sign(w), where sign(0) = 0: also by `jax.grad`, as |w| is written w sign(w).

    Args and errors as `l2`. Source: Tibshirani, "Regression Shrinkage and Selection via the Lasso", 1996.
    """
    return _by_leaf("l1", strength, leaves, lambda w, lam: lam * jnp.sum(w * jnp.sign(w)), lambda w, lam: lam * jnp.sign(w))


def _by_leaf(name: str, strength: float, leaves: str, value: Callable, gradient: Callable) -> Penalty:
    """The penalty that is a sum over the chosen leaves; λ takes each leaf's dtype."""
    checks.number("strength", strength, low=0, high=sys.float_info.max, wanted="a finite number of at least 0")
    chosen = checks.one_of("leaves", leaves, LEAVES)

    def total(params):
        return sum((value(w, jnp.asarray(strength, w.dtype)) for w in jax.tree.leaves(params) if chosen(w)), jnp.zeros(()))

    def slope(params):
        return jax.tree.map(lambda w: gradient(w, jnp.asarray(strength, w.dtype)) if chosen(w) else jnp.zeros_like(w), params)

    return Penalty(f"{name}({strength}{'' if leaves == 'weights' else f', {leaves!r}'})", total, slope)
