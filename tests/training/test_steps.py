"""An epoch = the plain loop; in several calls = in one; the first NaN or inf is counted."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_nn as fnn
from functional_nn.data import epoch_indices
from functional_nn.training import epoch_function
from functional_nn.training.steps import all_finite, gradient_function, new_epoch, steps_function
from tests.training.runs import MOMENTUM, NET, NOISY, N, X, Y, close, same

ROWS = jnp.arange(12).reshape(4, 3)  # four steps of three examples


@pytest.mark.exact
@pytest.mark.parametrize(("batch_size", "shuffle"), [
    (None, True), (1, True), (4, True), (N, True), (4, False)])
def test_an_epoch_is_the_plain_loop(batch_size, shuffle):
    """w ← w − γ∇C over the rows of `epoch_indices`.

    The cost is the mean of the examples' losses, each taken before its step.
    """
    with jax.enable_x64(True):
        params, key = NET.init(jax.random.key(1), "float64"), jax.random.key(2)
        size = batch_size or N
        run = jax.jit(fnn.autodiff.value_and_grad(NET, "cross_entropy"))
        epoch = epoch_function(NET, fnn.backprop.value_and_grad(NET, "cross_entropy"),
                               optax.sgd(0.5), N, size, shuffle)
        got, _, cost = jax.jit(epoch)(
            params, optax.sgd(0.5).init(params), key, jnp.asarray(X), jnp.asarray(Y))
        full, rest = epoch_indices(jax.random.split(key)[0], N, size, shuffle=shuffle)
        total = 0.0
        for rows in [*full, *([rest] if len(rest) else [])]:
            step_cost, gradient = run(params, X[rows], Y[rows])
            params = jax.tree.map(lambda p, g: p - 0.5 * g, params, gradient)
            total += float(step_cost) * len(rows)
        close(got, params, 1e-12)
        assert float(cost) == pytest.approx(total / N, rel=1e-12)


def started(net, dtype="float32"):
    params = net.init(jax.random.key(0), dtype)
    return new_epoch(params, MOMENTUM.init(params))


@functools.cache
def compiled_steps():
    gradient = gradient_function(NOISY, fnn.backprop.value_and_grad(NOISY, "cross_entropy"))
    return jax.jit(steps_function(gradient, MOMENTUM))


@pytest.mark.exact
@pytest.mark.parametrize("spans", [[(0, 1), (1, 4)], [(0, 2), (2, 2), (2, 3), (3, 4)]])
@pytest.mark.parametrize("moved", [False, True])
def test_steps_in_several_calls_are_those_of_one(spans, moved):
    """With dropout: its key hangs on the number of the step, however the rows are cut."""
    key, examples, steps = jax.random.key(1), (jnp.float32(X), jnp.asarray(Y)), compiled_steps()
    whole = cut = started(NOISY)
    whole = steps(whole, key, 0, ROWS, None, 0, 4, *examples)
    for first, last in spans:
        before = first if moved else 0  # rows[i] are those of step before + i
        rows = jnp.roll(ROWS, -before, axis=0)
        cut = steps(cut, key, before, rows, None, first - before, last - before, *examples)
    same(cut, whole)
    assert int(whole.sound) == 4 and bool(whole.fine)


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_steps_before_the_first_nan_are_counted(at, bad):
    x = np.float32(X)
    x[3 * at + 1] = bad
    run = compiled_steps()(
        started(NOISY), jax.random.key(1), 0, ROWS, None, 0, 4, jnp.asarray(x), jnp.asarray(Y))
    assert int(run.sound) == at and not bool(run.fine)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_number_in_any_leaf_is_seen(bad):
    tree = {"w": np.ones((2, 3)), "b": (np.zeros(2), np.float32(1.0))}
    assert bool(all_finite(tree))
    for i, leaf in enumerate(jax.tree.leaves(tree)):
        leaves = jax.tree.leaves(tree)
        leaves[i] = np.array(leaf)
        leaves[i].flat[-1] = bad
        assert not bool(all_finite(leaves))


def test_the_sum_of_losses_is_as_wide_as_the_parameters():
    with jax.enable_x64(True):
        assert started(NET).total.dtype == "float32"
        assert started(NET, "float64").total.dtype == "float64"
        mixed = jnp.ones(2, jnp.bfloat16), jnp.ones(2, jnp.float64)
        assert new_epoch(mixed, ()).total.dtype == "float64"


@pytest.mark.parametrize("penalty", [None, fnn.penalties.l2(0.3)])
def test_the_gradient_is_that_of_the_weighted_cost_and_the_penalty(penalty):
    """C = Σ w L / B over the rows of the batch, ∇J = ∇C + ∇R."""
    with jax.enable_x64(True):
        params, rows = NET.init(jax.random.key(0), "float64"), jnp.array([7, 2, 11])
        W = jnp.linspace(0.5, 2, N)
        by_hand = functools.partial(fnn.backprop.value_and_grad, NET, "cross_entropy")
        plain = jax.jit(gradient_function(NET, by_hand(), penalty))
        weighted = jax.jit(gradient_function(NET, by_hand("sum"), penalty))
        key, examples = jax.random.key(0), (jnp.asarray(X), jnp.asarray(Y))

        @jax.jit
        @functools.partial(jax.grad, has_aux=True)
        def objective(params, weights):
            losses = jnp.array([fnn.cost(NET, "cross_entropy")(params, X[i:i + 1], Y[i:i + 1])
                                for i in rows.tolist()])
            cost = jnp.mean(weights * losses)
            return cost + (0 if penalty is None else penalty.value(params)), cost

        for got, weights in ((plain(params, key, rows, None, *examples), jnp.ones(3)),
                             (weighted(params, key, rows, None, *examples, W), W[rows])):
            gradient, cost = objective(params, weights)
            close(got, (cost, gradient))


def test_rows_of_weight_0_fill_up_a_batch():
    """The step of two examples in a batch of four, filled up with any others, is that of the two."""
    with jax.enable_x64(True):
        params, key = NET.init(jax.random.key(0), "float64"), jax.random.key(0)
        examples = jnp.asarray(X), jnp.asarray(Y)
        alone = jax.jit(gradient_function(NET, fnn.backprop.value_and_grad(NET, "cross_entropy")))(
            params, key, jnp.array([7, 2]), None, *examples)
        filled = jax.jit(gradient_function(NET, fnn.backprop.value_and_grad(NET, "cross_entropy", "sum")))(
            params, key, jnp.array([7, 2, 5, 7]), 2, *examples)
        close(filled, alone)
