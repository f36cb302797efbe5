"""Our gradient inside models of Equinox and Flax, written in their own idiom; skipped where they are not installed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.backprop import as_custom_vjp

NET = fnn.mlp((4, 8, 3), hidden="tanh", output="softmax")
X, Y = jax.random.normal(jax.random.key(1), (20, 7)), jnp.arange(20) % 3
COST = as_custom_vjp(NET, "cross_entropy")




def test_equinox():
    eqx = pytest.importorskip("equinox")

    class Model(eqx.Module):
        embed: eqx.nn.Linear
        params: tuple

    model = Model(eqx.nn.Linear(7, 4, key=jax.random.key(2)), NET.init(jax.random.key(3)))

    def loss(cost):
        return lambda model: cost(model.params, jax.vmap(model.embed)(X), Y)

    by_hand, by_jax = (eqx.filter_grad(loss(cost))(model) for cost in (COST, fnn.cost(NET, "cross_entropy")))
    for a, b in zip(*map(jax.tree.leaves, (by_hand, by_jax)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)

    @eqx.filter_jit
    def step(model):
        value, slope = eqx.filter_value_and_grad(loss(COST))(model)
        return eqx.apply_updates(model, jax.tree.map(lambda g: -0.5 * g, slope)), value

    costs = []
    for _ in range(30):
        model, value = step(model)
        costs.append(float(value))
    assert costs[-1] < costs[0] / 2


def test_flax():
    nnx = pytest.importorskip("flax.nnx")

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.embed = nnx.Linear(7, 4, rngs=rngs)
            self.params = nnx.data([nnx.Param(leaf) for leaf in jax.tree.leaves(NET.init(rngs.params()))])

        def __call__(self, cost):
            leaves = [leaf[...] for leaf in self.params]
            return cost(jax.tree.unflatten(jax.tree.structure(NET.init(jax.random.key(0))), leaves), self.embed(X), Y)

    model = Model(nnx.Rngs(0))
    by_hand, by_jax = (nnx.grad(lambda model, cost=cost: model(cost))(model) for cost in (COST, fnn.cost(NET, "cross_entropy")))
    for a, b in zip(*map(jax.tree.leaves, (by_hand, by_jax)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)

    @nnx.jit
    def step(model):
        value, slope = nnx.value_and_grad(lambda model: model(COST))(model)
        nnx.update(model, jax.tree.map(lambda p, g: p - 0.5 * g, nnx.state(model, nnx.Param), slope))
        return value

    costs = [float(step(model)) for _ in range(30)]
    assert costs[-1] < costs[0] / 2
