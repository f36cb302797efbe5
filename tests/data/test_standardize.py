"""Training rows come out with mean 0 and deviation 1, constants as 0, and test rows are scaled as the training rows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from functional_nn.data import Dataset, Standardizer, load, standardize

repeatable = settings(derandomize=True, deadline=None, max_examples=100)


shapes = st.tuples(st.integers(2, 20), st.integers(1, 4))


@repeatable
@given(hnp.arrays(np.float64, shapes, elements=st.floats(-1e3, 1e3, width=32)))
def test_is_the_equation_on_the_training_rows(x):
    spread = x.std(axis=0)
    varied = spread > 1e-6
    z = Standardizer.fit(x)(x)[:, varied]
    np.testing.assert_allclose(z, (x - x.mean(axis=0))[:, varied] / spread[varied], rtol=1e-6, atol=1e-6)


@repeatable
@given(st.floats(-(2.0**100), 2.0**100, width=32), st.integers(1, 200), st.sampled_from([np.float32, np.float64]))
def test_a_constant_feature_becomes_exactly_zero(value, n, dtype):
    x = np.full((n, 2), value, dtype)
    x[:, 1] = np.arange(n)
    fitted = Standardizer.fit(x)
    assert fitted.mean[0] == dtype(value) and fitted.deviation[0] == 1.0
    assert (fitted(x)[:, 0] == 0).all() and np.isfinite(fitted(x)).all()


@pytest.mark.parametrize("value", [0.1, -1e-30, 1e-45, 1 / 3, 16777217.0])
def test_constants_that_no_float_holds_exactly(value):
    for n in (3, 7, 1797):
        for dtype in (np.float32, np.float64):
            x = np.full((n, 1), value, dtype)
            assert (Standardizer.fit(x)(x) == 0).all()


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer", "diabetes"])
def test_a_data_set_is_standardised_by_its_training_rows_alone(name):
    data = load(name)
    scaled = standardize(data)
    mean, spread = data.x_train.mean(axis=0, dtype=np.float64), data.x_train.std(axis=0, dtype=np.float64)
    varied = spread > 0
    np.testing.assert_allclose(scaled.x_train.mean(axis=0, dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.x_train.std(axis=0, dtype=np.float64), varied, atol=1e-6)
    expected = (data.x_test.astype(np.float64) - mean) / np.where(varied, spread, 1)
    np.testing.assert_allclose(scaled.x_test, expected, rtol=1e-5, atol=1e-6)
    assert scaled.x_train.dtype == scaled.x_test.dtype == np.float32

    other_test_rows = standardize(replace(data, x_test=data.x_test[:1] + 1000))
    np.testing.assert_array_equal(other_test_rows.x_train, scaled.x_train)
    assert scaled.y_train is data.y_train and scaled.name == name and data.x_train is not scaled.x_train


def test_float64_stays_and_everything_else_becomes_float32():
    x = np.array([[0, 1], [2, 5]])
    fitted = Standardizer.fit(x.astype(np.uint8))
    for dtype in (np.float64, np.float32, np.float16, np.uint8, int):
        z = fitted(x.astype(dtype))
        assert z.dtype == (np.float64 if dtype is np.float64 else np.float32)
        np.testing.assert_array_equal(z, [[-1, -1], [1, 1]])
    np.testing.assert_array_equal(fitted(x[0]), [-1, -1])


@pytest.mark.parametrize(("call", "words"), [
    (lambda: Standardizer.fit(np.ones(3)),
     "x must be of shape (examples, features), with one example at least, got (3,); give one feature as x[:, None]"),
    (lambda: Standardizer.fit(np.ones((0, 3))),
     "x must be of shape (examples, features), with one example at least, got (0, 3); give one feature as x[:, None]"),
    (lambda: Standardizer.fit([[1.0, 2.0], [np.nan, 2.0]]),
     "x must be finite, got 1 NaN or inf of 4 values, the first x[1][0] = nan; drop or impute those values first"),
    (lambda: Standardizer.fit(np.ones((2, 3)))(np.ones((2, 4))),
     "x must have 3 features, as in training, got an array of shape (2, 4)"),
])
def test_names_the_bad_argument(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == words


def test_seconds_since_1970_stay_apart():
    """2,000 seconds would be 17 numbers in float32; standardised in float64 first, all differ."""
    seconds = 1_700_000_000 + np.arange(2000.0)
    whole = Dataset("times", seconds[:1600, None], np.zeros(1600), seconds[1600:, None], np.zeros(400),
                    ("t",), dtype="float64")
    scaled = standardize(whole)
    assert scaled.x_train.dtype == scaled.x_test.dtype == np.float32
    assert len(np.unique(np.concatenate([scaled.x_train, scaled.x_test]))) == 2000
    np.testing.assert_array_equal(scaled.encode(seconds[:5, None]), scaled.x_train[:5])
