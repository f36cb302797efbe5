"""Diagnostics of each layer during training: size of its errors and steps, share of idle units.

`fit(..., monitor=True)` computes them between epochs, on a few hundred training examples. They
follow from zˡ and δˡ of each example, which backpropagation computes anyway (N14).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from optax.tree import norm

from functional_nn import backprop, layers
from functional_nn.objective import objective

__all__ = ["IDLE_SLOPE", "MEASURES", "watch_function"]

IDLE_SLOPE = 0.01
MEASURES = {
    "delta_of_mean": "‖mean of δˡ over the examples‖: what the step follows",
    "delta_mean": "mean of ‖δˡ‖: how large the errors are, whether or not they cancel",
    "update_ratio": "‖step‖ / ‖parameters‖ of the layer; 1e-3 is usual, 0 where it has none",
    "idle_units": f"share of units with |σ′(z)| < {IDLE_SLOPE} for every example: "
                  "dead or saturated; NaN for softmax",
}


def watch_function(net, loss, gradient: Callable, optimizer) -> Callable:
    """A function that computes the diagnostics of `MEASURES` for every layer.

    The function is (params, optimizer_state, X, Y) -> {measure: (layers,)}, for X (n, n_in) and Y
    (n,) or (n, n_out). It applies no dropout and does not change the optimiser's state. It is
    pure, so `jax.jit` can compile it.

    Args:
      net, loss: the network and its loss, as for `fit`.
      gradient: (params, X, Y) -> the gradient of the cost, a pytree like params.
      optimizer: the optimiser whose next step is measured.

    Raises a ValueError if the network's output does not suit the loss.

    >>> import functional_nn as fnn
    >>> net = fnn.mlp((2, 3, 1), hidden="relu")
    >>> params, sgd = net.init(jax.random.key(0)), fnn.optimizers.sgd(0.1)
    >>> params[0]["b"] = jnp.array([-99.0, 1.0, 1.0])                    # the first unit is dead
    >>> value_and_grad = fnn.backprop.value_and_grad(net, "mse")
    >>> watch = watch_function(net, "mse", lambda *args: value_and_grad(*args)[1], sgd)
    >>> measures = watch(params, sgd.init(params), jnp.eye(2) / 9, jnp.ones(2))
    >>> [f"{share:.2f}" for share in measures["idle_units"]]
    ['0.33', '0.00']
    """
    problem = objective(net, loss)
    errors = backprop.deltas(net, loss)

    def watch(params, state, X, Y):
        batch = problem.batch(params, X, Y)
        deltas = jax.vmap(errors, in_axes=(None, 0, 0))(params, batch.x, batch.y)
        updates, _ = optimizer.update(gradient(params, X, Y), state, params)
        _, tape = jax.vmap(lambda x: layers.forward(net.layers, params, x))(batch.x)
        return {
            "delta_of_mean": jnp.array([norm(jnp.mean(delta, axis=0)) for delta in deltas]),
            "delta_mean": jnp.array([jnp.mean(jnp.linalg.norm(delta, axis=1)) for delta in deltas]),
            "update_ratio": jnp.array([_ratio(norm(step), norm(own))
                                       for step, own in zip(updates, params, strict=True)]),
            "idle_units": jnp.array([_idle(layer.activation, step.z)
                                     for layer, step in zip(net.layers, tape, strict=True)]),
        }

    return watch


def _ratio(step, own) -> jax.Array:
    return jnp.where(own > 0, step / jnp.where(own > 0, own, 1), 0)


def _idle(activation, z) -> jax.Array:
    """The share of units with |σ′(z)| < IDLE_SLOPE for every example, for z (examples, units)."""
    if not activation.elementwise:  # no unit has a slope of its own
        return jnp.array(jnp.nan)
    slopes = jnp.abs(activation.derivative(z))
    return jnp.mean((slopes < IDLE_SLOPE).all(axis=0).astype(float))
