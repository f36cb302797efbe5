"""A split keeps every class in its share, or keeps what came split; new rows are shown as the training rows were."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.data import Standardizer, load, standardize
from functional_nn.data.examples import Examples, split


def examples(y, names=("a", "b", "c"), **more):
    y = np.asarray(y, np.int32 if names else np.float32)
    return Examples("set", np.arange(2.0 * len(y), dtype=np.float32).reshape(-1, 2), y, ("u", "v"), names, **more)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.tuples(*[st.integers(5, 40)] * 3), st.sampled_from([0.2, 0.25, 0.5]), st.integers(0, 2**32 - 1))
def test_every_class_is_in_both_parts_in_its_share(counts, share, seed):
    data = split(examples(np.repeat([0, 1, 2], counts)), share, seed)
    np.testing.assert_allclose(np.bincount(data.y_test, minlength=3), share * np.array(counts), atol=1)
    assert sorted(np.concatenate([data.x_train, data.x_test])[:, 0].tolist()) == list(range(0, 2 * sum(counts), 2))


def test_what_came_split_stays_so():
    test = np.ones((2, 2), np.float32), np.array([2, 0], np.int32)
    data = split(examples([0, 1, 2], test=test), None, 0)
    assert data.y_train.tolist() == [0, 1, 2] and data.x_test is test[0] and data.y_test is test[1]


def test_rows_are_standardised_as_the_training_rows_were():
    plain = load("wine")
    data = standardize(plain)
    np.testing.assert_array_equal(data.encode(plain.x_test), data.x_test)
    np.testing.assert_array_equal(plain.encode(plain.x_test.astype(np.float64)), plain.x_test)
    np.testing.assert_array_equal(Standardizer.fit(plain.x_train).mean, data.standardizer.mean)


def test_a_data_set_says_what_it_is():
    assert str(load("iris")) == "iris: 120 training and 30 test rows of 4 features, 3 classes"
    assert str(load("diabetes")) == "diabetes: 353 training and 89 test rows of 10 features, a regression"


@pytest.mark.parametrize(("call", "words"), [
    (lambda: split(examples([0]), None, 0), "set must hold at least two examples, one to train and one to test, got 1"),
    (lambda: split(examples([0, 1, 1, 2, 2]), None, 0), "set must hold two examples of every class, one to train and one to "
     "test, got a single one of 'a'; drop it, merge it with another class, or pass task='regression' for numbers"),
    (lambda: split(examples([0, 1, 2], test=(np.ones((1, 2)), np.ones(1))), 0.5, 0), "test_share is for data that is not split "
     "yet, got 0.5, and set comes with test rows of its own; leave test_share out"),
    (lambda: load("iris").encode(np.ones((2, 3))), "rows must be numbers of shape (n, 4), a column a feature, got float64 of "
     "shape (2, 3); give one row as row[None]"),
    (lambda: load("iris").encode([1.0, 2, 3, 4]), "rows must be numbers of shape (n, 4), a column a feature, got float64 of "
     "shape (4,); give one row as row[None]"),
    (lambda: load("iris").encode([[1.0, 2, np.nan, 4]]), "rows[0][2] is nan, one of 1 values that are NaN, infinite or too "
     "large for float32; drop or mend those rows first"),
    (lambda: standardize(standardize(load("iris"))), "dataset must not be standardised yet, got iris, which is; use it as it "
     "is"),
])
def test_names_what_is_wrong(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == words


def test_a_share_that_leaves_too_few_is_refused():
    with pytest.raises(ValueError, match=r"^test_share=0.01 leaves too few of 9 examples on one side: "):
        split(examples([0, 1, 2] * 3), 0.01, 0)


def test_a_count_that_was_taken_for_classes_is_said_with_both_ways_out():
    y = np.arange(60) % 18
    counts = Examples("counts.csv", np.zeros((60, 1), np.float32), y.astype(np.int32), ("a",),
                      tuple(map(str, range(18))), None, "classes, as 't' is whole numbers of 18 kinds")
    with pytest.raises(ValueError) as error:
        split(counts, None, 0)
    assert str(error.value) == (
        "counts.csv was taken for 18 classes, as 't' is whole numbers of 18 kinds: test_share=0.2 "
        "leaves too few of its 60 rows to have every class among the 12 of the test; pass "
        "task='regression' if the target is a quantity, or test_share=0.32")
    assert "--task regression" in error.value.on_command_line
    assert len(split(counts, 0.32, 0).x_test) == 20
