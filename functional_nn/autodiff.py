"""Gradients by automatic differentiation: the functions of `backprop`, through `jax.grad`.

They are the reference for the hand-written ones and have the same signatures.

>>> import functional_nn as fnn, jax, jax.numpy as jnp
>>> net = fnn.mlp((2, 1))
>>> params = ({"w": jnp.array([[3.0, 4.0]]), "b": jnp.array([1.0])},)
>>> X, Y = jnp.array([[1.0, 2.0]]), jnp.array([[10.0]])
>>> cost, grads = value_and_grad(net, "quadratic")(params, X, Y)
>>> float(cost), grads[0]["w"].tolist()
(2.0, [[2.0, 4.0]])
"""

import jax
import jax.numpy as jnp

from functional_nn import layers
from functional_nn.objective import objective

__all__ = ["deltas", "per_example_gradients", "per_example_norms", "value_and_grad"]


def value_and_grad(net, loss, reduction: str = "mean", *, head: str = "stable"):
    """The cost and its gradient as a function of the parameters, by `jax.value_and_grad`.

    Arguments, result and errors are those of `backprop.value_and_grad`:
    (params, X, Y, *, sample_weights=None, key=None) -> (cost, gradient).
    """
    problem = objective(net, loss, reduction, head)

    def cost_and_gradient(params, X, Y, *, sample_weights=None, key=None):
        batch = problem.batch(params, X, Y, sample_weights, key)
        return jax.value_and_grad(problem.cost)(params, batch)

    return cost_and_gradient


def deltas(net, loss, *, head: str = "stable"):
    """The errors δˡ = ∂L/∂zˡ of one example, by `jax.grad`.

    They are the derivatives of the loss with respect to probes εˡ that are added to the
    pre-activations, zˡ + εˡ, at εˡ = 0. Arguments, result and errors are those of
    `backprop.deltas`: (params, x, y, *, key=None) -> a tuple with δˡ (n_l,) for each layer.
    """
    problem = objective(net, loss, "sum", head)

    def errors(params, x, y, *, key=None):
        batch = problem.example(params, x, y, key)

        def loss_of(probes):
            a, keys = batch.x[0], layers.keys_of(
                net.layers, None if batch.keys is None else batch.keys[0])
            for layer, p, k, probe in zip(net.layers, params, keys, probes, strict=True):
                z = layer.forward(p, a, k)[0] + probe
                a = layer.activation(z)
            return problem.head.value(z, batch.y[0])

        return jax.grad(loss_of)(tuple(jnp.zeros(n, batch.x.dtype) for n in net.sizes[1:]))

    return errors


def per_example_gradients(net, loss, *, head: str = "stable"):
    """The gradient of each example's loss as a function of the parameters, by `jax.grad`.

    Arguments, result and errors are those of `backprop.per_example_gradients`:
    (params, X, Y, *, key=None) -> a pytree like params with a leading axis of size B.
    """
    problem = objective(net, loss, "sum", head)

    def gradients(params, X, Y, *, key=None):
        batch = problem.batch(params, X, Y, key=key)
        return jax.vmap(jax.grad(problem.example_loss), in_axes=(None, 0, 0, 0))(
            params, batch.x, batch.y, batch.keys)

    return gradients


def per_example_norms(net, loss, *, head: str = "stable"):
    """The Euclidean norm of each example's gradient, over all parameters, from that gradient.

    Arguments, result and errors are those of `backprop.per_example_norms`:
    (params, X, Y, *, key=None) -> (B,). Unlike there, the gradients are formed.
    """
    gradients = per_example_gradients(net, loss, head=head)

    def norms(params, X, Y, *, key=None):
        every = jax.tree.leaves(gradients(params, X, Y, key=key))
        return jnp.sqrt(
            sum(jnp.sum(jnp.square(g.reshape(g.shape[0], -1)), axis=1) for g in every))

    return norms
