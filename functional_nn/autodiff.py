"""The reference: the same signatures as `backprop`, through `jax.grad`.

>>> import functional_nn as fnn, jax, jax.numpy as jnp
>>> net = fnn.mlp((2, 1))
>>> params = ({"w": jnp.array([[3.0, 4.0]]), "b": jnp.array([1.0])},)
>>> cost, grads = value_and_grad(net, "quadratic")(params, jnp.array([[1.0, 2.0]]), jnp.array([[10.0]]))
>>> float(cost), grads[0]["w"].tolist()
(2.0, [[2.0, 4.0]])
"""

import jax
import jax.numpy as jnp

from functional_nn import layers
from functional_nn.objective import objective

__all__ = ["deltas", "per_example_gradients", "per_example_norms", "value_and_grad"]


def value_and_grad(net, loss, reduction: str = "mean", *, head: str = "stable"):
    """(params, X, Y, *, sample_weights=None, key=None) -> (cost, gradient), as `backprop.value_and_grad`."""
    problem = objective(net, loss, reduction, head)

    def cost_and_gradient(params, X, Y, *, sample_weights=None, key=None):
        batch = problem.batch(params, X, Y, sample_weights, key)
        return jax.value_and_grad(problem.cost)(params, batch)

    return cost_and_gradient


def deltas(net, loss, *, head: str = "stable"):
    """(params, x, y, *, key=None) -> δˡ for each layer, as `backprop.deltas`: the loss's derivative by a probe added to zˡ."""
    problem = objective(net, loss, "sum", head)

    def errors(params, x, y, *, key=None):
        batch = problem.example(params, x, y, key)

        def loss_of(probes):
            a, keys = batch.x[0], layers.keys_of(net.layers, None if batch.keys is None else batch.keys[0])
            for layer, p, k, probe in zip(net.layers, params, keys, probes, strict=True):
                z = layer.forward(p, a, k)[0] + probe
                a = layer.activation(z)
            return problem.head.value(z, batch.y[0])

        return jax.grad(loss_of)(tuple(jnp.zeros(n, batch.x.dtype) for n in net.sizes[1:]))

    return errors


def per_example_gradients(net, loss, *, head: str = "stable"):
    """(params, X, Y, *, key=None) -> gradients with a leading axis of B, as `backprop.per_example_gradients`."""
    problem = objective(net, loss, "sum", head)

    def gradients(params, X, Y, *, key=None):
        batch = problem.batch(params, X, Y, key=key)
        return jax.vmap(jax.grad(problem.example_loss), in_axes=(None, 0, 0, 0))(params, batch.x, batch.y, batch.keys)

    return gradients


def per_example_norms(net, loss, *, head: str = "stable"):
    """(params, X, Y, *, key=None) -> (B,), as `backprop.per_example_norms`, but by way of the gradients."""
    gradients = per_example_gradients(net, loss, head=head)

    def norms(params, X, Y, *, key=None):
        every = jax.tree.leaves(gradients(params, X, Y, key=key))
        return jnp.sqrt(sum(jnp.sum(jnp.square(g.reshape(g.shape[0], -1)), axis=1) for g in every))

    return norms
