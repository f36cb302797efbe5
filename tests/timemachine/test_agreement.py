"""A right gradient agrees at every step, a wrong one at none, with dropout and without."""

import jax
import jax.numpy as jnp
import pytest

import functional_nn as fnn
from functional_nn.objective import objective
from functional_nn.timemachine import MISTAKES
from functional_nn.timemachine.agreement import AGREES, difference
from functional_nn.timemachine.mistakes import value_and_grad
from tests.slow import few

NETS = {"plain": fnn.mlp((3, 4, 2), hidden="tanh", output="softmax"),
        "dropout": fnn.sequential(3, fnn.layers.dense(4, "tanh"), fnn.layers.dropout(0.3), fnn.layers.dense(2, "softmax"))}


def of(net, way, params=None):
    X, Y, key = jax.random.normal(jax.random.key(0), (5, 3)), jnp.array([0, 1, 1, 0, 1]), jax.random.key(2)
    params = net.init(jax.random.key(1)) if params is None else params
    return difference(objective(net, "cross_entropy"), way)(params, X, Y, key)


@pytest.mark.parametrize("name", few(NETS, "plain"))
def test_the_gradient_by_hand_agrees_and_nothing_is_left_switched_on(name):
    assert of(NETS[name], fnn.backprop.value_and_grad) < 1e-12 < AGREES and not jax.config.jax_enable_x64


@pytest.mark.parametrize("cause", few(MISTAKES, "sign"))
def test_every_mistake_is_seen(cause):
    assert of(NETS["plain"], value_and_grad(cause)) > 1e-3


def test_what_is_not_finite_agrees_with_nothing():
    params = jax.tree.map(lambda leaf: leaf * jnp.nan, NETS["plain"].init(jax.random.key(1)))
    assert not of(NETS["plain"], fnn.backprop.value_and_grad, params) < AGREES
