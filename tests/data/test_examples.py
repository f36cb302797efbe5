"""Data sets say what they are, and show new rows as the training rows were shown."""

import numpy as np
import pytest

from functional_nn.data import Standardizer, load, standardize


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
