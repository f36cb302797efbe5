"""Backpropagation by hand (N13, N14): the four equations, and what they give beyond the gradient.

    δᴸ   = ∇ₐL ⊙ σ′(zᴸ)                  BP1   `objective.head`; a − y for the pairs that cancel
    δˡ   = (Wˡ⁺¹)ᵀδˡ⁺¹ ⊙ σ′(zˡ)          BP2   `layers.backward`
    ∂L/∂bˡ = δˡ                          BP3   `layers.rank_one`
    ∂L/∂Wˡ = δˡ (aˡ⁻¹)ᵀ                  BP4   `layers.rank_one`

One example is run forward and backward and ends in *factors*, for a dense layer (δˡ, aˡ⁻¹), not in matrices. `jax.vmap` gives
the factors of a batch; the batch's gradient is one contraction of them, the norm of each example's gradient is
|δ|² (|a|² + 1), and per-example gradients are made only when asked for. No derivative is taken automatically, here or in
anything imported here.

>>> import functional_nn as fnn, jax, jax.numpy as jnp
>>> net = fnn.mlp((2, 1), output="linear")                      # L = ½(a − y)², a = z: ∂L/∂w = (a − y)x, ∂L/∂b = a − y (N13)
>>> params = ({"w": jnp.array([[3.0, 4.0]]), "b": jnp.array([1.0])},)
>>> cost, grads = value_and_grad(net, "quadratic")(params, jnp.array([[1.0, 2.0]]), jnp.array([[10.0]]))
>>> float(cost), grads[0]["w"].tolist(), grads[0]["b"].tolist()      # a = 12
(2.0, [[2.0, 4.0]], [2.0])
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from functional_nn import layers
from functional_nn.objective import Objective, objective

__all__ = ["deltas", "per_example_gradients", "per_example_norms", "value_and_grad"]


class Pass(NamedTuple):
    """One example forward and backward: its loss, δ¹ … δᴸ, and the factors of every layer's gradient."""

    loss: jax.Array
    deltas: tuple[jax.Array, ...]
    factors: tuple[Any, ...]


def _one_example(problem: Objective, params, x, y, key) -> Pass:
    net, head = problem.net, problem.head
    _, tape = layers.forward(net.layers, params, x, key)                           # zˡ = Wˡaˡ⁻¹ + bˡ, aˡ = σ(zˡ)
    delta = head.delta(tape[-1].z, y)                                              # BP1
    deltas, factors, _ = layers.backward(net.layers, params, tape, delta)          # BP2
    return Pass(head.value(tape[-1].z, y), deltas, factors)                        # BP3, BP4: the factors (δˡ, aˡ⁻¹)


def _every_example(problem: Objective, params, batch) -> Pass:
    return jax.vmap(partial(_one_example, problem, params))(batch.x, batch.y, batch.keys)


def _shaped_like(params, gradient):
    """`gradient` in the containers of `params`, which may be lists where the network's own are tuples."""
    leaves = dict(jax.tree_util.tree_leaves_with_path(gradient))
    return jax.tree_util.tree_map_with_path(lambda path, _: leaves[path], params)


def value_and_grad(net, loss, reduction: str = "mean", *, head: str = "stable"):
    """The cost and its gradient, by hand.

    Args:
      net: a network of `fnn.mlp` or `fnn.sequential`.
      loss: a name or a Loss; one that the output activation cannot feed is refused with the right pair.
      reduction: "mean" or "sum" of the examples' losses.
      head: "stable" or "general" form of δᴸ; the same number where both are finite.

    Returns:
      (params, X (B, n_in), Y, *, sample_weights=None, key=None) -> (cost, gradient shaped like params). Y is (B, n_out), or
      (B,) integer classes for cross_entropy. With sample weights w the mean is Σ wᵢLᵢ / Σ wᵢ, the sum Σ wᵢLᵢ. `key` drops
      units where there is dropout; without it nothing is dropped. It raises a ValueError or TypeError that names the argument.

    Source: N14. The same signature through `jax.grad`: `fnn.autodiff.value_and_grad`.
    """
    problem = objective(net, loss, reduction, head)
    factors = layers.factors_of(net.layers)

    def cost_and_gradient(params, X, Y, *, sample_weights=None, key=None):
        batch = problem.batch(params, X, Y, sample_weights, key)
        run = _every_example(problem, params, batch)
        return batch.weights @ run.loss, _shaped_like(params, factors.weighted_sum(run.factors, batch.weights))

    return cost_and_gradient


def deltas(net, loss, *, head: str = "stable"):
    """The errors δˡ = ∂L/∂zˡ of one example.

    Returns:
      (params, x (n_in,), y, *, key=None) -> a tuple with δˡ (n_l,) for each layer, first to last.

    >>> import functional_nn as fnn, jax, jax.numpy as jnp
    >>> net = fnn.mlp((1, 1, 1), hidden="linear")
    >>> params = ({"w": jnp.array([[2.0]]), "b": jnp.zeros(1)}, {"w": jnp.array([[3.0]]), "b": jnp.zeros(1)})
    >>> [d.tolist() for d in deltas(net, "quadratic")(params, jnp.array([1.0]), jnp.array([5.0]))]   # a − y = 1; 3 · 1
    [[3.0], [1.0]]
    """
    problem = objective(net, loss, "sum", head)

    def errors(params, x, y, *, key=None):
        batch = problem.example(params, x, y, key)
        return jax.tree.map(lambda delta: delta[0], _every_example(problem, params, batch).deltas)

    return errors


def per_example_gradients(net, loss, *, head: str = "stable"):
    """The gradient of each example's own loss.

    Returns:
      (params, X, Y, *, key=None) -> gradients shaped like params with a leading axis of B. This is B times the memory of
      params; for norms alone, `per_example_norms` needs none of it.
    """
    problem = objective(net, loss, "sum", head)
    factors = layers.factors_of(net.layers)

    def gradients(params, X, Y, *, key=None):
        batch = problem.batch(params, X, Y, key=key)
        return _shaped_like(params, jax.vmap(factors.gradient)(_every_example(problem, params, batch).factors))

    return gradients


def per_example_norms(net, loss, *, head: str = "stable"):
    """The Euclidean norm of each example's gradient, over all parameters, without making the gradients.

    |δ aᵀ|² + |δ|² = |δ|² (|a|² + 1) for every dense layer (Goodfellow, 2015).

    Returns:
      (params, X, Y, *, key=None) -> (B,).

    >>> import functional_nn as fnn, jax.numpy as jnp
    >>> params = ({"w": jnp.array([[3.0, 4.0]]), "b": jnp.array([1.0])},)
    >>> norms = per_example_norms(fnn.mlp((2, 1)), "quadratic")(params, jnp.array([[1.0, 2.0]]), jnp.array([[10.0]]))
    >>> print(f"{norms[0]:.3f}")                                                          # √(2² (1² + 2² + 1))
    4.899
    """
    problem = objective(net, loss, "sum", head)
    factors = layers.factors_of(net.layers)

    def norms(params, X, Y, *, key=None):
        batch = problem.batch(params, X, Y, key=key)
        return jnp.sqrt(jax.vmap(factors.squared_norm)(_every_example(problem, params, batch).factors))

    return norms
