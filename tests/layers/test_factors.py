"""The contract of factors: what each kind of layer computes from them is what its gradients give, formed one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn.layers import dense, dropout, factors_of, layer_norm
from functional_nn.layers.factors import along, plus
from tests.layers.passes import BATCH, assert_trees_close, by_hand, problem, random_like
from tests.layers.test_layer import every_kind

WEIGHTS = np.array([0.5, -1.0, 0.0, 2.0])


def gradients(layer, n_in):
    """Random parameters, the factors of a batch, and its gradients with a leading axis."""
    params, A, D, keys = problem(layer, n_in)
    factors = jax.vmap(by_hand(layer), in_axes=(None, 0, 0, 0))(params, A, D, keys)[-1]
    return params, factors, jax.vmap(layer.factors.gradient, axis_size=BATCH)(factors)


@every_kind
def test_dots_and_squares_are_those_of_the_gradients(layer, n_in):
    with jax.enable_x64(True):
        @jax.jit
        def both():
            params, (errors, inputs), each = gradients(layer, n_in)
            direction = random_like(params)
            dots = jax.vmap(lambda factors: layer.factors.dot(factors, direction), axis_size=BATCH)((errors, inputs))
            columns = jax.tree.map(lambda e: jnp.stack([e, 2 * e], axis=1), errors)  # g² + (2g)² = 5 g²
            wanted = [sum((jnp.sum((g * v[None]).reshape(BATCH, -1), axis=1) for g, v in zip(
                          *map(jax.tree.leaves, (each, direction)), strict=True)), jnp.zeros(BATCH)),
                      jax.tree.map(lambda g: 5 * jnp.tensordot(WEIGHTS, g**2, axes=1), each)]
            return [dots * jnp.ones(BATCH), layer.factors.squares((columns, inputs), WEIGHTS)], wanted

        assert_trees_close(*both(), rtol=1e-11)


def test_a_chain_has_one_entry_a_layer():
    with jax.enable_x64(True):
        chain = factors_of([dense(2), dropout(0.1), layer_norm()])
        _, (e0, i0), g0 = gradients(dense(2), 3)
        _, (e2, i2), g2 = gradients(layer_norm(), 2)
        factors = (e0, (), e2), (i0, (), i2)
        assert_trees_close(chain.gradient(factors)[1:2], ((),))
        total = chain.weighted_sum(factors, WEIGHTS)
        assert_trees_close(total[0], jax.tree.map(lambda g: np.tensordot(WEIGHTS, g, axes=1), g0))
        assert_trees_close(total[2], jax.tree.map(lambda g: np.tensordot(WEIGHTS, g, axes=1), g2))


def test_a_kind_that_cannot_says_why():
    assert "not the product of an error and an input" in layer_norm().factors.kronecker
    assert dropout(0.5).factors.kronecker(((), ()), WEIGHTS) == ()


@pytest.mark.parametrize(("one", "other", "total"), [(None, None, None), (None, 2, 2), (1, None, 1), (1, 2, 3)])
def test_none_is_a_tangent_of_0(one, other, total):
    assert plus(one, other) == total and along(lambda t: 2 * t, None) is None and along(lambda t: 2 * t, 3) == 6
