"""Numbers are finite float32 or refused by their place; a target is classes or numbers by a rule that says itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.data.values import as_float64, as_target, narrowed


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.sampled_from("abcdé"), min_size=2, max_size=30).filter(lambda names: len(set(names)) > 1))
def test_classes_of_text_can_be_undone(names):
    target = as_target("y", np.array(names), None)
    assert [target.class_names[label] for label in target.y] == names and target.y.dtype == np.int32
    assert list(target.class_names) == sorted(set(names))


@pytest.mark.parametrize(("values", "task", "names", "decided"), [
    ([3, 5, 3, 5], None, ("3", "5"), "classes, as 'y' is whole numbers of 2 kinds"),
    ([3.0, -5.0, 3.0, -5.0], None, ("-5", "3"), "classes, as 'y' is whole numbers of 2 kinds"),
    ([True, False], None, ("False", "True"), "classes, as 'y' is text"),
    ([1, 2, 3], None, (), "a regression, as 'y' is many whole numbers"),
    (list(range(21)) * 9, None, (), "a regression, as 'y' is many whole numbers"),
    (list(range(20)) * 2, None, tuple(map(str, range(20))), "classes, as 'y' is whole numbers of 20 kinds"),
    ([0.5, 1.5] * 9, None, (), "a regression, as 'y' is fractional numbers"),
    ([0.5, 1.5] * 9, "classification", ("0.5", "1.5"), "classes, as asked"),
    ([1, 2] * 9, "regression", (), "a regression, as asked"),
    ([2**60, 2**60 + 1] * 2, None, (str(2**60), str(2**60 + 1)), "classes, as 'y' is whole numbers of 2 kinds"),
])
def test_the_kind_of_target_is_decided_and_said(values, task, names, decided):
    target = as_target("y", np.array(values), task)
    assert (target.class_names, target.decided) == (names, decided)
    assert target.y.dtype == (np.int32 if names else np.float32)
    shown = [names[label] for label in target.y] if names else target.y.tolist()
    assert shown == ([str(value) if isinstance(value, bool) else f"{value:.15g}" if isinstance(value, float) else str(value)
                      for value in values] if names else values)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: as_float64("X", np.array([[1, np.inf]])), "X[0][1] is inf, one of 1 values that are NaN, infinite or too large "
     "for float32; drop or mend those rows first"),
    (lambda: as_float64("X", np.array([1, 1e39, np.nan])), "X[1] is 1e+39, one of 2 values that are NaN, infinite or too large "
     "for float32; drop or mend those rows first"),
    (lambda: as_target("y", np.array([1.0, np.nan]), None), "y[1] is nan, one of 1 values that are NaN, infinite or too large "
     "for float32; drop or mend those rows first"),
    (lambda: as_target("y", np.array(["a", "a"]), None), "the target 'y' must differ between examples, got 'a' in all 2; name "
     "another target"),
    (lambda: as_target("y", np.array(["a", "b"]), "regression"), "task='regression' needs a target of numbers, got 'y' of text "
     "such as 'a'; name another target, or leave it out"),
    (lambda: as_target("y", np.array([1e17, 2e17] * 2), None), "classes must be numbers up to 2⁵³, where whole numbers are "
     "exact, got 'y' with 2e+17; write the classes as text"),
])
def test_names_what_is_wrong(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == words


@pytest.mark.parametrize(("values", "dtype"), [
    (np.linspace(-3, 3, 50), np.float32), (1.7e9 + np.arange(50.0), np.float64),
    (np.full(50, 1.7e9 + 1), np.float32), (1e9 * np.arange(50.0) + 0.5, np.float32),
    (np.column_stack([np.arange(50.0), 2e7 + np.arange(50.0) / 8]), np.float64),
    (np.zeros((0, 3)), np.float32)])
def test_values_stay_float64_only_where_rounding_would_do_harm(values, dtype):
    kept = narrowed(values)
    assert kept.dtype == dtype
    if len(values):
        moved = np.abs(kept.astype(float) - values).max(axis=0)
        assert (moved <= 1e-4 * values.std(axis=0) + (values.std(axis=0) == 0) * 64).all()
