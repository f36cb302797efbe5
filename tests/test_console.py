"""Tables: every cell is there, columns line up, and text is never taken for markup."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn import console
from functional_nn.console import table

cells = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=6)))
def test_every_cell_stands_in_its_column(rows):
    lines = table(rows, numbers=[0]).splitlines()
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        first, *others = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        assert line == "  ".join([first.strip().rjust(widths[0]), *others]).rstrip()


@pytest.mark.parametrize("text", ["[red]x[/red]", "[bold", ":smile:", "a" * 500])
def test_text_is_text_and_long_cells_are_not_cut(text):
    assert text in table([("a", "b"), (text, "1")])


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.text())
def test_what_is_printed_is_printable(text):
    out = io.StringIO()
    console.print(text, 1, end="", file=out)
    assert all(c.isprintable() or c == "\n" for c in out.getvalue())
    assert out.getvalue() == f"{text} 1" or not text.isprintable()
    assert all(line.isprintable() for line in table([("name",), (text,)]).splitlines())
