"""Layer normalisation: the mean and the variance of its output, and inputs that are all equal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.layers import layer_norm
from tests.layers.passes import by_hand

entries = st.lists(st.floats(-100, 100), min_size=6, max_size=6)
vectors = entries.map(np.array).filter(lambda a: np.std(a) > 0.1)
repeatable = settings(derandomize=True, deadline=None, max_examples=40)


def normalised(a, epsilon=1e-5):
    layer = layer_norm(epsilon)
    params = layer.init(jax.random.key(0), 6, jnp.float64)
    return layer.forward(params, jnp.asarray(a), None)[0]


@repeatable
@given(vectors, st.floats(0.5, 50), st.floats(-50, 50))
def test_layer_norm_has_mean_0_and_variance_1_and_sees_no_shift_or_scale(a, scale, shift):
    with jax.enable_x64(True):
        z = normalised(a)
        np.testing.assert_allclose(jnp.mean(z), 0, atol=1e-11)
        np.testing.assert_allclose(jnp.var(z), np.var(a) / (np.var(a) + 1e-5), rtol=1e-11)
        np.testing.assert_allclose(
            normalised(scale * a + shift, 1e-5 * scale**2), z, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(normalised(-a), -z, rtol=1e-12)


@pytest.mark.parametrize("constant", [0.0, 3.0, 1e4, -1e30])
def test_layer_norm_of_equal_features_is_finite(constant):
    layer, a = layer_norm(), jnp.full(4, constant)
    params = layer.init(jax.random.key(0), 4, jnp.float32)
    z, cotangent, factors = by_hand(layer)(params, a, jnp.arange(4.0), None)
    np.testing.assert_array_equal(z, jnp.zeros(4))
    assert np.isfinite(cotangent).all() and np.isfinite(factors[0]["gain"]).all()


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: layer_norm(0), ValueError, "epsilon must be a positive number, got 0"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)
