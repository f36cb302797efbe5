"""Embedding and positions: rows of a table, the same as one-hot rows, and tokens that there are not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.layers import convolution, dense, embedding, flatten, positions
from tests.layers.passes import assert_trees_close, by_hand

TABLE = {"table": jnp.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])}
NET = fnn.sequential(2, embedding(3, 2), flatten(), dense(2, "softmax"))


def test_the_gradient_of_a_row_is_the_sum_of_the_errors_of_its_token():
    layer, a, delta = embedding(3, 2), jnp.array([2.0, 0.0, 2.0]), jnp.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    _, cotangent, factors = by_hand(layer)(TABLE, a, delta, None)
    assert layer.factors.gradient(factors)["table"].tolist() == [[3.0, 4.0], [0.0, 0.0], [6.0, 8.0]]
    assert cotangent.tolist() == [0.0, 0.0, 0.0]


def test_it_is_a_dense_layer_of_one_hot_rows():
    with jax.enable_x64(True):
        a, delta = jnp.array([2.0, 0.0, 2.0, 1.0]), jax.random.normal(jax.random.key(0), (4, 2))
        rows, table = convolution(2, 1), jax.tree.map(jnp.float64, TABLE)
        weights = {"w": table["table"].T[:, None], "b": jnp.zeros(2)}
        z, _, factors = by_hand(embedding(3, 2))(table, a, delta, None)
        wanted, _, others = by_hand(rows)(weights, jnp.eye(3)[a.astype(int)], delta, None)
        assert_trees_close(z, wanted)
        assert_trees_close(embedding(3, 2).factors.gradient(factors)["table"].T, rows.factors.gradient(others)["w"][:, 0])


def test_many_tokens_are_told_apart_where_the_parameters_are_narrow():
    """bfloat16 has no 257, so the numbers of tokens keep the dtype in which they came."""
    net = fnn.sequential(2, embedding(1000, 1), flatten())
    params = net.init(jax.random.key(0), "bfloat16")
    table = np.asarray(params[0]["table"].astype(jnp.float32)).ravel()
    out = net.apply(params, jnp.array([257.0, 999.0]))
    assert out.dtype == jnp.bfloat16 and out.astype(jnp.float32).tolist() == table[[257, 999]].tolist()
    _, (gradient, _) = fnn.backprop.value_and_grad(net, "quadratic")(params, jnp.array([[257.0, 999.0]]), jnp.ones((1, 2)))
    assert np.flatnonzero(gradient["table"].astype(jnp.float32)).tolist() == [257, 999]


@pytest.mark.parametrize(("X", "kind", "words"), [
    ([[0.0, 3.0]], ValueError, "X must hold the numbers of tokens, from 0 to 2, got X[0][1] = 3.0; give every token a whole"),
    ([[-1.0, 0.0]], ValueError, "from 0 to 2, got X[0][0] = -1.0"),
    ([[0.0, 0.5]], ValueError, "from 0 to 2, got X[0][1] = 0.5"),
    ([[0, 1]], TypeError, "X must hold real floating-point numbers, got int64; convert it with X.astype(float)")])
def test_tokens_that_there_are_not(X, kind, words):
    X, Y, key = np.array(X), np.array([0]), jax.random.key(0)
    params = NET.init(key)
    for call in (lambda: fnn.backprop.value_and_grad(NET, "cross_entropy")(params, X, Y),
                 lambda: fnn.fit(NET, "cross_entropy", fnn.optimizers.sgd(0.1), (X, Y), key=key, epochs=1),
                 lambda: fnn.backprop.quantities(NET, "cross_entropy", ["norms"])(params, X, Y)):
        with pytest.raises(kind) as error:
            call()
        assert words in str(error.value)


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: embedding(0, 2), ValueError, "tokens must be an integer of at least 1, got 0"),
    (lambda: embedding(2, 1.5), TypeError, "width must be an integer of at least 1, got 1.5"),
    (lambda: fnn.sequential(2, embedding(3, 2), embedding(3, 2), flatten()), ValueError, "embedding takes a vector, got an array"),
    (lambda: fnn.sequential(2, positions(), flatten()), ValueError,
     "positions takes a sequence of shape (time, width), got a vector of 2 entries; put an embedding or a reshape"),
    (lambda: fnn.sequential(2, embedding(3, 2), dense(2)), ValueError, "dense takes a vector")])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)


def test_reads_as_it_is_written():
    assert repr(NET) == "Network(2 -> embedding(3, 2) -> flatten() -> dense(2, softmax))" and repr(positions()) == "positions()"
