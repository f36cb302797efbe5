"""Arrays with room for more rows: few sizes, and rows like the first after their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functional_nn.training.room import padded, room


@given(st.integers(1, 10**7))
def test_there_is_room_for_an_eighth_more_at_most(n):
    assert n <= room(n) <= n + n // 8 and room(n) <= room(n + 1)


def test_all_numbers_to_ten_thousand_have_few_rooms():
    assert len({room(n) for n in range(64, 10_001)}) <= 8 * 8


@pytest.mark.parametrize("dtype", [np.int32, np.float32, jnp.bfloat16])
def test_rows_like_the_first_follow(dtype):
    own = np.arange(6).reshape(3, 2).astype(dtype)
    whole = padded(own, 5)
    assert isinstance(whole, jax.Array) and whole.dtype == dtype
    np.testing.assert_array_equal(whole, own[[0, 1, 2, 0, 0]])
