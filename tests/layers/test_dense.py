"""Dense and maxout layers: which weight leads where, and which piece of a maxout layer counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn.layers import dense, maxout
from tests.layers.passes import assert_trees_close, by_hand, by_jax, problem


def test_the_weight_w_jk_leads_from_neuron_k_to_neuron_j_and_the_delta_back():
    j, k = 1, 0
    params = {"w": jnp.zeros((2, 2)).at[j, k].set(3.0), "b": jnp.array([10.0, 20.0])}
    z, cotangent, (delta, a) = by_hand(dense(2, "relu"))(
        params, jnp.array([5.0, 7.0]), jnp.array([-1.0, -2.0]), None)
    assert z.tolist() == [10.0, 20.0 + 3.0 * 5.0]
    assert cotangent.tolist() == [3.0 * -2.0, 0.0]
    assert (delta.tolist(), a.tolist()) == ([-1.0, -2.0], [5.0, 7.0])


def test_maxout_is_the_largest_piece():
    with jax.enable_x64(True):
        layer = maxout(4, pieces=3)
        params, A, _, _ = problem(layer, 5)
        pieces = [np.array(w) @ A[0] + b for w, b in zip(params["w"], params["b"], strict=True)]
        np.testing.assert_allclose(
            layer.forward(params, A[0], None)[0], np.max(pieces, axis=0), rtol=1e-14)
    drawn = np.asarray(layer.init(jax.random.key(0), 5, jnp.float32)["w"])
    assert len({piece.tobytes() for piece in drawn}) == 3


@pytest.mark.parametrize("pieces", [2, 3])
def test_pieces_that_tie_share_the_gradient_as_jax_has_it(pieces):
    layer, n = maxout(2, pieces), 3
    params = {"w": jnp.ones((pieces, 2, n)),
              "b": jnp.zeros((pieces, 2)).at[0, 1].set(-1.0)}  # neuron 1: piece 0 has lost
    _, cotangent, factors = by_hand(layer)(params, jnp.ones(n), jnp.array([1.0, 5.0]), None)
    _, gradient, wanted = by_jax(layer)(params, jnp.ones(n), jnp.array([1.0, 5.0]), None)
    assert_trees_close((cotangent, layer.factors.gradient(factors)), (wanted, gradient))
    np.testing.assert_allclose(
        factors[0], [[1 / pieces, 0]] + [[1 / pieces, 5 / (pieces - 1)]] * (pieces - 1), rtol=1e-6)


def test_maxout_of_one_piece_is_dense_and_linear():
    a, delta = jnp.array([0.5, -2.0, 1.0]), jnp.array([1.0, -1.0])
    params = maxout(2, pieces=1).init(jax.random.key(0), 3, jnp.float32)
    z, cotangent, factors = by_hand(maxout(2, pieces=1))(params, a, delta, None)
    plain_z, plain_cotangent, plain = by_hand(dense(2))(
        jax.tree.map(lambda p: p[0], params), a, delta, None)
    assert_trees_close(
        (z, cotangent, factors[0][0]), (plain_z, plain_cotangent, plain[0]), rtol=1e-6)


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: dense(0), ValueError, "n_out must be an integer of at least 1, got 0"),
    (lambda: dense(True), TypeError, "n_out must be an integer of at least 1, got True"),
    (lambda: dense(2.0), TypeError, "n_out must be an integer of at least 1, got 2.0"),
    (lambda: dense(3, "rulu"), ValueError, "unknown activation 'rulu'; did you mean 'relu'?"),
    (lambda: dense(3, init="he"), ValueError,
     "unknown initializer 'he'. There are: glorot_uniform"),
    (lambda: maxout(3, pieces=0), ValueError, "pieces must be an integer of at least 1, got 0"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)
