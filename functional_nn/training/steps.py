"""The steps of an epoch as a pure function of a pytree.

`jax.jit` compiles it, `jax.vmap` maps it over keys or learning rates, and a checkpoint saves its
state.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from functional_nn.data import epoch_indices
from functional_nn.network import Network
from functional_nn.penalties import Penalty

__all__ = ["Run", "all_finite", "epoch_function", "gradient_function", "new_epoch",
           "steps_function", "update_function"]


class Run(NamedTuple):
    """The state that one step passes to the next.

    Attributes:
      params: the parameters, a pytree.
      optimizer_state: the state of the optimiser, a pytree.
      total: the sum of the losses of the epoch's examples so far, a scalar; each loss is taken
        before the step of its example.
      sound: the number of the epoch's steps so far after which `total` was finite, an int32.
      fine: whether `total` and all parameters are finite, a boolean scalar.
    """

    params: Any
    optimizer_state: Any
    total: jax.Array
    sound: jax.Array
    fine: jax.Array


def new_epoch(params, optimizer_state) -> Run:
    """The state before the first step of an epoch.

    `total` is a float64 if some parameter is, and a float32 otherwise.
    """
    double = any(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(params))
    total = np.zeros((), np.float64 if double else np.float32)
    return Run(params, optimizer_state,
               *map(jnp.asarray, (total, np.zeros((), np.int32), np.ones((), bool))))


def gradient_function(
    net: Network, cost_and_gradient: Callable, penalty: Penalty | None = None
) -> Callable:
    """The cost C of a mini-batch and the gradient of the objective J = C + R, as a function.

    Args:
      net: the network.
      cost_and_gradient: (params, X, Y, *, sample_weights, key) -> (C, ∇C), such as
        `backprop.value_and_grad` returns; for weighted examples, C must be a sum.
      penalty: R; None for R = 0.

    Returns (params, key, rows, count, X, Y[, W]) -> (C, ∇J). `rows` are the indices of the
    mini-batch in X, Y and the weights W, (B,). Only the first `count` of them are examples, and the
    others fill the batch with a weight of 0; None means all. `key` is used only for dropout.
    """

    def of_rows(params, key, rows, count, X, Y, W=None):
        noise = {"key": key} if net.random else {}
        weights = {}
        if count is not None or W is not None:
            own = jnp.ones(rows.size, X.dtype) if W is None else W[rows]
            n = _number(rows, count)
            weights["sample_weights"] = jnp.where(jnp.arange(rows.size) < n, own, 0) / n
        cost, gradient = cost_and_gradient(params, X[rows], Y[rows], **noise, **weights)
        return cost, gradient if penalty is None else optax.tree.add(
            gradient, penalty.gradient(params))

    return of_rows


def _number(rows: jax.Array, count: int | jax.Array | None) -> int | jax.Array:
    """The number of examples of a mini-batch."""
    return rows.size if count is None else count


def update_function(
    cost_and_gradient: Callable, optimizer: optax.GradientTransformation,
    penalty: Penalty | None = None
) -> Callable:
    """The next step of the optimiser on a mini-batch, as a function.

    Args:
      cost_and_gradient: the function that `gradient_function` returns for the penalty.
      optimizer: the optimiser. One that takes extra arguments is given the objective J at the
        parameters as `value`, ∇J as `grad`, and as `value_fn` the function params -> J of this
        mini-batch, with its dropout. Line searches need them.
      penalty: R; None for R = 0.

    Returns (params, state, key, rows, count, X, Y[, W]) -> (C, ∇J, step, state after the step).
    """
    optimizer = optax.with_extra_args_support(optimizer)

    def update(params, state, *batch):
        def of_batch(params):
            cost, gradient = cost_and_gradient(params, *batch)
            charge = 0.0 if penalty is None else penalty.value(params).astype(cost.dtype)
            return cost, cost + charge, gradient

        cost, value, gradient = of_batch(params)
        step, after = optimizer.update(
            gradient, state, params, value=value, grad=gradient,
            value_fn=_differentiable(lambda params: of_batch(params)[1:]))
        return cost, gradient, step, jax.tree.map(_as_before, after, state)

    return update


def _differentiable(value_and_gradient: Callable) -> Callable:
    """The function params -> value, whose derivative in JAX is the given gradient."""
    @jax.custom_jvp
    def value(params):
        return value_and_gradient(params)[0]

    @value.defjvp
    def derivative(primals, tangents):
        found, gradient = value_and_gradient(*primals)
        return found, optax.tree.vdot(gradient, *tangents).astype(found.dtype)

    return value


def _as_before(after, before):
    """A leaf of the optimiser's state in its dtype before the step, so that steps can be looped."""
    kept = jnp.result_type(before)
    return after if jnp.result_type(after) == kept else after.astype(kept)


def steps_function(
    cost_and_gradient: Callable, optimizer: optax.GradientTransformation,
    penalty: Penalty | None = None
) -> Callable:
    """Consecutive steps of an epoch as a pure function.

    Args:
      cost_and_gradient, optimizer, penalty: as for `update_function`.

    Returns (run, key, before, rows, count, first, last, X, Y[, W]) -> the `Run` after these steps.
    It takes the steps `first` to `last` − 1 of the mini-batches `rows`, integer indices of shape
    (steps, batch), with `count` examples in each. `key` is the key of the epoch, and `before` the
    number of the epoch's steps before rows[0]; together they determine the units that dropout
    drops. `count`, `first` and `last` may be traced. An epoch in several calls is therefore
    compiled once, and gives the same bits as an epoch in one call.
    """
    update = update_function(cost_and_gradient, optimizer, penalty)

    def step(run: Run, key, rows, count, *examples) -> Run:
        # gradient descent: w ← w − γ∇J(w)
        cost, _, updates, state = update(
            run.params, run.optimizer_state, key, rows, count, *examples)
        total = run.total + _number(rows, count) * cost.astype(run.total.dtype)
        return Run(optax.apply_updates(run.params, updates), state, total,
                   run.sound + jnp.isfinite(total).astype(jnp.int32), run.fine)

    def steps(run: Run, key, before, rows, count, first, last, *examples) -> Run:
        run = jax.lax.fori_loop(
            first, last, lambda i, run: step(
                run, jax.random.fold_in(key, before + i), rows[i], count, *examples), run)
        return run._replace(fine=all_finite((run.total, run.params)))

    return steps


def all_finite(tree) -> jax.Array:
    """Whether no leaf of `tree` holds a NaN or inf, a boolean scalar."""
    return jnp.all(jnp.array([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]))


def epoch_function(
    net: Network, cost_and_gradient: Callable, optimizer: optax.GradientTransformation, n: int,
    batch_size: int, shuffle: bool = True
) -> Callable:
    """One epoch of training as a pure function, to be compiled by `jit` or mapped by `vmap` (N18).

    Args:
      net: the network.
      cost_and_gradient: (params, X, Y) -> (cost, gradient), the mean over the examples, such as
        `backprop.value_and_grad(net, loss)`; with dropout it is also given `key`.
      optimizer: an optax optimiser.
      n: the number of examples.
      batch_size: the number of examples of a step, 1 to n.
      shuffle: whether to permute the examples.

    Returns (params, optimizer_state, key, X (n, n_in), Y (n, …)) -> (params, optimizer_state,
    cost), where the cost is the mean of the examples' losses, each taken before its step. This
    function raises a TypeError or ValueError for a wrong batch size or key.

    >>> import functional_nn as fnn
    >>> net, sgd = fnn.mlp((1, 1)), fnn.optimizers.sgd(0.1)
    >>> epoch = epoch_function(net, fnn.backprop.value_and_grad(net, "quadratic"), sgd, 4, 2)
    >>> X, params = jnp.array([[-1.0], [-0.5], [0.5], [1.0]]), net.init(jax.random.key(0))
    >>> state = sgd.init(params)
    >>> for key in jax.random.split(jax.random.key(1), 50):
    ...     params, state, cost = jax.jit(epoch)(params, state, key, X, 2 * X)
    >>> round(float(params[0]["w"][0, 0]), 2)
    2.0
    """
    steps = steps_function(gradient_function(net, cost_and_gradient), optimizer)

    def epoch(params, state, key, X, Y):
        order_key, noise_key = jax.random.split(key)
        full, rest = epoch_indices(order_key, n, batch_size, shuffle=shuffle)
        run = steps(new_epoch(params, state), noise_key, 0, full, None, 0, len(full), X, Y)
        if len(rest):
            run = steps(run, noise_key, len(full), rest[None], None, 0, 1, X, Y)
        return run.params, run.optimizer_state, run.total / n

    return epoch
