"""New rows are encoded as the training rows were: gaps are filled in alike, and strange categories as asked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.data.cells import Format
from functional_nn.data.encoder import Encoder, missing_in, numbers
from functional_nn.data.tables import parsed

KINDS = {"kind": ("elm", "oak")}
ENCODER = Encoder(("height", "kind"), KINDS)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.none() | st.integers(-5, 5), st.none() | st.sampled_from(["elm", "oak"])), min_size=1, max_size=12),
       st.sampled_from(["mean", "most-frequent"]))
def test_gaps_are_filled_by_the_training_rows(cells, how):
    rows = [{"height": 1, "kind": "oak"}, *({"height": height, "kind": kind} for height, kind in cells)]
    table = ENCODER.table(rows)
    x, _ = ENCODER.encoded(table)
    fitted = ENCODER.fitted(x, how)
    heights, kinds = ([row[name] for row in rows if row[name] is not None] for name in ("height", "kind"))
    if how == "mean":
        assert fitted.fill[0] == pytest.approx(np.mean(heights), rel=1e-15)
    else:
        assert heights.count(fitted.fill[0]) == max(map(heights.count, heights))
    likely = KINDS["kind"][fitted.fill[1:].index(1.0)]
    assert kinds.count(likely) == max(map(kinds.count, kinds)) and sum(fitted.fill[1:]) == 1
    found = fitted(rows)
    np.testing.assert_array_equal(found, fitted.filled(x))
    np.testing.assert_array_equal(found[~np.isnan(x)], x[~np.isnan(x)])
    assert np.isfinite(found).all()


def test_a_column_without_a_value_cannot_be_filled():
    with pytest.raises(ValueError, match=r"^column 'height' has no value in any training row, so that nothing can be filled in"):
        ENCODER.fitted(np.array([[np.nan, 0.0, 1.0]]), "mean")


ROWS = [{"height": 1, "kind": "oak"}, {"height": 2, "kind": "yew"}, {"height": None, "kind": "elm"}]


def test_strange_categories_and_gaps_are_skipped_or_ignored_as_asked():
    skipped = ENCODER(ROWS, "skip")
    assert skipped[0].tolist() == [1, 0, 1] and np.isnan(skipped[1:]).all()
    filled = Encoder(("height", "kind"), KINDS, fill=(9.0, 1.0, 0.0))
    assert filled(ROWS, "ignore").tolist() == [[1, 0, 1], [2, 0, 0], [9, 1, 0]]
    assert np.isnan(filled(ROWS, "skip")).any(axis=1).tolist() == [False, True, False]
    assert ENCODER(ROWS[:2], "ignore").tolist() == [[1, 0, 1], [2, 0, 0]]
    with pytest.raises(ValueError, match="must be one of the categories elm, oak, got 'yew'") as error:
        ENCODER(ROWS)
    assert "--unknown skip" in error.value.on_command_line
    with pytest.raises(ValueError, match=r"^rows: 1 of 1 rows miss a value, in column 'height'"):
        ENCODER(ROWS[2:], "ignore")
    with pytest.raises(ValueError, match="unknown value of unknown 'keep'"):
        ENCODER(ROWS, "keep")


def test_a_category_that_is_written_like_a_missing_value_is_there():
    encoder = Encoder(("country",), {"country": ("NA", "ZA")}, Format())
    assert encoder([{"country": "NA"}, {"country": "ZA"}]).tolist() == [[1, 0], [0, 1]]


def test_missing_values_are_counted_over_the_whole_file():
    table = parsed("t.csv", b"a,b,c\n1,?,5\n,x,6\n3,y,7\n,,8\n")
    assert missing_in(table, ["c"]) is None
    assert missing_in(table, ["a", "b", "c"]).said == (
        "t.csv: 3 of 4 rows miss a value, in the columns 'a' (2), 'b' (2); the first is row 1 (line 2), column 'b', written '?'")


def test_a_text_among_numbers_has_a_place():
    with pytest.raises(ValueError, match=r"^t\.csv, row 2 \(line 3\), column 'a' must be a number, got 'x'$"):
        numbers(parsed("t.csv", b"a,b\n1,2\nx,3\n"), "a", Format())
