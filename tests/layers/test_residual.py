"""Residual connections: the input is added to what the inner layers return."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn.layers import dense, residual
from tests.layers.passes import by_hand


def test_residual_of_a_zero_branch_is_the_identity():
    a, delta = jnp.array([1.0, -2.0, 3.0]), jnp.array([0.5, 1.0, -4.0])
    layer = residual(dense(7, "relu"), dense(3, init="zeros"))
    z, cotangent, _ = by_hand(layer)(
        layer.init(jax.random.key(0), 3, jnp.float32), a, delta, None)
    np.testing.assert_array_equal(z, a)
    np.testing.assert_array_equal(cotangent, delta)


def test_residual_takes_the_last_activation_with_it():
    a = jnp.array([1.0, -2.0])
    branch = dense(2, "tanh")
    params = branch.init(jax.random.key(0), 2, jnp.float32)
    want = a + jnp.tanh(branch.forward(params, a, None)[0])
    np.testing.assert_allclose(residual(branch).forward((params,), a, None)[0], want, rtol=1e-6)


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: residual(dense(4)).n_out(3), ValueError,
     "residual adds its input, of size 3, to the output of its layers, of size 4; "
     "end it with a layer of 3 neurons"),
    (lambda: residual(dense(3), residual(dense(2))).n_out(3), ValueError,
     "of size 3, to the output of its layers, of size 2"),
    (lambda: residual(), ValueError, "residual needs at least one layer, got none"),
    (lambda: residual(dense(3), "relu"), TypeError,
     "residual takes layers such as fnn.layers.dense(30, 'relu'), got 'relu' in place 1"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)
