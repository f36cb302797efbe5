"""The random split draws the rows that scikit-learn's does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from functional_nn.data.shuffled import shuffled_split

SEEDS = st.integers(0, 2**32 - 1)
SHARES = st.floats(0.01, 0.99)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.integers(2, 300), SHARES, SEEDS)
def test_it_draws_the_rows_of_scikit_learn(n, share, seed):
    agrees(n, share, seed, None)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(st.integers(2, 40), min_size=1, max_size=8), SHARES, SEEDS)
def test_it_draws_the_rows_of_scikit_learn_for_every_class(counts, share, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)) - 1, counts))
    agrees(len(labels), share, seed, labels)


def agrees(n, share, seed, labels):
    try:
        wanted = train_test_split(np.arange(n), test_size=share, random_state=seed, stratify=labels)
    except ValueError:
        with pytest.raises(ValueError, match="rows cannot hold a row"):
            shuffled_split(n, share, seed, labels)
        return
    for ours, theirs in zip(shuffled_split(n, share, seed, labels), wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("share", "labels", "words"), [
    (0.99, None, "a part of 0 rows cannot hold a row, which are 1"),
    (0.2, np.array([0, 1, 2, 0, 1, 2]), "a part of 2 rows cannot hold a row of every class, which are 3")])
def test_a_part_that_is_too_small_is_said(share, labels, words):
    with pytest.raises(ValueError) as error:
        shuffled_split(6, share, 0, labels)
    assert str(error.value) == words
