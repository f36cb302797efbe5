"""Columns with nothing to learn from are left out and said, and so is what looks like a mistake in the others."""

import pytest

from functional_nn.data import load


def notes_of(text, tmp_path, **options):
    (tmp_path / "t.csv").write_text(text)
    data = load(tmp_path / "t.csv", **options)
    return data.feature_names, [str(note) for note in data.notes]


NUMBERED = "id,day,name,gone,a,t\n" + "".join(
    f"{i},2024-01-{i % 28 + 1:02},person {i},,{i % 5},{int(i >= 30)}\n" for i in range(60))


def test_columns_with_nothing_to_learn_from_are_left_out_and_said(tmp_path):
    names, notes = notes_of(NUMBERED, tmp_path)
    assert names == ("a",)
    assert notes == [
        "column 'id' numbers the rows, and is left out; keep=['id'] keeps it",
        "column 'day' holds dates such as '2024-01-01', and is left out; keep=['day'] keeps it",
        "column 'name' holds 60 different texts in 60 rows, such as 'person 0', and is left out; keep=['name'] keeps it",
        "column 'gone' holds no value, and is left out; keep=['gone'] keeps it"]
    assert load(tmp_path / "t.csv").notes[0].on_command_line.endswith("--keep id keeps it")
    assert str(load(tmp_path / "t.csv")).count("\nnote: ") == 4


def test_they_are_kept_if_asked_for(tmp_path):
    names, notes = notes_of(NUMBERED, tmp_path, keep=["id", 1], ignore=["name", "gone"])
    assert names[0] == "id" and names[1] == "day=2024-01-01" and len(names) == 1 + 28 + 1 and notes == []


def test_a_column_that_counts_the_rows_stays_if_it_is_all_there_is(tmp_path):
    text = "x,y\n" + "".join(f"{i},{i * i / 7}\n" for i in range(30))
    assert notes_of(text, tmp_path) == (("x",), [])


@pytest.mark.parametrize("values", [range(1, 20), [*range(19), 20], [i / 2 for i in range(40)]])
def test_what_does_not_count_the_rows_stays(values, tmp_path):
    text = "x,a,y\n" + "".join(f"{x},{i % 3},{i * i / 7}\n" for i, x in enumerate(values))
    assert notes_of(text, tmp_path) == (("x", "a"), [])


def test_many_and_nearly_equal_categories_are_said(tmp_path):
    text = "name,b,t\n" + "".join(f"kind {i % 40},{'Yes' if i % 3 else 'yes '},{['no', 'No'][i % 2]}\n" for i in range(200))
    _, notes = notes_of(text, tmp_path)
    assert notes == [
        "column 'name' became 40 features, one for each text; ignore=['name'] leaves it out",
        "'Yes' and 'yes' of column 'b' are different categories; write them alike if they mean the same",
        "'No' and 'no' of column 't' are different classes; write them alike if they mean the same"]
