"""Rows in every shape that people have them in give one and the same table."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from functional_nn.data import load
from functional_nn.data.cells import Format
from functional_nn.data.encoder import Encoder
from functional_nn.data.rows import as_table, has_named_columns, is_frame, of_frame

pandas = pytest.importorskip("pandas")
TEXT = "height,kind,seen\n3.5,oak,True\n9,elm,False\n,oak,True\n"
ROWS = [{"height": 3.5, "kind": "oak", "seen": True}, {"height": 9, "kind": "elm", "seen": False},
        {"height": None, "kind": "oak", "seen": True}]
ENCODER = Encoder(("height", "kind", "seen"), {"kind": ("elm", "oak"), "seen": ("False", "True")}, fill=(5.0, 1, 0, 0, 1))
EXPECTED = [[3.5, 0, 1, 0, 1], [9, 1, 0, 1, 0], [5, 0, 1, 0, 1]]


def shapes(folder):
    frame = pandas.DataFrame(ROWS)
    (folder / "a.csv").write_text(TEXT)
    (folder / "b.CSV.GZ").write_bytes(gzip.compress(TEXT.encode()))
    (folder / "c.tsv").write_text(TEXT.replace(",", "\t"))
    (folder / "d.data").write_text(TEXT.replace(",", "|"))
    yield from (folder / "a.csv", str(folder / "b.CSV.GZ"), folder / "c.tsv", folder / "d.data", ROWS, frame,
                frame.convert_dtypes(), frame.astype({"kind": "category"}), frame[["seen", "kind", "height"]])
    for ending, write in (("parquet", frame.to_parquet), ("feather", frame.to_feather), ("xlsx", None)):
        path = folder / f"e.{ending}"
        if write is None:
            pytest.importorskip("openpyxl")
            frame.to_excel(path, index=False)
        else:
            pytest.importorskip("pyarrow")
            write(path)
        yield path


def test_every_shape_gives_the_same_features(tmp_path):
    for i, rows in enumerate(shapes(tmp_path)):
        assert has_named_columns(rows)
        np.testing.assert_array_equal(ENCODER(rows), EXPECTED, err_msg=f"shape {i}: {str(rows)[:80]}")


def test_numbers_are_those_of_the_categories_they_are_written_as():
    """A column of whole numbers with a gap is floats in pandas: 1.0 is the category 1."""
    frame = pandas.DataFrame({"code": [1, 2, None]})
    encoder = Encoder(("code",), {"code": ("1", "2")}, fill=(1.0, 0.0))
    assert encoder(frame).tolist() == [[1, 0], [0, 1], [1, 0]]


def test_decimal_commas_of_files_are_not_for_numbers_of_python(tmp_path):
    form = Format(decimal=",", thousands=".")
    (tmp_path / "a.csv").write_text("a;b\n1.234,5;2\n0,25;3\n")
    encoder = Encoder(("a",), {}, form)
    assert encoder(tmp_path / "a.csv").tolist() == [[1234.5], [0.25]]
    assert encoder([{"a": 1234.5}, {"a": "0,25"}]).tolist() == [[1234.5], [0.25]]


@pytest.mark.parametrize(("rows", "kind", "words"), [
    (3, TypeError, "rows must be the path of a file, a DataFrame, or a list of mappings"),
    ("no/such/file.csv", FileNotFoundError, "there is no file"),
    (pandas.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "rows must name every column once, got a, a; rename one"),
    (pandas.DataFrame({"a": []}), ValueError, "rows must hold columns and rows, got 1 columns and 0 rows")])
def test_what_are_no_rows_is_said(rows, kind, words):
    with pytest.raises(kind, match="^" + words):
        as_table(rows, Format())


@pytest.mark.parametrize("name", ["a.parquet", "a.feather", "a.xlsx"])
def test_a_damaged_file_and_a_missing_reader_are_said(name, tmp_path, monkeypatch):
    (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(ValueError, match=rf"^{name} must be a \.\w+ file that pandas can read, got \w+ on reading it"):
        load(tmp_path / name)
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(ModuleNotFoundError, match=r"needs pandas to be read; install it with: pip install 'functional_nn\[tables\]'"):
        load(tmp_path / name)


def test_what_is_a_frame():
    assert is_frame(pandas.DataFrame()) and not is_frame(np.eye(2)) and not is_frame({"a": 1})
    assert not has_named_columns(np.eye(2)) and has_named_columns(Path("a.csv")) and not has_named_columns([])


def test_columns_without_text_names_are_known_by_their_text():
    table = of_frame("rows", pandas.DataFrame(np.eye(2)), Format())
    assert table.names == ("0", "1")
