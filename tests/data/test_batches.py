"""An epoch takes every example exactly once, in whole batches and a rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.data import batch_size, epoch_indices

sizes = st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


def taken(full, rest):
    return [*np.ravel(full).tolist(), *rest.tolist()]


@settings(derandomize=True, deadline=None, max_examples=6)
@given(sizes, st.integers(0, 2**31), st.booleans())
def test_every_example_exactly_once(sizes, seed, shuffle):
    n, size = sizes
    full, rest = epoch_indices(jax.random.key(seed), n, size, shuffle=shuffle)
    assert full.shape == (n // size, size) and rest.shape == (n % size,)
    assert jnp.issubdtype(full.dtype, jnp.integer) and full.dtype == rest.dtype
    assert sorted(taken(full, rest)) == list(range(n))
    if not shuffle:
        assert taken(full, rest) == list(range(n))


def test_compiled_is_eager_and_keys_make_the_order():
    compiled = jax.jit(epoch_indices, static_argnums=(1, 2))
    first, again, other = (taken(*compiled(jax.random.key(seed), 50, 8)) for seed in (0, 0, 1))
    assert first == again == taken(*epoch_indices(jax.random.key(0), 50, 8))
    assert first != other and first != list(range(50))


def test_the_order_does_not_depend_on_the_batch_size():
    assert taken(*epoch_indices(jax.random.key(3), 20, 6)) == taken(*epoch_indices(jax.random.key(3), 20, 20))


def test_is_mapped_over_keys():
    keys = jax.random.split(jax.random.key(0), 3)
    full, rest = jax.vmap(lambda key: epoch_indices(key, 10, 4))(keys)
    for i, key in enumerate(keys):
        assert taken(full[i], rest[i]) == taken(*epoch_indices(key, 10, 4))


def test_batch_size_is_the_value_or_all():
    assert [batch_size(value, 10) for value in (1, 10, None, np.int64(3))] == [1, 10, 10, 3]
    assert type(batch_size(np.int64(3), 10)) is int


KEY = jax.random.key(0)
WHOLE = "must be an integer from 1 to 10"


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: batch_size(11, 10), ValueError, f"batch_size {WHOLE}, the number of examples, got 11; pass None for all"),
    (lambda: batch_size(0, 10), ValueError, f"batch_size {WHOLE}, got 0"),
    (lambda: batch_size(2.0, 10), TypeError, f"batch_size {WHOLE}, got 2.0"),
    (lambda: batch_size("all", 10), TypeError, f"batch_size {WHOLE}, got 'all'"),
    (lambda: batch_size(True, 10), TypeError, f"batch_size {WHOLE}, got True"),
    (lambda: batch_size(None, 0), ValueError, "n must be an integer of at least 1, got 0"),
    (lambda: epoch_indices(KEY, 10, 11), ValueError, f"batch_size {WHOLE}, got 11"),
    (lambda: epoch_indices(KEY, 0, 1), ValueError, "n must be an integer of at least 1, got 0"),
    (lambda: epoch_indices(0, 10, 5), TypeError,
     "key must be a typed key, got 0; make one with jax.random.key(seed)"),
])
def test_names_the_bad_argument(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == words
