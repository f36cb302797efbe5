"""The reference is `jax.grad` of the cost and nothing else, and has the same signatures as `backprop`."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.layers import dense, dropout, residual

NET = fnn.sequential(3, residual(dense(4, "tanh"), dense(3)), dropout(0.4), dense(2, "softmax"))


@pytest.fixture
def case():
    X = jax.random.normal(jax.random.key(1), (5, 3))
    return NET.init(jax.random.key(0)), X, jnp.array([0, 1, 1, 0, 1])


def test_what_the_reference_offers_is_offered_by_hand():
    """By hand there is more: `quantities`, and a function for others to differentiate."""
    assert set(fnn.autodiff.__all__) < set(fnn.backprop.__all__)
    for name in fnn.autodiff.__all__:
        by_hand, by_jax = getattr(fnn.backprop, name), getattr(fnn.autodiff, name)
        assert inspect.signature(by_hand) == inspect.signature(by_jax), name
        inner = [inspect.signature(make(NET, "cross_entropy")) for make in (by_hand, by_jax)]
        assert inner[0] == inner[1], name


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_value_and_grad_is_jax_on_the_cost(case, reduction):
    """Written out from `apply` alone, so that nothing of the objective is taken for granted."""
    params, X, Y = case
    weights = jnp.array([1.0, 2.0, 0.0, 0.5, 3.0])

    def cost(params):
        a = jax.vmap(NET.apply, in_axes=(None, 0))(params, X)
        losses = -jnp.log(a[jnp.arange(5), Y])
        return weights @ losses / (jnp.sum(weights) if reduction == "mean" else 1.0)

    got = fnn.autodiff.value_and_grad(NET, "cross_entropy", reduction)(params, X, Y, sample_weights=weights)
    wanted = jax.value_and_grad(cost)(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), got, wanted)


def test_per_example_gradients_are_those_of_batches_of_one(case):
    params, X, Y = case
    each = fnn.autodiff.per_example_gradients(NET, "cross_entropy")(params, X, Y)
    one = jax.jit(fnn.autodiff.value_and_grad(NET, "cross_entropy"))
    norms = fnn.autodiff.per_example_norms(NET, "cross_entropy")(params, X, Y)
    for i in range(5):
        gradient = one(params, X[i:i + 1], Y[i:i + 1])[1]
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-6), each, gradient)
        squares = sum(float(jnp.sum(g ** 2)) for g in jax.tree.leaves(gradient))
        assert float(norms[i]) == pytest.approx(squares ** 0.5, rel=1e-5)


def test_deltas_are_the_bias_gradients_where_a_layer_has_a_bias(case):
    """∂L/∂b = δ (N14), and residual and dropout layers have a δ of their own."""
    params, X, Y = case
    deltas = fnn.autodiff.deltas(NET, "cross_entropy")(params, X[0], Y[0])
    _, gradient = fnn.autodiff.value_and_grad(NET, "cross_entropy")(params, X[:1], Y[:1])
    np.testing.assert_allclose(deltas[2], gradient[2]["b"], rtol=1e-5)
    np.testing.assert_allclose(deltas[1], params[2]["w"].T @ deltas[2], rtol=1e-4)  # nothing is dropped without a key
    np.testing.assert_allclose(deltas[0], gradient[0][1]["b"], rtol=1e-4)


def test_the_same_units_are_dropped_everywhere(case):
    params, X, Y = case
    key = jax.random.key(7)
    each = fnn.autodiff.per_example_gradients(NET, "cross_entropy")(params, X, Y, key=key)
    _, gradient = fnn.autodiff.value_and_grad(NET, "cross_entropy")(params, X, Y, key=key)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a.mean(0), b, rtol=1e-4, atol=1e-6), each, gradient)
    delta = fnn.autodiff.deltas(NET, "cross_entropy")(params, X[0], Y[0], key=key)
    dropped = delta[1] == 0  # δ of a dropout layer's z is not masked, that of the layer before is
    by_hand = fnn.backprop.deltas(NET, "cross_entropy")(params, X[0], Y[0], key=key)
    np.testing.assert_array_equal(dropped, by_hand[1] == 0)
    np.testing.assert_array_equal(delta[0] == 0, by_hand[0] == 0)
