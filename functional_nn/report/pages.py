"""Self-contained HTML pages: text, tables and figures in one file that loads nothing else."""

import base64
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from functional_nn.plots import png
from functional_nn.report.curves import Panel, drawing
from functional_nn.webpage import document, source
from functional_nn.writing import file_beside, printable

try:
    import jinja2
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "reports need jinja2; install it with: pip install -e '.[plots]'") from error

KIND = "report"  # of page, by which `webpage.is_one` knows it
STYLE, SCRIPT = (Path(__file__).parent / "templates" / name for name in ("page.css", "hover.js"))

# a number with, if wanted, a sign, an exponent, an error such as "± 0.1", and a short unit
_NUMBER = re.compile(
    r"[<>≤≥~≈+−-]?\s?(\d[\d,. ]*|\.\d+|nan|inf)(e[+−-]?\d+)?(\s?[±×]\s?[\d.e+-]+)?(\s?\S{1,4})?$")
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Table:
    """A table of rows and columns.

    Attributes:
        columns: the headings of the columns.
        rows: the rows; a cell is a number, a text, a boolean or None. Columns of numbers are
            aligned to the right.
        caption: a text above the table, or "".
        note: a text below the table, or "".
        marked: the (row, column) of cells that stand out.
        folded: what a reader clicks to see the table, or "" for a table that is always open.

    Raises:
        ValueError: the number of a row's cells is not that of the columns.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    note: str = ""
    marked: Collection[tuple[int, int]] = ()
    folded: str = ""

    def __post_init__(self) -> None:
        for index, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"rows[{index}] must have {len(self.columns)} cells, one per column "
                    f"({', '.join(map(str, self.columns))}), got {len(row)}")


@dataclass(frozen=True)
class Card:
    """An entry of a gallery: a heading that links to another page, a small picture and a text.

    Attributes:
        heading: the heading.
        link: the address of the page, relative to this one; "" for none.
        text: the text below the picture.
        picture: the bytes of a PNG, or None.
    """

    heading: str
    link: str = ""
    text: str = ""
    picture: bytes | None = None


@dataclass(frozen=True)
class Section:
    """A section of a page: a heading, then text, code, cards, a table and a figure, each if given.

    Attributes:
        heading: the heading.
        text: the text; blank lines separate its paragraphs.
        table: a `Table`, or None.
        figure: a matplotlib `Figure`, the bytes of a PNG, or None.
        figure_alt: what the figure shows, in words; a figure needs it.
        figure_caption: the caption of the figure; `figure_alt` by default.
        code: lines that are shown as they are, such as commands, after the text.
        cards: the `Card`s of a gallery.
        curves: `Panel`s of curves, side by side.

    Raises:
        ValueError: a figure without `figure_alt`, or bytes that are no PNG.
    """

    heading: str
    text: str = ""
    table: Table | None = None
    figure: Any = None
    figure_alt: str = ""
    figure_caption: str = ""
    code: str = ""
    cards: Sequence[Card] = ()
    curves: Sequence[Panel] = ()

    def __post_init__(self) -> None:
        if self.figure is not None and not self.figure_alt:
            raise ValueError(
                f"the figure of section {self.heading!r} needs figure_alt: what it shows, in words")
        if isinstance(self.figure, bytes) and not self.figure.startswith(_PNG):
            raise ValueError(
                f"the figure of section {self.heading!r} must be a Figure or the bytes of a PNG")


def page(
    title: str, sections: Sequence[Section], *, lead: str = "",
    facts: Sequence[tuple[str, Any]] = ()
) -> str:
    """A page as HTML. All text is escaped, and all figures are embedded.

    Args:
        title: the heading of the page and the title of the window.
        sections: the sections, in order; a page of four or more has a table of contents.
        lead: the introduction, before the sections.
        facts: (label, value) pairs, shown at the top as key figures.

    >>> "<h1>Is a &lt; b?</h1>" in page("Is a < b?", [Section("Answer", "Yes.")])
    True
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("functional_nn.report"), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown)
    environment.filters |= {
        "cell": cell, "paragraphs": _paragraphs, "number_columns": _number_columns,
        "embedded": _embedded, "drawn": lambda panel: drawing(panel, cell)}
    body = environment.get_template("page.html").render(
        title=title, sections=list(sections), lead=lead, facts=list(facts))
    moves = any(section.curves for section in sections)
    return document(KIND, title, body, style=source(STYLE), scripts=[source(SCRIPT)] * moves)


def _shown(value: Any) -> Any:
    """`value` of the template, with what no page can show escaped."""
    return printable(value, keep="\n") if type(value) is str else value


def write(path: str | os.PathLike, html: str) -> Path:
    """Write a page to a file, in UTF-8, and return the path.

    An existing file is replaced, and only once the new one is complete.

    Raises:
        FileNotFoundError: the folder does not exist.
    """
    path = Path(path)
    with file_beside(path) as partial:
        partial.write_text(html, encoding="utf-8")
    return path


def cell(value: Any) -> str:
    """The text of a cell: four digits of a float, "yes" or "no" of a boolean, a dash for None.

    >>> [cell(value) for value in (0.123456, 1e-17, 1234567, 96.0, True, None, "adam")]
    ['0.1235', '1e-17', '1,234,567', '96', 'yes', '–', 'adam']
    """
    if isinstance(value, str):
        return value
    if value is None:
        return "–"
    array = np.asarray(value)
    if array.shape != ():
        return str(value)
    if array.dtype == bool:
        return "yes" if value else "no"
    if np.issubdtype(array.dtype, np.integer):
        return f"{int(value):,}"
    return f"{float(value):.4g}" if array.dtype.kind in "fV" else str(value)


def _number_columns(table: Table) -> list[bool]:
    """Whether each column holds numbers only.

    A text such as "96.4 %" or "0.3 ± 0.1" counts as a number. Dashes and empty cells may stand
    among the numbers.
    """
    written = [[cell(value) for value in column] for column in zip(*table.rows, strict=True)]
    if not written:
        return [False] * len(table.columns)
    return [any(text != "–" for text in column)
            and all(text in ("–", "") or _NUMBER.match(text) for text in column)
            for column in written]


def _paragraphs(text: str) -> list[str]:
    return [paragraph.strip() for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]


def _embedded(figure: Any) -> str:
    content = figure if isinstance(figure, bytes) else png(figure)
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
