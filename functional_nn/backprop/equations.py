"""The four equations of backpropagation (N14), and the gradients that follow from them.

The backward pass of one example returns *factors*, for a dense layer the vectors (δˡ, aˡ⁻¹), and
no matrices. `jax.vmap` maps it over a batch. The gradient of the batch is one contraction of the
factors. The squared norm of an example's gradient is |δ|² (|a|² + 1) for a dense layer.
Per-example gradients are formed only on request.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from functional_nn import layers
from functional_nn.objective import Batch, Objective, objective

__all__ = ["Pass", "backward", "deltas", "every_example", "forward", "per_example_gradients",
           "per_example_norms", "shaped_like", "value_and_grad"]


class Pass(NamedTuple):
    """The forward and backward pass of one example, or of each example of a batch.

    Attributes:
      loss: L, a scalar.
      tape: what the forward pass left, a `layers.Step` for each layer.
      deltas: (δ¹, …, δᴸ), each (n_l,).
      factors: the factors of the gradient of all layers.
      cotangent: ∂L/∂x, (n_in,).
    """

    loss: jax.Array
    tape: tuple[layers.Step, ...]
    deltas: tuple[jax.Array, ...]
    factors: tuple[Any, Any]
    cotangent: jax.Array


def forward(problem: Objective, params, x, key) -> tuple[layers.Step, ...]:
    """The tape of one example: zˡ, and what each layer saved."""
    return layers.forward(problem.net.layers, params, x, key)[1]           # zˡ and aˡ = σ(zˡ)


def backward(problem: Objective, params, tape, y) -> Pass:
    """The backward pass of one example, from its tape."""
    z = tape[-1].z
    delta = problem.head.delta(z, y)                                       # BP1
    deltas, factors, cotangent = layers.backward(
        problem.net.layers, params, tape, delta)                           # BP2
    return Pass(problem.head.value(z, y), tape, deltas, factors, cotangent)  # BP3, BP4: (δˡ, aˡ⁻¹)


def every_example(problem: Objective, params, batch: Batch) -> Pass:
    """The `Pass` of a batch; each array has a leading axis of size B."""
    def one(x, y, key):
        return backward(problem, params, forward(problem, params, x, key), y)

    return jax.vmap(one)(batch.x, batch.y, batch.keys)


def shaped_like(params, gradient):
    """`gradient` in the containers of `params`, such as lists instead of tuples."""
    leaves = dict(jax.tree_util.tree_leaves_with_path(gradient))
    return jax.tree_util.tree_map_with_path(lambda path, _: leaves[path], params)


def value_and_grad(net, loss, reduction: str = "mean", *, head: str = "stable"):
    """The cost and its gradient as a function of the parameters, by BP1–BP4 (N14).

    Args:
      net: a network made by `fnn.mlp` or `fnn.sequential`.
      loss: a name or a `Loss`, which must suit the output activation.
      reduction: "mean" or "sum" of the examples' losses.
      head: the form of δᴸ, "stable" or "general"; both give the same where both are finite.

    Returns (params, X, Y, *, sample_weights=None, key=None) -> (cost, gradient). The cost is a
    scalar, and the gradient is a pytree like params. The arguments of this function are

      params: the parameters of the network.
      X: (B, n_in), floats.
      Y: (B, n_out); or (B,) for one output; or (B,) integer classes for cross_entropy.
      sample_weights: w, (B,), at least 0 and not all 0. The mean is then Σ wᵢLᵢ / Σ wᵢ, and the
        sum Σ wᵢLᵢ.
      key: a typed key for dropout; None applies no dropout.

    Raises a TypeError or ValueError that names the wrong argument; so does the returned function.
    `fnn.autodiff.value_and_grad` has the same signature and uses `jax.grad`.
    """
    problem = objective(net, loss, reduction, head)
    factors = layers.factors_of(net.layers)

    def cost_and_gradient(params, X, Y, *, sample_weights=None, key=None):
        batch = problem.batch(params, X, Y, sample_weights, key)
        run = every_example(problem, params, batch)
        return (batch.weights @ run.loss,
                shaped_like(params, factors.weighted_sum(run.factors, batch.weights)))

    return cost_and_gradient


def deltas(net, loss, *, head: str = "stable"):
    """The errors δˡ = ∂L/∂zˡ of one example as a function of the parameters (BP1, BP2; N14).

    Args:
      net, loss, head: as for `value_and_grad`.

    Returns (params, x (n_in,), y, *, key=None) -> a tuple with δˡ (n_l,) for each layer, first to
    last. Raises a TypeError or ValueError that names the wrong argument; so does the returned
    function.

    >>> import functional_nn as fnn, jax, jax.numpy as jnp
    >>> net, zero = fnn.mlp((1, 1, 1), hidden="linear"), jnp.zeros(1)
    >>> params = ({"w": jnp.array([[2.0]]), "b": zero}, {"w": jnp.array([[3.0]]), "b": zero})
    >>> x, y = jnp.array([1.0]), jnp.array([5.0])
    >>> [delta.tolist() for delta in deltas(net, "quadratic")(params, x, y)]      # δ² = a − y = 1
    [[3.0], [1.0]]
    """
    problem = objective(net, loss, "sum", head)

    def errors(params, x, y, *, key=None):
        batch = problem.example(params, x, y, key)
        return jax.tree.map(
            lambda delta: delta[0], every_example(problem, params, batch).deltas)

    return errors


def per_example_gradients(net, loss, *, head: str = "stable"):
    """The gradient of each example's loss as a function of the parameters (BP1–BP4; N14).

    The gradients take B times the memory of the parameters. `per_example_norms` returns their
    norms without that memory.

    Args:
      net, loss, head: as for `value_and_grad`.

    Returns (params, X, Y, *, key=None) -> the gradients, a pytree like params with a leading axis
    of size B. Raises a TypeError or ValueError that names the wrong argument; so does the returned
    function.

    >>> import functional_nn as fnn, jax.numpy as jnp
    >>> params = ({"w": jnp.array([[3.0]]), "b": jnp.array([1.0])},)
    >>> X, Y = jnp.array([[1.0], [2.0]]), jnp.array([[3.0], [3.0]])               # a = 4 and 7
    >>> per_example_gradients(fnn.mlp((1, 1)), "quadratic")(params, X, Y)[0]["w"].tolist()
    [[[1.0]], [[8.0]]]
    """
    problem = objective(net, loss, "sum", head)
    factors = layers.factors_of(net.layers)

    def gradients(params, X, Y, *, key=None):
        batch = problem.batch(params, X, Y, key=key)
        return shaped_like(
            params, jax.vmap(factors.gradient)(every_example(problem, params, batch).factors))

    return gradients


def per_example_norms(net, loss, *, head: str = "stable"):
    """The Euclidean norm of each example's gradient, over all parameters, without that gradient.

    A dense layer contributes |δ aᵀ|² + |δ|² = |δ|² (|a|² + 1) to the squared norm (Goodfellow,
    2015).

    Args:
      net, loss, head: as for `value_and_grad`.

    Returns (params, X, Y, *, key=None) -> the norms, (B,). Raises a TypeError or ValueError that
    names the wrong argument; so does the returned function.

    >>> import functional_nn as fnn, jax.numpy as jnp
    >>> params = ({"w": jnp.array([[3.0, 4.0]]), "b": jnp.array([1.0])},)
    >>> X, Y = jnp.array([[1.0, 2.0]]), jnp.array([[10.0]])
    >>> norms = per_example_norms(fnn.mlp((2, 1)), "quadratic")(params, X, Y)
    >>> print(f"{norms[0]:.3f}")                                        # √(2² (1² + 2² + 1))
    4.899
    """
    problem = objective(net, loss, "sum", head)
    factors = layers.factors_of(net.layers)

    def norms(params, X, Y, *, key=None):
        batch = problem.batch(params, X, Y, key=key)
        return jnp.sqrt(
            jax.vmap(factors.squared_norm)(every_example(problem, params, batch).factors))

    return norms
