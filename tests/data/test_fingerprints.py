"""Fingerprints know a row again in whatever order it comes, and no other row."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.data.fingerprints import find, fingerprints

RNG = np.random.default_rng(0)
X, Y, NAMES = RNG.normal(size=(50, 3)), RNG.integers(0, 3, size=50), ("elm", "oak", "ash")


def test_order_and_numbering_of_classes_do_not_matter():
    order = RNG.permutation(50)
    whole = fingerprints(X, Y, NAMES)
    np.testing.assert_array_equal(fingerprints(X[order], Y[order], NAMES), whole[order])
    np.testing.assert_array_equal(fingerprints(X, 2 - Y, NAMES[::-1]), whole)
    np.testing.assert_array_equal(fingerprints(X.astype(np.float32), Y, NAMES),
                                  fingerprints(X.astype(np.float32).astype(float), Y, NAMES))


def test_every_feature_and_the_target_enter():
    whole = fingerprints(X, Y, NAMES)
    assert len(set(whole.tolist())) == 50 and whole.dtype == np.uint64
    for j in range(3):
        other = X.copy()
        other[:, j] = np.nextafter(other[:, j], np.inf)
        assert not (fingerprints(other, Y, NAMES) == whole).any()
    assert not (fingerprints(X, (Y + 1) % 3, NAMES) == whole).any()
    assert not (fingerprints(X, Y + 0.5) == fingerprints(X, Y + 0.25)).any()


def test_minus_zero_is_zero():
    assert fingerprints(np.array([[-0.0]]), np.array([-0.0])) == fingerprints(
        np.array([[0.0]]), np.array([0.0]))


few = st.lists(st.integers(0, 4), max_size=12)


@settings(derandomize=True, deadline=None)
@given(few, few)
def test_what_is_found_is_the_common_part_with_its_multiplicity(wanted, among):
    places = find(wanted, among)
    found = [among[place] for place in places]
    assert list(places) == sorted(set(places.tolist()))
    for value in range(5):
        assert found.count(value) == min(wanted.count(value), among.count(value))
