"""Predictions against true values: every row, the diagonal, and the errors with their sign."""

import numpy as np
import pytest

from functional_nn import plots
from tests.plots.readable import assert_readable

TRUE = np.linspace(-3, 5, 40)
PICTURES = {
    "few": lambda: plots.predictions([1.0, 2.0], [1.5, 1.0]),
    "all equal": lambda: plots.predictions(np.ones(5), np.ones(5)),
    "large numbers": lambda: plots.predictions(
        1.7e9 + TRUE, 1.7e9 + TRUE[::-1], "seconds since the start of 1970 in Greenwich"),
    "tiny numbers": lambda: plots.predictions(1e-9 * TRUE, 2e-9 * TRUE, "a"),
    "many": lambda: plots.predictions(np.arange(20_000.0), np.arange(20_000.0)[::-1]),
}


@pytest.mark.parametrize("name", PICTURES)
def test_all_words_can_be_read_and_no_global_state_is_touched(name):
    assert_readable(PICTURES[name])


def test_a_row_is_a_point_and_an_error_is_predicted_minus_true():
    left, right = plots.predictions(TRUE, TRUE + 2, "height").axes
    np.testing.assert_allclose(left.collections[0].get_offsets(), np.stack([TRUE, TRUE + 2], 1))
    assert (left.get_xlabel(), left.get_ylabel()) == ("true height", "predicted height")
    assert left.get_title() == "40 rows: rmse 2" and "from 2 to 2, median 2" in right.get_title()


def test_what_is_not_finite_is_left_out():
    left = plots.predictions([1.0, 2.0, 3.0], [1.0, np.nan, np.inf]).axes[0]
    assert len(left.collections[0].get_offsets()) == 1


@pytest.mark.parametrize(("true", "predicted", "words"), [
    ([1.0], [1.0, 2.0], "of one shape"), ([[1.0]], [[1.0]], "of one shape"),
    ([1.0], [np.nan], "a pair of finite values, got none"), ([], [], "got none")])
def test_names_the_mistake(true, predicted, words):
    with pytest.raises(ValueError, match=words):
        plots.predictions(true, predicted)
