"""Shapes: every entry keeps its place, on the way forth and back."""

import jax.numpy as jnp
import pytest

import functional_nn as fnn
from functional_nn.layers import dense, flatten, reshape
from tests.layers.passes import by_hand


def test_entries_keep_their_row_major_order():
    a = jnp.arange(6.0)
    z, back, _ = by_hand(reshape((3, 2)))((), a, 10 * jnp.arange(6.0).reshape(3, 2), None)
    assert z.tolist() == [[0, 1], [2, 3], [4, 5]] and back.tolist() == (10 * a).tolist()
    z, back, _ = by_hand(flatten())((), z, a, None)
    assert z.tolist() == a.tolist() and back.shape == (3, 2)
    assert flatten().n_out(7) == 7


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: reshape(4), TypeError, "shape must be a tuple of integers such as (28, 28, 1), got 4; for a vector use flatten()"),
    (lambda: reshape((2, 0)), ValueError, "shape[1] must be an integer of at least 1, got 0"),
    (lambda: reshape("2,2"), TypeError, "shape must be an integer of at least 1, got '2,2'"),
    (lambda: fnn.sequential(783, reshape((28, 28, 1)), flatten(), dense(10)), ValueError,
     "layer 0, reshape((28, 28, 1)), does not fit what comes before it: the input has the shape 783; reshape needs 784 entries"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)
