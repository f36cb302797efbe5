"""A NaN or inf ends the run at its very step, with the parameters before it, and is named by layer and leaf."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_nn as fnn
from functional_nn.training import loop
from tests.slow import few
from tests.training.memory import Memory
from tests.training.runs import NET, N, X, Y, fit, same

EPOCH = 4  # steps of an epoch: 13 examples by 4


@functools.lru_cache
def faulty(at: int):
    """(optimiser, value_and_grad): the gradient of w[1, 2] of the second layer is NaN at step `at`, from 0; w ← w − ∇C / 2."""
    def init(params):
        return jnp.zeros((), jnp.int32)

    def update(gradient, count, params=None):
        w = gradient[1]["w"]
        w = jnp.where(count == at, w.at[1, 2].set(jnp.nan), w)
        return jax.tree.map(lambda g: -0.5 * g, (gradient[0], gradient[1] | {"w": w})), count + 1

    return optax.GradientTransformation(init, update)


@functools.cache
def healthy():
    """A run without the fault: its result, and its moments after every step."""
    moments = []
    return fit(optimizer=faulty(-1), epochs=3, every=1, callbacks=[moments.append]), moments


@pytest.mark.parametrize(("at", "every"), few([
    (0, 5), (6, None), (11, 3), (3, 3), (4, 5), (7, None), (8, 3), (10, None)], 0, 1, 2))
def test_the_step_is_the_step_and_the_parameters_are_those_before_it(at, every, monkeypatch):
    """Also amid a call of several steps, of which there are as many on a machine that is busy."""
    monkeypatch.setattr(loop.Pace, "note", lambda *_: None)
    result = fit(optimizer=faulty(at), epochs=3, every=every)
    epoch, step = divmod(at, EPOCH)
    assert result.stopped == (
        f"diverged at step {step + 1} of epoch {epoch + 1}: the optimiser's step of params[1]['w'][1, 2], in layer 1, is nan; "
        "try a smaller learning rate")
    whole, moments = healthy()
    start = NET.init(jax.random.split(jax.random.key(0), 3)[0]) if at == 0 else moments[at - 1].params
    same(result.params, start)
    assert result.history["epoch"].tolist() == list(range(1, epoch + 2)) and np.isnan(result.history["cost"][-1])
    same(result.history["cost"][:-1], whole.history["cost"][:epoch])


def test_a_gradient_is_named_by_leaf_and_index():
    def poisoned(net, loss):
        run = fnn.backprop.value_and_grad(net, loss)

        def cost_and_gradient(params, X, Y):
            cost, gradient = run(params, X, Y)
            b = gradient[0]["b"].at[3].set(jnp.inf)
            return cost, (gradient[0] | {"b": b}, gradient[1])
        return cost_and_gradient

    result = fit(value_and_grad=poisoned)
    assert result.stopped.startswith("diverged at step 1 of epoch 1: the gradient of params[0]['b'][3], in layer 0, is inf; ")
    assert "clipping by fnn.optimizers.clip_by_global_norm(1.0) (the gradient was not finite)" in result.stopped
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.params))


def test_a_cost_is_named_by_the_layer_that_overflowed():
    net = fnn.mlp((3, 4, 1), hidden="relu")
    data = np.abs(X) * 1e25, X[:, :1]
    result = fit(net, "quadratic", data, batch_size=None)
    assert result.stopped.startswith("diverged at step 1 of epoch 1: the cost is inf; try standardising the inputs, ")
    assert "or a smaller learning rate" in result.stopped
    start = net.init(jax.random.split(jax.random.key(0), 3)[0])
    wide = jax.tree.map(lambda w: w * 1e25, start)
    overflown = fit(net, "quadratic", data, batch_size=None, params=wide)
    assert "is that of layer 0, dense(4, relu)" in overflown.stopped
    same(overflown.params, wide)


def test_too_large_a_rate_is_stopped_with_the_last_good_parameters():
    """Linear regression: the cost grows at every step until it overflows, and so does the plain loop's."""
    net, rate = fnn.mlp((3, 1)), 1e3
    result = fit(net, "mse", (X, X[:, :1]), fnn.optimizers.sgd(rate), epochs=100, batch_size=None)
    params = net.init(jax.random.split(jax.random.key(0), 3)[0])
    run, steps = jax.jit(fnn.backprop.value_and_grad(net, "mse")), 0
    while True:
        cost, gradient = run(params, X, X[:, :1])
        moved = jax.tree.map(lambda w, g: w - np.float32(rate) * g, params, gradient)
        if not np.isfinite(cost) or not all(np.isfinite(w).all() for w in jax.tree.leaves(moved)):
            break
        params, steps = moved, steps + 1
    assert 5 < steps < 50 and f"diverged at step 1 of epoch {steps + 1}: the cost is inf" in result.stopped
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), result.params, params)


def test_the_last_steps_harm_is_seen_by_validation():
    """The step is finite, the cost after it is not: the run ends with the parameters before that epoch."""
    data = X, X[:, :1]
    late = fit(fnn.mlp((3, 1)), "mse", data, fnn.optimizers.sgd(1e30), epochs=1, batch_size=None, validation=data)
    assert np.isfinite(late.history["cost"][0])
    assert late.stopped == "diverged: the validation cost after epoch 1 is inf; try a smaller learning rate"
    same(late.params, fnn.mlp((3, 1)).init(jax.random.split(jax.random.key(0), 3)[0]))
    unseen = fit(fnn.mlp((3, 1)), "mse", data, fnn.optimizers.sgd(1e30), epochs=1, batch_size=None)
    assert unseen.stopped == "epochs are over" and np.isfinite(unseen.params[0]["w"]).all()


def test_what_diverged_is_not_saved():
    store = Memory()
    assert fit(optimizer=faulty(6), epochs=3, checkpoints=store).stopped.startswith("diverged") and len(store.all) == 1


def test_a_healthy_run_pays_for_nothing():
    """The gradient by itself, outside the compiled steps, is never taken."""
    calls = []

    def counting(net, loss):
        run = fnn.backprop.value_and_grad(net, loss)
        return lambda *args: calls.append(1) or run(*args)

    fit(value_and_grad=counting, data=(X[:12], Y[:12]), epochs=3)
    assert len(calls) == 1 and N == 13


@pytest.mark.parametrize("rows", [1, N])
def test_no_advice_where_there_is_none_to_give(rows):
    result = fit(optimizer=faulty(0), data=(X[:rows], Y[:rows]), batch_size=None, epochs=1)
    assert result.stopped.endswith("is nan; try a smaller learning rate")
