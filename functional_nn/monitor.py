"""How each layer fares in training: its errors, its steps, and the units that no longer learn.

Of a few hundred examples between epochs, with what backpropagation has anyway: zˡ and δˡ of every example.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from functional_nn import backprop, layers
from functional_nn.objective import objective

__all__ = ["IDLE_SLOPE", "MEASURES", "watch_function"]

IDLE_SLOPE = 0.01
MEASURES = {
    "delta_of_mean": "‖mean of δˡ over the examples‖: what the step follows",
    "delta_mean": "mean of ‖δˡ‖: how large the errors are, whether or not they cancel",
    "update_ratio": "‖step‖ / ‖parameters‖ of the layer; 1e-3 is usual, 0 where it has none",
    "idle_units": f"share of units with |σ′(z)| < {IDLE_SLOPE} for every example: dead or saturated; NaN for softmax",
}


def watch_function(net, loss, gradient: Callable, optimizer) -> Callable:
    """(params, optimizer_state, X, Y) -> {measure: (layers,)}, without dropout; pure, to be compiled.

    Args:
      net, loss: as for `fit`.
      gradient: (params, X, Y) -> gradient, shaped like params.
      optimizer: whose next step is measured, and not taken.

    >>> import functional_nn as fnn
    >>> net = fnn.mlp((2, 3, 1), hidden="relu")
    >>> params, sgd = net.init(jax.random.key(0)), fnn.optimizers.sgd(0.1)
    >>> params[0]["b"] = jnp.array([-99.0, 1.0, 1.0])                                     # the first unit is dead
    >>> watch = watch_function(net, "mse", lambda *args: fnn.backprop.value_and_grad(net, "mse")(*args)[1], sgd)
    >>> [f"{share:.2f}" for share in watch(params, sgd.init(params), jnp.eye(2) / 9, jnp.ones(2))["idle_units"]]
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
            "delta_of_mean": jnp.array([_norm(jnp.mean(delta, axis=0)) for delta in deltas]),
            "delta_mean": jnp.array([jnp.mean(jnp.linalg.norm(delta, axis=1)) for delta in deltas]),
            "update_ratio": jnp.array([_ratio(_norm(step), _norm(own)) for step, own in zip(updates, params, strict=True)]),
            "idle_units": jnp.array([_idle(layer.activation, step.z) for layer, step in zip(net.layers, tape, strict=True)]),
        }

    return watch


def _norm(tree) -> jax.Array:
    return jnp.sqrt(sum((jnp.sum(jnp.square(leaf.astype(float))) for leaf in jax.tree.leaves(tree)), jnp.zeros(())))


def _ratio(step, own) -> jax.Array:
    return jnp.where(own > 0, step / jnp.where(own > 0, own, 1), 0)


def _idle(activation, z) -> jax.Array:
    """Of z (examples, units)."""
    slope = activation.derivative(z)
    if slope.ndim > z.ndim:  # softmax's Jacobian: no unit has a slope of its own
        return jnp.array(jnp.nan)
    return jnp.mean((jnp.abs(slope) < IDLE_SLOPE).all(axis=0).astype(float))
