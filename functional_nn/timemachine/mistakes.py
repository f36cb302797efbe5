"""Wrong backward passes to look at: each is the hand-written one with a single mistake.

A mistake turns an `Objective` into one with the same forward pass and a wrong backward pass. It
has the name that `fnn.verify` gives such a mistake.

>>> import functional_nn as fnn, jax.numpy as jnp
>>> params = ({"w": jnp.array([[3.0, 4.0]]), "b": jnp.array([1.0])},)
>>> X, Y = jnp.array([[1.0, 2.0]]), jnp.array([[10.0]])                                  # a = 12
>>> value_and_grad("sign")(fnn.mlp((2, 1)), "quadratic")(params, X, Y)[1][0]["w"].tolist()
[[-2.0, -4.0]]
"""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from functional_nn import checks, layers
from functional_nn.explanation.numbers import of_example
from functional_nn.network import Network
from functional_nn.objective import Objective, objective

__all__ = ["MISTAKES", "Mistake", "mistake", "value_and_grad"]


class Mistake(NamedTuple):
    """A mistake in a backward pass.

    Attributes:
      cause: its name in `fnn.verify.CAUSES`.
      says: what is wrong, as an equation.
      plant: the right objective -> one with the mistake in its backward pass.
      times: the number of examples -> by what the gradient of the batch is multiplied.
    """

    cause: str
    says: str
    plant: Callable[[Objective], Objective] = lambda problem: problem
    times: Callable[[Any], Any] = lambda count: 1.0


def _with_pullback(pullback: Callable) -> Callable[[Objective], Objective]:
    """A plant that steps back through the hidden activations with `pullback`(σ, z, v)."""
    def plant(problem: Objective) -> Objective:
        *hidden, last = problem.net.layers
        wrong = [dataclasses.replace(layer, activation=dataclasses.replace(
            layer.activation, product=_product(pullback, layer.activation))) for layer in hidden]
        return dataclasses.replace(problem, net=Network(problem.net.n_in, (*wrong, last)))

    return plant


def _product(pullback: Callable, activation) -> Callable[..., jax.Array]:
    return lambda z, v, **settings: pullback(activation, z, v)


def _with_delta(delta: Callable) -> Callable[[Objective], Objective]:
    """A plant that begins the backward pass with `delta`(right, z, y)."""
    def plant(problem: Objective) -> Objective:
        right = problem.head.delta
        return dataclasses.replace(
            problem, head=problem.head._replace(delta=lambda z, y: delta(right, z, y)))

    return plant


MISTAKES: Mapping[str, Mistake] = MappingProxyType({wrong.cause: wrong for wrong in (
    Mistake("missing derivative", "δˡ = (Wˡ⁺¹)ᵀ δˡ⁺¹, without σ′(zˡ)",
            _with_pullback(lambda activation, z, v: v)),
    Mistake("derivative at a", "δˡ = (Wˡ⁺¹)ᵀ δˡ⁺¹ ⊙ σ′(aˡ), not σ′(zˡ)",
            _with_pullback(lambda activation, z, v: v * activation.derivative(activation(z)))),
    Mistake("sign", "δᴸ = y − a, not a − y", _with_delta(lambda right, z, y: -right(z, y))),
    Mistake("sum for mean", "∂C/∂W = Σ δ aᵀ, not its mean", times=lambda count: count),
)})
"""The mistakes by the names of their causes."""


def mistake(cause: str) -> Mistake:
    """The mistake of that cause; raises a ValueError with the nearest one for an unknown name."""
    return checks.one_of("mistake", cause, MISTAKES)


def value_and_grad(cause: str) -> Callable[..., Any]:
    """A function like `backprop.value_and_grad`, with a mistake; raises the errors of `mistake`."""
    wrong = mistake(cause)

    def of_network(net, loss, reduction: str = "mean"):
        problem = wrong.plant(objective(net, loss, reduction))
        factors_of = layers.factors_of(net.layers)

        def cost_and_gradient(params, X, Y, *, sample_weights=None, key=None):
            batch = problem.batch(params, X, Y, sample_weights, key)
            found, factors = jax.vmap(
                lambda *example: of_example(problem, params, *example))(
                    batch.x, batch.y, batch.keys)
            count = jnp.count_nonzero(batch.weights).astype(batch.weights.dtype)
            weights = batch.weights * wrong.times(count)
            return batch.weights @ found["L", 0], factors_of.weighted_sum(factors, weights)

        return cost_and_gradient

    return of_network
