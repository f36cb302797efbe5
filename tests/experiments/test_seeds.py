"""Many runs at once are the runs one by one, and the mean over runs has the interval it should have."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import functional_nn as fnn
from experiments import seeds

NET = fnn.mlp((2, 4, 2), hidden="tanh", output="softmax")
X = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int32)
KEYS = jax.random.split(jax.random.key(0), 3)
RATES = [0.1, 0.5]


def run_of(rate):
    return seeds.whole_run(NET, "cross_entropy", fnn.optimizers.sgd(rate), epochs=4, batch_size=5)


def test_runs_together_are_the_runs_one_by_one():
    params, history = seeds.over_rates(run_of, RATES, KEYS, X, Y, (X, Y))
    assert history["cost"].shape == history["judged_accuracy"].shape == (2, 3, 4)
    one = jax.jit(lambda rate, key: run_of(rate)(key, jnp.asarray(X), jnp.asarray(Y)))
    of_seeds, _ = seeds.over_seeds(run_of(RATES[-1]), KEYS, X, Y)
    for i, rate in enumerate(RATES):
        for j in range(len(KEYS)):
            alone, costs = one(rate, KEYS[j])
            np.testing.assert_allclose(history["cost"][i, j], costs["cost"], rtol=1e-5)
            same(jax.tree.map(lambda leaf, i=i, j=j: leaf[i, j], params), alone)
            if rate == RATES[-1]:
                same(jax.tree.map(lambda leaf, j=j: leaf[j], of_seeds), alone)


def same(left, right):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), left, right)


def test_a_run_can_begin_with_parameters_of_ones_own():
    start = NET.init(jax.random.key(7))
    still = seeds.whole_run(NET, "cross_entropy", fnn.optimizers.sgd(0.0), epochs=2)
    params, history = jax.jit(still)(KEYS[0], jnp.asarray(X), jnp.asarray(Y), None, start)
    jax.tree.map(np.testing.assert_array_equal, params, start)
    assert history["cost"].tolist() == [pytest.approx(float(fnn.cost(NET, "cross_entropy")(start, X, Y)))] * 2


def test_the_interval_holds_the_mean_in_95_of_100_cases():
    drawn = np.random.default_rng(0).normal(size=(10, 2000))
    found = seeds.interval(drawn)
    inside = ((found.low <= 0) & (found.high >= 0)).mean()
    assert stats.binomtest(round(2000 * inside), 2000, 0.95).pvalue > 0.01
    geometric = seeds.interval(np.exp(drawn), log=True)
    np.testing.assert_allclose(geometric.mean, np.exp(found.mean))
    assert seeds.interval(np.ones((4, 2))).high.tolist() == [1, 1]


def test_examples():
    assert doctest.testmod(seeds).failed == 0
