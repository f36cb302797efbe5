"""A CSV file is read cell by cell as it was written, however it is separated, quoted and encoded."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.data import load
from functional_nn.data.cells import Format
from functional_nn.data.tables import parsed


def read_table(path, format=None):
    return parsed(path.name, path.read_bytes(), format)


def rows_of(table):
    return [list(row) for row in zip(*(column.cells for column in table.columns.values()), strict=True)]


cell = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8).map(str.strip)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.data(), st.sampled_from(",;\t|"), st.booleans(), st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_is_written_is_read(tmp_path_factory, data, delimiter, mark, ending):
    columns, rows = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 6))
    written = data.draw(st.lists(st.lists(cell, min_size=columns, max_size=columns), min_size=rows, max_size=rows))
    names = [f"column {j}" for j in range(columns)]
    path = tmp_path_factory.getbasetemp() / "round.csv"
    with path.open("w", newline="", encoding="utf-8-sig" if mark else "utf-8") as file:
        csv.writer(file, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows([names, *written])
    table = read_table(path)
    assert (list(table.names), rows_of(table), table.separator) == (names, written, delimiter)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.tuples(*[st.floats(-1e30, 1e30)] * 3), min_size=5, max_size=20))
def test_numbers_survive_a_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "numbers.csv"
    rows = [(*row, f"class {i % 2}") for i, row in enumerate(rows)]
    path.write_text("a,b,c,label\n" + "".join(f"{a!r},{b!r},{c!r},{label}\n" for a, b, c, label in rows))
    data = load(path, test_share=0.4)
    x, y = np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])
    found = sorted((*row, data.class_names[label]) for row, label in zip(x.tolist(), y, strict=True))
    assert found == sorted((*np.asarray(row[:3], data.dtype).tolist(), row[3]) for row in rows)


def test_empty_lines_are_passed_over_and_lines_are_counted(tmp_path):
    (tmp_path / "a.csv").write_text('\na,b\n\n1,"x\ny"\n  \n2,z\n\n')
    table = read_table(tmp_path / "a.csv")
    assert rows_of(table) == [["1", "x\ny"], ["2", "z"]] and table.lines == [4, 7]
    assert table.place(1, "b") == "a.csv, row 2 (line 7), column 'b'"


@pytest.mark.parametrize(("text", "delimiter"), [
    ("a,b\n1,2\n", ","), ("a;b\n1,5;2\n", ";"), ("a\tb, c\n1\t2\n", "\t"), ('"a, x";b\n1;2\n', ";"), ("a,b;c\n1,2\n", ","),
    ("when,what;who;whom\n1;2;3\n", ";"),
])
def test_the_separator_makes_rows_equally_long(text, delimiter, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    assert read_table(tmp_path / "a.csv").separator == delimiter


@pytest.mark.parametrize(("content", "words"), [
    (b"", "a.csv must hold a header and rows, got an empty file"),
    (b"\xef\xbb\xbf \n\n", "a.csv must hold a header and rows, got an empty file"),
    (b"a,b\n", "a.csv must hold rows below its header, got the header alone"),
    (b"a,b\n1,2\n3\n", "a.csv, line 3 must have 2 cells separated by commas, as the header has, got 1; quote a cell that holds "
                       "a separator"),
    (b"a;b\n1;2\n\n3;4;5\n", "a.csv, line 4 must have 2 cells separated by semicolons, as the header has, got 3; quote a cell "
                             "that holds a separator"),
    (b"a,b\n1,\xe9\n", "a.csv must be text in UTF-8, got the byte 0xe9 in line 2; save it as 'CSV UTF-8', or pass "
     "encoding='cp1252' if it is from an older program"),
    (b"\xff\xfea\0,\0b\0\n\0", "a.csv must hold rows below its header, got the header alone"),
    (b"a,b\n1,\0\n", "a.csv must be text in UTF-8, got a zero byte in line 2; save it as 'CSV UTF-8', or pass "
     "encoding='utf-16' if it is that"),
    (b'a,b\n1,"2\n3,4\n', "a.csv, line 2 cannot be read as CSV: unexpected end of data; close every quote, and double the "
                          "quotes inside a quoted cell"),
    (b'a,b\n1,"2" x\n', "a.csv, line 2 cannot be read as CSV: ',' expected after '\"'; close every quote, and double the "
                        "quotes inside a quoted cell"),
    (b"a\n1\n", "a.csv must have a header of two columns or more, separated by commas, semicolons, tabs or bars, got 'a'; pass "
     "separator=':' for another mark"),
    (b"a,b;c,d\n", "a.csv must hold rows below its header, got the header alone"),
    (b"a,b;c\n1,2;3\n", "a.csv must be separated in one way, got a header that commas and semicolons split alike; quote the "
                        "names that hold either, or pass separator=','"),
    (b",b\n1,2\n", "a.csv, line 1 must name every column, got no name in place 1; name it, or drop it if it only numbers the "
                   "rows (to_csv(index=False) in pandas)"),
    (b"a,b,a\n1,2,3\n", "a.csv, line 1 must name every column once, got 'a' in places 1 and 3; rename one"),
    (b"1,2.5\n3,4\n", "a.csv, line 1 must be a header of column names, got numbers only (1, 2.5); add a line of names on top, "
                     "or pass header=False for a file without names"),
    (b"a,b\n1," + b"x" * 200_000, "a.csv, line 2 cannot be read as CSV: field larger than field limit (131072); close every "
                                  "quote, and double the quotes inside a quoted cell"),
])
def test_names_the_line_at_fault(content, words, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_table(tmp_path / "a.csv")
    assert str(error.value) == words
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


HEADLESS = b"0.1,-0.2,setosa\n0.3,0.4,virginica\n"


@pytest.mark.parametrize(("content", "why"), [
    (HEADLESS, "2 of its 3 cells are numbers"),
    (b"1.0,1.0,x\n1,2,y\n", "2 of its 3 cells are numbers"),
    (b"p,x,s\np,x,t\ne,y,s\n", "3 of its 3 cells are values of their own columns")])
def test_a_first_line_that_looks_like_a_row_is_refused(content, why):
    with pytest.raises(ValueError, match=rf"must be a header of column names, got .*: {why}, so"):
        parsed("a.csv", content)


def test_a_file_without_a_header_keeps_its_first_row():
    table = parsed("a.csv", HEADLESS, Format(header=False))
    assert table.names == ("column 0", "column 1", "column 2")
    assert rows_of(table)[0] == ["0.1", "-0.2", "setosa"] and table.lines == [1, 2]


@pytest.mark.parametrize("content", [
    b"2019,2020,name\n1,2,a\n", b"a,b\n1,2\n", b"kind,b\noak,2\nkind,3\n"])
def test_a_header_may_be_taken_as_it_is(content):
    assert len(parsed("a.csv", content, Format(header=True))) == content.count(b"\n") - 1


def test_names_may_occur_among_the_values_of_some_columns():
    assert parsed("a.csv", b"kind,b,c\noak,2,3\nkind,3,4\n").names == ("kind", "b", "c")


@pytest.mark.parametrize(("content", "format", "names", "rows"), [
    ("é;b\n1;2\n".encode("latin-1"), Format(encoding="latin-1"), ("é", "b"), [["1", "2"]]),
    ("é;b\n1;2\n".encode("utf-16"), Format(), ("é", "b"), [["1", "2"]]),
    ("é;b\n1;2\n".encode("utf-16-le"), Format(encoding="utf-16-le"), ("é", "b"), [["1", "2"]]),
    (b"a|b\n1|2\n", Format(), ("a", "b"), [["1", "2"]]),
    (b"a:b\n1:2\n", Format(separator=":"), ("a", "b"), [["1", "2"]]),
    (b"  a   b\n 1.5    2 \n  3 4\n", Format(), ("a", "b"), [["1.5", "2"], ["3", "4"]]),
    (b"a,b,\n1,2,\n3,4,\n", Format(), ("a", "b"), [["1", "2"], ["3", "4"]])])
def test_other_encodings_and_separators_are_read(content, format, names, rows):
    table = parsed("a.csv", content, format)
    assert table.names == names and rows_of(table) == rows


def test_a_wide_header_takes_no_longer_a_name():
    """Each name is looked up once; 40,000 searches of a tuple would take minutes."""
    names = [f"column{i}" for i in range(20_000)]
    table = parsed("a.csv", (",".join(names) + "\n" + ",".join(["1.5"] * 20_000) + "\n").encode())
    assert table.names == tuple(names)


def test_the_place_of_a_row_is_that_in_the_file():
    table = parsed("a.csv", b"a,b\n1,2\n3,4\n5,6\n").take(np.array([2]))
    assert len(table) == 1 and table.place(0, "b") == "a.csv, row 3 (line 4), column 'b'"
