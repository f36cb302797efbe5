"""A cell means what its file's way of writing says; a column is numbers only if every cell is one or missing."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.data.cells import (
    MISSING,
    PLACEHOLDERS,
    Format,
    column,
    looks_numeric,
    number_wanted,
    of_numbers,
    of_values,
    text_of,
)

numbers = st.floats(allow_nan=False, allow_infinity=False)


def written(value, form):
    """A number as `form` writes it, with its thousands apart."""
    digits, _, fraction = f"{value:.6f}".partition(".")
    sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
    groups = [digits[max(0, i - 3):i] for i in range(len(digits), 0, -3)][::-1]
    return sign + form.thousands.join(groups) + form.decimal + fraction


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=8),
       st.sampled_from([p for p in itertools.permutations(".,'_", 2)] + [(".", ""), (",", "")]))
def test_a_number_is_read_as_it_was_written(values, marks):
    form = Format(decimal=marks[0], thousands=marks[1])
    found = column([written(value, form) for value in values], form)
    assert found.numbers.tolist() == [float(f"{value:.6f}") for value in values]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(numbers | st.none(), min_size=1, max_size=8))
def test_a_number_of_python_is_itself(values):
    values = [0.5, *values]
    expected = [np.nan if value is None else value for value in values]
    np.testing.assert_array_equal(of_values(values, Format()).numbers, expected)
    commas = of_values(values, Format(decimal=","))  # a number is no text: the mark of files is not for it
    np.testing.assert_array_equal(commas.numbers, expected)
    np.testing.assert_array_equal(of_numbers(np.array(expected)).numbers, expected)


@pytest.mark.parametrize("text", [*MISSING, *PLACEHOLDERS])
def test_what_is_missing_is_missing_in_any_case(text):
    for cell in (text, text.upper(), text.lower()):
        found = column(["1.5", cell], Format())
        assert found.missing.tolist() == [False, True] and np.isnan(found.numbers[1])
        assert column(["oak", cell], Format()).missing.tolist() == [False, text in MISSING]


def test_the_texts_that_are_missing_can_be_set():
    form = Format(missing=("-999", "gone"))
    assert column(["1", "-999", "GONE"], form).missing.tolist() == [False, True, True]
    assert column(["ZA", "NA", ""], form).missing.tolist() == [False, False, False]


@pytest.mark.parametrize("cells", [["1", "x"], ["1", "1_0"], ["1", "0x1"], ["1", "inf"], ["1", "1,5"], ["1", "١"], ["", ""]])
def test_one_text_makes_a_column_of_text(cells):
    assert column(cells, Format()).numbers is None


@pytest.mark.parametrize("cell", ["12,34", "1,2345", "1,23", ",5", "1,,000"])
def test_groups_of_thousands_have_three_digits(cell):
    assert column([cell], Format(thousands=",")).numbers is None


def test_declared_categories_keep_their_texts():
    found = column(["007", "NA", ""], Format()).as_categories(Format())
    assert found.cells == ["007", "NA", ""] and found.missing.tolist() == [False, False, True]
    assert found.numbers is None
    named = column(["007", "NA", ""], Format()).as_categories(Format(missing=("NA",)))
    assert named.missing.tolist() == [False, True, False]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(numbers)
def test_the_text_of_a_number_means_it(value):
    assert float(text_of(value)) == value and float(text_of(np.float64(value))) == value


@pytest.mark.parametrize(("cells", "words"), [
    (["126,730", "641,422"], "if it means 126730, pass thousands=','; if it means 126.730, pass decimal=','"),
    (["1,305,000", "2"], "it seems to mean 1305000, so pass thousands=','"),
    (["0,126", "1,304"], "it seems to mean 0.126, so pass decimal=','"),
    (["1.305.000", "2,5"], "it seems to mean 1305000, so pass thousands='.' and decimal=','"),
    (["1", "2", "3O"], "got '3O', where 2 of 3 cells are numbers; mend it, name it as missing, or pass categories=['c']")])
def test_the_advice_is_what_the_commas_can_mean(cells, words):
    given = column(cells, Format())
    assert looks_numeric(given, Format())
    error = number_wanted(lambda row: f"row {row}", "c", given, Format())
    assert str(error).endswith(words)
    options = {word[:9] for word in ("thousands", "decimal", "categories") if f"{word}=" in words}
    assert all(f"--{option}" in error.on_command_line for option in options)


@pytest.mark.parametrize("cells", [["oak", "elm, old", "1"], ["a", "b"], ["", ""]])
def test_text_does_not_look_numeric(cells):
    assert not looks_numeric(column(cells, Format()), Format())


@pytest.mark.parametrize(("options", "words"), [
    ({"decimal": ",", "thousands": ","}, "decimal and thousands must be two different marks such as ',' and '.', got ',' and ','"),
    ({"decimal": "ab"}, "decimal must be one character, got 'ab'"),
    ({"separator": ""}, "separator must be one character, got ''"),
    ({"thousands": "1"}, "decimal and thousands must be two different marks such as ',' and '.', got '.' and '1'"),
    ({"encoding": "klingon"}, "encoding must be one that Python knows, such as 'latin-1' or 'utf-16', got 'klingon'")])
def test_a_format_that_means_nothing_is_refused(options, words):
    with pytest.raises(ValueError) as error:
        Format(**options)
    assert str(error.value) == words
