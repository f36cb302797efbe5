"""A file that pyarrow reads gives the table that our own reader gives, or is left to it."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.data import arrow, rows, tables
from functional_nn.data.cells import Format
from functional_nn.data.encoder import Encoder

pytest.importorskip("pyarrow")
CELLS = ["1", "2.5", "-3e-7", "+4", " 5 ", "007", "", "NA", "nan", "-", "inf", "1e999", "1_0", "0x1", "1,5", "1.000,5", "x", "a \"b\"",
         "two\nlines", "Größe", "True", "2024-01-05", "123456789012345678901234567890", ".5", "1."]
POOLS = [CELLS, ["1", "2.5", "-3e-7", "0.1", "1e22"], ["1", "", "NA", "-"], ["oak", "elm", ""]]


def alike(file, data, form=None, text=()):
    form = form or Format()
    found = arrow.parsed(file, data, form, 1, text)
    try:
        wanted = tables.parsed(file, data, form, 1)
    except ValueError:
        assert found is None
        return False
    if found is None:
        return False
    assert found.names == wanted.names and found.separator == wanted.separator
    for name in found.names:
        ours, theirs = found.columns[name], wanted.columns[name]
        np.testing.assert_array_equal(ours.missing, theirs.missing)
        assert (ours.numbers is None) == (theirs.numbers is None)
        if ours.numbers is None or name in text:
            assert list(ours.cells) == list(theirs.cells)
        if ours.numbers is not None:
            np.testing.assert_array_equal(ours.numbers, theirs.numbers)
    return True


@settings(derandomize=True, deadline=None, max_examples=120)
@given(st.data(), st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n"]), st.booleans(),
       st.sampled_from([Format(), Format(decimal=",", thousands="."), Format(missing=("x", "1")), Format(header=False)]))
def test_both_readers_agree(data, separator, ending, mark, form):
    n, pools = data.draw(st.integers(1, 6)), data.draw(st.lists(st.sampled_from(POOLS), min_size=2, max_size=4))
    columns = [data.draw(st.lists(st.sampled_from(pool), min_size=n, max_size=n)) for pool in pools]
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator, lineterminator=ending).writerows(
        [[f"n{j}" for j in range(len(pools))], *zip(*columns, strict=True)])
    alike("a.csv", file.getvalue().encode("utf-8-sig" if mark else "utf-8"), form, ("n0",))


def test_most_files_are_read_by_it():
    text = "a;b;\n" + "1;oak;\n2.5;elm;\n\n" * 50
    assert alike("a.csv", text.encode()) and alike("a.csv", b"\xef\xbb\xbf" + text.encode())
    assert alike("a.csv", b"a\n1\n2\n") and alike("a.csv", b'a,b\n1,"two\nlines"\n')


@pytest.mark.parametrize("data", [
    b"a,b\n1,2\n3\n", b"a,b\n1,2,3\n", b"a,b\n", b"", b"a,b\n1,\xe9\n", b"a,b\n1,\0\n", b"a,a\n1,2\n", b"1,2\n3,4\n", b"a b\n1 2\n"])
def test_what_needs_a_sentence_is_left_to_the_other(data):
    assert arrow.parsed("a.csv", data, Format(), 2, ()) is None


def test_a_large_file_is_read_alike(tmp_path, monkeypatch):
    text = "height,kind,old\n" + "".join(f"{i / 7},{'oak' if i % 3 else 'elm'},{i % 2}\n" for i in range(3000))
    (tmp_path / "a.csv").write_text(text)
    encoder = Encoder(("height", "kind"), {"kind": ("elm", "oak")})
    small = encoder(tmp_path / "a.csv")
    monkeypatch.setattr(rows, "LARGE", 0)
    calls, real = [], arrow.parsed
    monkeypatch.setattr(arrow, "parsed", lambda *given: calls.append(given) or real(*given))
    np.testing.assert_array_equal(encoder(tmp_path / "a.csv"), small)
    assert len(calls) == 1
