"""What is compiled: the steps of an epoch, a pure function of a plain pytree, which `vmap` sweeps and a checkpoint saves."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from functional_nn.data import epoch_indices
from functional_nn.network import Network
from functional_nn.penalties import Penalty

__all__ = ["Run", "all_finite", "epoch_function", "gradient_function", "new_epoch", "steps_function"]


class Run(NamedTuple):
    """What one step hands to the next.

    params, optimizer_state: pytrees. total: Σ of the losses of the epoch's examples so far, each before its step. sound: the
    steps of the epoch so far whose cost was finite. fine: whether `total` and all parameters are.
    """

    params: Any
    optimizer_state: Any
    total: jax.Array
    sound: jax.Array
    fine: jax.Array


def new_epoch(params, optimizer_state) -> Run:
    """The run before the first step of an epoch; the total is kept in float32 at least."""
    double = any(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(params))
    total = jnp.zeros((), jnp.float64 if double else jnp.float32)
    return Run(params, optimizer_state, total, jnp.zeros((), jnp.int32), jnp.ones((), bool))


def gradient_function(net: Network, cost_and_gradient: Callable, penalty: Penalty | None = None) -> Callable:
    """(params, key, rows, X, Y[, W]) -> (C, ∇J) of those rows, where J = C + the penalty and W weighs the examples."""

    def of_rows(params, key, rows, X, Y, W=None):
        noise = {"key": key} if net.random else {}
        weights = {} if W is None else {"sample_weights": W[rows] / rows.size}
        cost, gradient = cost_and_gradient(params, X[rows], Y[rows], **noise, **weights)
        return cost, gradient if penalty is None else optax.tree.add(gradient, penalty.gradient(params))

    return of_rows


def steps_function(cost_and_gradient: Callable, optimizer: optax.GradientTransformation) -> Callable:
    """Steps `first` to `last` of the batches `rows`, for `cost_and_gradient` as `gradient_function` makes it.

    Returns:
      (run, key, before, rows (steps, batch), first, last, X, Y[, W]) -> Run. `key` is the epoch's, `before` the number of the
      epoch's step that rows[0] is; both decide the units dropped. The bounds are no constants, so that an epoch cut in pieces
      is compiled once and is, to the bit, the epoch in one piece.
    """

    def step(run: Run, key, rows, *examples) -> Run:
        cost, gradient = cost_and_gradient(run.params, key, rows, *examples)
        updates, state = optimizer.update(gradient, run.optimizer_state, run.params)          # w ← w − γ∇J(w), or as it likes
        total = run.total + rows.size * cost.astype(run.total.dtype)
        return Run(optax.apply_updates(run.params, updates), state, total, run.sound + jnp.isfinite(total).astype(jnp.int32),
                   run.fine)

    def steps(run: Run, key, before, rows, first, last, *examples) -> Run:
        run = jax.lax.fori_loop(
            first, last, lambda i, run: step(run, jax.random.fold_in(key, before + i), rows[i], *examples), run)
        return run._replace(fine=all_finite((run.total, run.params)))

    return steps


def all_finite(tree) -> jax.Array:
    """Whether no leaf holds a NaN or inf."""
    return jnp.all(jnp.array([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]))


def epoch_function(net: Network, cost_and_gradient: Callable, optimizer: optax.GradientTransformation, n: int,
                   batch_size: int, shuffle: bool = True) -> Callable:
    """One epoch as a pure function: (params, optimizer_state, key, X, Y) -> (params, optimizer_state, mean cost)."""
    steps = steps_function(gradient_function(net, cost_and_gradient), optimizer)

    def epoch(params, state, key, X, Y):
        order_key, noise_key = jax.random.split(key)
        full, rest = epoch_indices(order_key, n, batch_size, shuffle=shuffle)
        run = steps(new_epoch(params, state), noise_key, 0, full, 0, len(full), X, Y)
        if len(rest):
            run = steps(run, noise_key, len(full), rest[None], 0, 1, X, Y)
        return run.params, run.optimizer_state, run.total / n

    return epoch
