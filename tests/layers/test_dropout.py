"""Dropout: the rate is the share that is dropped, the mean is kept, and the key alone decides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn.layers import dropout


def test_dropout_drops_the_rate_and_keeps_the_mean():
    ones = jnp.ones(20_000)
    for rate in (0.1, 0.5, 0.9):
        z, mask = dropout(rate).forward((), ones, jax.random.key(0))
        noise = (rate * (1 - rate) / ones.size) ** 0.5
        dropped = float(jnp.mean(z == 0))
        assert abs(dropped - rate) < 4 * noise  # what is dropped is the rate, not 1 - rate
        assert abs(float(jnp.mean(z)) - 1) < 4 * noise / (1 - rate)
        np.testing.assert_allclose(z[z != 0], 1 / (1 - rate), rtol=1e-6)
        np.testing.assert_array_equal(z, mask)


def test_dropout_draws_from_its_key_alone():
    layer, a = dropout(0.5), jnp.linspace(1.0, 2.0, 64)
    first, again, other = (layer.forward((), a, jax.random.key(seed))[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(layer.forward((), a, None)[0], a)
    np.testing.assert_array_equal(dropout(0).forward((), a, jax.random.key(0))[0], a)
    masks = jax.vmap(lambda key: layer.forward((), a, key)[1])(
        jax.random.split(jax.random.key(0), 8))
    assert len({mask.tobytes() for mask in np.asarray(masks)}) == 8


WANTED = "rate must be the share of units to drop"


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: dropout(1.0), ValueError, f"{WANTED}, from 0 to below 1, got 1.0"),
    (lambda: dropout(-0.1), ValueError, WANTED),
    (lambda: dropout(np.nan), ValueError, f"{WANTED}, from 0 to below 1, got nan"),
    (lambda: dropout("0.5"), TypeError, f"{WANTED}, from 0 to below 1, got '0.5'"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)
