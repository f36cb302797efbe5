"""A call of `partial_fit` = the plain loop over its batches, whatever the number of its rows."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_nn as fnn
from functional_nn.sklearn import online
from functional_nn.sklearn.online import Learner, begin, epoch
from tests.compiled import compilations

NOISE = np.random.default_rng(0)
X, Y = NOISE.normal(size=(40, 3)).astype(np.float32), NOISE.integers(0, 3, 40).astype(np.int32)
NET, LOSS, ADAM = fnn.mlp((3, 5, 3), hidden="tanh", output="softmax"), fnn.losses.cross_entropy, fnn.optimizers.adam(0.1)
PENALTY = fnn.penalties.l2(0.01)
LEARNER = Learner(NET, LOSS, ADAM, PENALTY)
START = NET.init(jax.random.key(1))


def plain(X, Y, weights, size):
    """The steps one by one, each with the mean over its own rows."""
    params, state, costs = START, ADAM.init(START), []
    run = jax.jit(fnn.backprop.value_and_grad(NET, LOSS, "sum"))

    @jax.jit
    def update(gradient, state, params):
        steps, state = ADAM.update(optax.tree.add(gradient, PENALTY.gradient(params)), state, params)
        return optax.apply_updates(params, steps), state

    for i in range(0, len(X), size):
        rows = slice(i, i + size)
        part = jnp.asarray(weights[rows] / weights.mean() / len(X[rows]), jnp.float32)
        cost, gradient = run(params, X[rows], jnp.asarray(Y[rows]), sample_weights=part)
        params, state = update(gradient, state, params)
        costs.append(float(cost) * len(X[rows]))
    return params, sum(costs) / len(X)


@pytest.mark.parametrize(("n", "size"), [(40, 8), (37, 8), (5, 8), (16, 16), (11, None)])
def test_an_epoch_is_the_plain_loop(n, size):
    weights = NOISE.uniform(0.5, 2.0, n)
    progress, cost = epoch(LEARNER, begin(START, 0), X[:n], Y[:n], weights, size, shuffle=False)
    params, mean = plain(X[:n], Y[:n], weights, size or n)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), progress.params, params)
    assert cost == pytest.approx(mean, rel=1e-5) and progress.calls == 1


def test_other_numbers_of_rows_compile_nothing_new():
    learner = LEARNER._replace(net=fnn.mlp((3, 6, 3), hidden="tanh", output="softmax"))
    with compilations() as first:
        progress, _ = epoch(learner, begin(None, 0), X[:7], Y[:7], np.ones(7), 8, shuffle=True)
    with compilations() as more:
        for n in (1, 8, 3):
            progress, _ = epoch(learner, progress, X[:n], Y[:n], np.ones(n), 8, shuffle=True)
        other = learner._replace(optimizer=fnn.optimizers.adam(0.2), penalty=fnn.penalties.l2(0.5))
        epoch(other, progress, X[:5], Y[:5], np.ones(5), 8, shuffle=True)
    assert first and not more, more


def test_calls_go_on_with_the_state_of_the_optimizer_and_a_new_order():
    seen = []
    progress = begin(START, 3)
    for _ in range(2):
        progress, _ = epoch(LEARNER, progress, X, Y, np.ones(40), 8, shuffle=True)
        seen.append(progress)
    assert [int(p.state.count) for p in seen] == [5, 10]
    alone, _ = epoch(LEARNER, begin(seen[0].params, 3), X, Y, np.ones(40), 8, shuffle=True)
    assert not np.array_equal(alone.params[0]["w"], seen[1].params[0]["w"])
    again, _ = epoch(LEARNER, begin(START, 3), X, Y, np.ones(40), 8, shuffle=True)
    jax.tree.map(np.testing.assert_array_equal, again.params, seen[0].params)


def test_a_call_that_diverges_says_so():
    learner = LEARNER._replace(optimizer=fnn.optimizers.sgd(3e38), penalty=None)
    _, cost = epoch(learner, begin(START, 0), 1e20 * X, Y, np.ones(40), 8, shuffle=False)
    assert np.isnan(cost)


def test_padding_is_a_power_of_two():
    assert [online._power_of_two(n) for n in (1, 2, 3, 4, 5, 200)] == [1, 2, 4, 4, 8, 256]
