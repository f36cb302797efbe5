"""Diagnostics of each layer during training: size of its errors and steps, share of idle units.

`fit(..., monitor=True)` computes them between epochs, on a few hundred training examples. They
follow from zˡ and δˡ of each example, which backpropagation computes anyway (N14). With
`monitor=["noise_scale", …]` quantities of the backward pass (`backprop.QUANTITIES`) join them.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from optax.tree import norm

from functional_nn import backprop, checks, layers
from functional_nn.backprop import QUANTITIES
from functional_nn.objective import objective

__all__ = ["IDLE_SLOPE", "MEASURES", "quantity_function", "watch_function"]

IDLE_SLOPE = 0.01
MEASURES = {
    "delta_of_mean": "‖mean of δˡ over the examples‖: what the step follows",
    "delta_mean": "mean of ‖δˡ‖: how large the errors are, whether or not they cancel",
    "update_ratio": "‖step‖ / ‖parameters‖ of the layer; 1e-3 is usual, 0 where it has none",
    "idle_units": f"share of units with |σ′(z)| < {IDLE_SLOPE} for every example: "
                  "dead or saturated; NaN for softmax",
}


SUMMARIES = {
    "parameters": lambda name, value: {name: jnp.array([
        sum((jnp.sum(leaf) for leaf in jax.tree.leaves(own)), jnp.zeros(())) for own in value])},
    "examples": lambda name, value: {name: jnp.mean(value)},
    "batch": lambda name, value: {name: value},
    "layers": lambda name, value: {f"{name}_{part}": each for part, each in value.items()},
}
"""What a record of the monitor has of a quantity, by what the quantity has an entry for.

It is the sum over each layer's parameters, which is the trace of a diagonal, or the mean over the
examples.
"""


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
    statistics = backprop.quantities(net, loss, ["delta_statistics"])

    def watch(params, state, X, Y):
        batch = problem.batch(params, X, Y)
        deltas = statistics(params, X, Y)["delta_statistics"]
        updates, _ = optimizer.update(gradient(params, X, Y), state, params)
        _, tape = jax.vmap(lambda x: layers.forward(net.layers, params, x))(batch.x)
        return {
            "delta_of_mean": deltas["norm_of_mean"],
            "delta_mean": deltas["norm"],
            "update_ratio": jnp.array([_ratio(norm(step), norm(own))
                                       for step, own in zip(updates, params, strict=True)]),
            "idle_units": jnp.array([_idle(layer.activation, step.z)
                                     for layer, step in zip(net.layers, tape, strict=True)]),
        }

    return watch


def quantity_function(net, loss, names: Sequence[str]) -> Callable:
    """A compiled function that computes the record of quantities: `SUMMARIES` says what it holds.

    The function is (params, X, Y) -> {name: a number, or an array (layers,)}. It applies no
    dropout.

    Args:
      net, loss: the network and its loss, as for `fit`.
      names: some of `backprop.QUANTITIES`, of those that need no option.

    Raises a TypeError or ValueError for names that are none, and for a quantity that cannot be
    computed here, with the reason.

    >>> import functional_nn as fnn
    >>> net = fnn.mlp((2, 3, 1))
    >>> record = quantity_function(net, "mse", ["variance", "norms"])(
    ...     net.init(jax.random.key(0)), jnp.eye(2), jnp.ones(2))
    >>> {name: value.shape for name, value in record.items()}
    {'norms': (), 'variance': (2,)}
    """
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise TypeError(f"monitor must be True, False or a list of quantities, got {names!r}")
    for name in names:
        quantity = checks.one_of("quantity", name, QUANTITIES)
        if quantity.options or quantity.of not in SUMMARIES:
            needs = (f"it needs the option {quantity.options[0]}" if quantity.options
                     else "its value is matrices")
            raise ValueError(f"monitor cannot record {name}: {needs}; compute it in a callback")
    return _compiled(net, loss, tuple(names))


@functools.lru_cache(maxsize=16)
def _compiled(net, loss, names: tuple[str, ...]) -> Callable:
    quantities = backprop.quantities(net, loss, names)

    def record(params, X, Y):
        found = quantities(params, X, Y)
        parts = [SUMMARIES[QUANTITIES[name].of](name, value) for name, value in found.items()]
        return {name: value for part in parts for name, value in part.items()}

    return jax.jit(record)


def _ratio(step, own) -> jax.Array:
    return jnp.where(own > 0, step / jnp.where(own > 0, own, 1), 0)


def _idle(activation, z) -> jax.Array:
    """The share of units with |σ′(z)| < IDLE_SLOPE for every example, for z (examples, units)."""
    if not activation.elementwise:  # no unit has a slope of its own
        return jnp.array(jnp.nan)
    slopes = jnp.abs(activation.derivative(z))
    return jnp.mean((slopes < IDLE_SLOPE).all(axis=0).astype(float))
