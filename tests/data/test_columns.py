"""Numbers stay, categories become one-hot, new rows go the same way, and what cannot be mapped is named by row and column."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.data import load, standardize
from functional_nn.data.cells import Format
from functional_nn.data.columns import examples_of
from functional_nn.data.encoder import Encoder
from functional_nn.data.rows import as_table

TREES = "height,kind,leaves,old\n" + "3.5,oak,10,yes\n9,elm,20,no\n4,ash,30,no\n" * 5


def read_csv(path, format=None, **options):
    format = format or Format()
    return examples_of(as_table(path, format, None, least=2), format, **options)


@pytest.fixture
def trees(tmp_path):
    (tmp_path / "trees.csv").write_text(TREES)
    return tmp_path / "trees.csv"


def test_columns_become_features(trees):
    examples = read_csv(trees)
    assert examples.feature_names == ("height", "kind=ash", "kind=elm", "kind=oak", "leaves")
    assert examples.x[:3].tolist() == [[3.5, 0, 0, 1, 10], [9, 0, 1, 0, 20], [4, 1, 0, 0, 30]]
    assert examples.y[:3].tolist() == [1, 0, 0] and examples.class_names == ("no", "yes")


@pytest.mark.parametrize("target", ["leaves", 2, -2])
def test_the_target_is_any_column(trees, target):
    examples = read_csv(trees, target=target)
    assert examples.feature_names == ("height", "kind=ash", "kind=elm", "kind=oak", "old=no", "old=yes")
    assert examples.decided == "classes, as 'leaves' is whole numbers of 3 kinds" and examples.class_names == ("10", "20", "30")
    regression = load(trees, target=target, task="regression")
    assert regression.class_names == () and set(regression.y_train.tolist()) <= {10.0, 20.0, 30.0}


def test_columns_are_declared_and_left_out(trees):
    examples = read_csv(trees, categories=["leaves"], ignore=["height", 1])
    assert examples.feature_names == ("leaves=10", "leaves=20", "leaves=30")


@pytest.mark.parametrize("scaled", [False, True])
def test_new_rows_go_the_way_of_the_first(trees, scaled):
    data = load(trees)
    data = standardize(data) if scaled else data
    whole = data.encode(trees)
    rows = [dict(zip(("height", "kind", "leaves"), line.split(","), strict=False)) for line in TREES.splitlines()[1:]]
    np.testing.assert_array_equal(data.encode(rows), whole)
    mixed = [{"leaves": np.int64(20), "kind": " elm", "height": 9.0, "more": None}]
    np.testing.assert_array_equal(data.encode(mixed)[0], whole[1])
    known = {tuple(row) for row in whole.tolist()}
    assert {tuple(row) for row in np.concatenate([data.x_train, data.x_test]).tolist()} == known


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["elm", "oak", "ash", "yew"]), min_size=1, max_size=20))
def test_one_hot_can_be_undone(cells):
    kinds = tuple(sorted(set(cells)))
    x = Encoder(("kind",), {"kind": kinds})([{"kind": cell} for cell in cells])
    assert (x.sum(axis=1) == 1).all() and [kinds[i] for i in x.argmax(axis=1)] == cells


def rows(*cells, header="a,b,y"):
    return header + "\n" + "".join(f"{cell}\n" for cell in cells)


GOOD = ["1,u,0", "2,v,1"] * 5
WHERE = "t.csv, row 11 (line 12), column"


def miss(name, written):
    ways = [f"missing='drop' to leave such rows out{' (' * (name != 'y')}"
            + ("'mean' or 'most-frequent' fill them in)" if name != "y" else "")]
    ways += [f"ignore=[{name!r}] to leave a column out"] * (name != "y")
    ways += ["missing_values=[''] where that text is a value"] * bool(written)
    said = f", written {written!r}" if written else ""
    return f"t.csv: 1 of 11 rows miss a value, in column {name!r}; the first is row 11 (line 12){said}; pass {', or '.join(ways)}"


@pytest.mark.parametrize(("text", "options", "words"), [
    *[(rows(*GOOD, f"{missing},u,0"), {}, miss("a", missing))
      for missing in ("", "NA", "nan", "NaN", "?", "n/a", "null", "None", "-", "<NA>")],
    (rows(*GOOD, "1,?,0"), {}, miss("b", "?")),
    (rows(*GOOD, "1,u,"), {}, miss("y", "")),
    (rows(*GOOD, "1O,u,0"), {}, f"{WHERE} 'a' must be a number, got '1O', where 10 of 11 cells are numbers; mend it, "
     "name it as missing, or pass categories=['a']"),
    (rows(*GOOD, "1_0,u,0"), {}, f"{WHERE} 'a' must be a number, got '1_0', where 10 of 11 cells are numbers; mend it, "
     "name it as missing, or pass categories=['a']"),
    (rows(*GOOD, "inf,u,0"), {}, f"{WHERE} 'a' must be a number, got 'inf', where 10 of 11 cells are numbers; mend it, "
     "name it as missing, or pass categories=['a']"),
    (rows(*GOOD, "1e39,u,0"), {}, f"{WHERE} 'a' is 1e+39, one of 1 values that are NaN, infinite or too large for float32; "
     "drop or mend those rows first"),
    (rows(*GOOD, "1,u,1e999"), {}, f"{WHERE} 'y' is inf, one of 1 values that are NaN, infinite or too large for float32; drop "
     "or mend those rows first"),
    (rows("3,5;u;0", "4,5;v;1", header="a;b;y"), {}, "t.csv, row 1 (line 2), column 'a' must be a number, got '3,5'; it "
     "seems to mean 3.5, so pass decimal=','"),
    (rows("126,730;u;0", "4,555;v;1", header="a;b;y"), {}, "t.csv, row 1 (line 2), column 'a' must be a number, got '126,730'; "
     "if it means 126730, pass thousands=','; if it means 126.730, pass decimal=','"),
    (rows("1,126,730;u;0", "555;v;1", header="a;b;y"), {}, "t.csv, row 1 (line 2), column 'a' must be a number, got "
     "'1,126,730'; it seems to mean 1126730, so pass thousands=','"),
    (rows("1.126.730,5;u;0", "5.555;v;1", header="a;b;y"), {}, "t.csv, row 1 (line 2), column 'a' must be a number, got "
     "'1.126.730,5'; it seems to mean 1126730.5, so pass thousands='.' and decimal=','"),
    (rows(*[f"name {i},{i % 2}" for i in range(30)], header="b,y"), {}, "t.csv must keep a feature, got 'b', which holds 30 "
     "different texts in 30 rows, such as 'name 0'; pass keep=['b'] to take one as it is"),
    (rows(*GOOD), {"target": "z"}, "target must be one of the 3 columns of t.csv, got 'z'; there are: a, b, y"),
    (rows(*GOOD), {"target": 3}, "target must be one of the 3 columns of t.csv, got 3; there are: a, b, y"),
    (rows(*GOOD), {"ignore": ["z"]}, "ignore must be one of the 3 columns of t.csv, got 'z'; there are: a, b, y"),
    (rows(*GOOD), {"ignore": ["a", "b"]}, "t.csv must keep its target and one other column at least, got ignore=['a', 'b'] "
     "with the target 'y'"),
    (rows(*GOOD), {"ignore": ["y"]}, "t.csv must keep its target and one other column at least, got ignore=['y'] with the "
     "target 'y'"),
    (rows(*GOOD), {"target": "b", "task": "regression"}, "task='regression' needs a target of numbers, got 'b' of text such as "
     "'u'; name another target, or leave it out"),
    (rows(*GOOD), {"task": "clustering"}, "task must be 'classification', 'regression' or None, which looks at the target, got "
     "'clustering'"),
    (rows("1,u,7", "2,v,7"), {}, "the target 'y' must differ between examples, got 7.0 in all 2; name another target"),
    (rows(*GOOD, "1,u,w"), {"target": "a"}, None),
    (rows("1,u,p", "2,v,q", "3,v,q"), {}, "t.csv must hold two examples of every class, one to train and one to test, got a "
     "single one of 'p'; drop it, merge it with another class, or pass task='regression' for numbers"),
])
def test_names_the_row_and_the_column(text, options, words, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError) as error:
        load("t.csv", tmp_path, **options)
    assert words is None or str(error.value) == words
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(("options", "words"), [
    ({"target": True}, "target must be the name or the index of a column, got True"),
    ({"target": 1.0}, "target must be the name or the index of a column, got 1.0"),
    ({"ignore": "a"}, "ignore must be a list of columns, got 'a'; write ['a']"),
    ({"categories": 1}, "categories must be a list of columns, got 1; write [1]"),
])
def test_a_column_is_a_name_or_an_index(options, words, tmp_path):
    (tmp_path / "t.csv").write_text(rows(*GOOD))
    with pytest.raises(TypeError) as error:
        load(tmp_path / "t.csv", **options)
    assert str(error.value) == words


@pytest.mark.parametrize(("new", "kind", "words"), [
    ([{"height": 1, "kind": "oak", "leaves": 1}, {"height": 1, "kind": "fir", "leaves": 1}], ValueError,
     "rows, row 2, column 'kind' must be one of the categories ash, elm, oak, got 'fir'; there was none in training, so mend "
     "it, or pass unknown='skip' to answer the other rows"),
    *[([{"height": nothing, "kind": "oak", "leaves": 1}], ValueError,
       "rows: 1 of 1 rows miss a value, in column 'height'; the first is row 1; fill them in, "
       "or pass unknown='skip' to answer the other rows") for nothing in (None, float("nan"), "")],
    ([{"height": "tall", "kind": "oak", "leaves": 1}], ValueError, "rows, row 1, column 'height' must be a number, got 'tall'"),
    ([{"height": 1, "kind": "oak"}], ValueError, "rows, row 1 must have a value for every column, got none for 'leaves'"),
    ([], TypeError, "rows must be the path of a file, a DataFrame, or a list of mappings from column to value, with one at "
     "least, got []"),
    (np.ones((2, 5)), TypeError, None),
    ({"height": 1}, TypeError, None),
])
def test_new_rows_that_cannot_be_mapped_are_named(new, kind, words, trees):
    with pytest.raises(kind) as error:
        load(trees).encode(new)
    assert "rows must be the path" in str(error.value) if words is None else str(error.value) == words


def test_a_new_file_must_have_the_columns(trees, tmp_path):
    (tmp_path / "new.csv").write_text("height,leaves\n1,2\n")
    with pytest.raises(ValueError, match=r"^new.csv must have the columns of the training file, got none called 'kind'; there are: height, leaves$"):
        load(trees).encode(tmp_path / "new.csv")


def test_a_header_that_was_taken_as_it_is_is_taken_so_in_new_files(tmp_path):
    """Years as names look like a row, but the names are known when new rows come."""
    text = "2019,2020,kind\n" + "1,2,oak\n3,5,elm\n" * 10
    (tmp_path / "years.csv").write_text(text)
    with pytest.raises(ValueError, match="2 of its 3 cells are numbers"):
        load(tmp_path / "years.csv")
    years = load(tmp_path / "years.csv", header=True)
    (tmp_path / "new.csv").write_text("2020,2019\n2,1\n")
    assert years.encode(tmp_path / "new.csv").tolist() == [[1.0, 2.0]]


GAPS = "a,b,t\n" + "1,u,0\n2,v,1\n,u,1\n4,,0\n5,v,\n6,v,1\n" * 5


def test_rows_with_missing_values_are_dropped_if_asked(tmp_path):
    (tmp_path / "t.csv").write_text(GAPS)
    data = load(tmp_path / "t.csv", missing="drop")
    assert sorted(np.concatenate([data.x_train, data.x_test])[:, 0].tolist()) == sorted([1.0, 2.0, 6.0] * 5)
    assert [str(note) for note in data.notes] == [
        "t.csv: 15 of 30 rows miss a value, in the columns 'a' (5), 'b' (5), 't' (5); the first is row 3 (line 4), column 'a'; "
        "15 rows are left out"]
    with pytest.raises(ValueError, match="rows: 1 of 1 rows miss a value"):
        data.encode([{"a": None, "b": "u"}])


@pytest.mark.parametrize("how", ["mean", "most-frequent"])
def test_missing_values_are_filled_in_by_the_training_rows_alone(how, tmp_path):
    (tmp_path / "t.csv").write_text(GAPS)
    data = load(tmp_path / "t.csv", missing=how)
    known = data.x_train[~data.gaps[0][:, 0], 0]
    fill = known.mean() if how == "mean" else min(known.tolist(), key=lambda value: (-known.tolist().count(value), value))
    for x, gap in zip((data.x_train, data.x_test), data.gaps, strict=True):
        np.testing.assert_allclose(x[gap[:, 0], 0], fill, rtol=1e-6)
        assert np.isfinite(x).all()
    np.testing.assert_allclose(data.encode([{"a": None, "b": "u"}])[0, 0], fill, rtol=1e-6)
    assert len(data.x_train) + len(data.x_test) == 25  # those without a target are left out
    assert data.notes[0].endswith(f"; 5 rows are left out; the others are filled in by {how}")


def test_the_texts_that_are_missing_are_the_users(tmp_path):
    text = "country,b,t\n" + "NA,1,None\nZA,2,mild\n" * 6
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=r"or missing_values=\[''\] where that text is a value$"):
        load(tmp_path / "t.csv")
    data = load(tmp_path / "t.csv", missing_values=[""])
    assert data.feature_names[0] == "country=NA" and data.class_names == ("None", "mild")
    declared = load(tmp_path / "t.csv", categories=["country", "t"])
    assert declared.feature_names == data.feature_names and declared.class_names == data.class_names
    np.testing.assert_array_equal(declared.encode(tmp_path / "t.csv"), data.encode(tmp_path / "t.csv"))


def test_a_category_of_dropped_rows_alone_is_no_feature(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,t\n" + "1,u,0\n2,v,1\n" * 5 + ",w,1\n")
    assert load(tmp_path / "t.csv", missing="drop").feature_names == ("a", "b=u", "b=v")
