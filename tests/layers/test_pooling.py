"""Pooling: JAX's own windows, and entries that tie."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.layers import average_pool, flatten, max_pool, reshape
from tests.layers.passes import assert_trees_close, by_hand, by_jax


@pytest.mark.parametrize(("size", "stride"), [((2, 2), (2, 2)), ((3, 2), (1, 2)), ((1, 4), (3, 1))])
def test_the_values_are_those_of_jax(size, stride):
    a = jax.random.normal(jax.random.key(0), (7, 6, 3))
    for layer, start, join, scale in ((max_pool, -jnp.inf, jax.lax.max, 1), (average_pool, 0.0, jax.lax.add, 1 / np.prod(size))):
        wanted = jax.lax.reduce_window(a, start, join, (*size, 1), (*stride, 1), "VALID") * scale
        np.testing.assert_allclose(layer(size, stride).forward((), a, None)[0], wanted, rtol=1e-6)
        assert layer(size, stride).n_out((7, 6, 3)) == wanted.shape


def test_entries_that_tie_share_the_gradient_as_jax_has_it():
    a = jnp.array([[1.0], [1.0], [1.0], [0.0]])
    cotangent, wanted = (way(max_pool(2))((), a, jnp.array([[6.0], [8.0]]), None) for way in (by_hand, by_jax))
    assert cotangent[1].ravel().tolist() == [3.0, 3.0, 8.0, 0.0]
    assert_trees_close(cotangent[1], wanted[2])


def test_what_does_not_fill_a_window_is_left_out():
    a = jnp.arange(5.0)[:, None]
    assert average_pool(2).forward((), a, None)[0].ravel().tolist() == [0.5, 2.5]
    assert by_hand(max_pool(2))((), a, jnp.ones((2, 1)), None)[1].ravel().tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: max_pool(0), ValueError, "size must be an integer of at least 1, got 0"),
    (lambda: average_pool(2, "2"), TypeError, "stride must be an integer of at least 1, got '2'"),
    (lambda: fnn.sequential(4, max_pool(2), flatten()), ValueError, "max_pool takes an array with channels last"),
    (lambda: fnn.sequential(4, reshape((4, 1)), average_pool(5), flatten()), ValueError,
     "average_pool has windows of size (5,), which are larger than its input of shape (4, 1)"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)


def test_reads_as_it_is_written():
    assert (repr(max_pool(2)), repr(average_pool((3, 2), 1))) == ("max_pool(2)", "average_pool((3, 2), stride=1)")
