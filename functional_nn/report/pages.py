"""One self-contained HTML page: text, tables and pictures in a file that opens offline, on a phone, in the dark."""

import base64
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from functional_nn.plots import png
from functional_nn.writing import file_beside

try:
    import jinja2
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("reports need jinja2; install it with: pip install -e '.[plots]'") from error

_NUMBER = re.compile(r"[<>≤≥~≈+−-]?\s?(\d[\d,. ]*|\.\d+|nan|inf)(e[+−-]?\d+)?(\s?[±×]\s?[\d.e+-]+)?(\s?\S{1,4})?$")
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Table:
    """Rows under columns. Cells are numbers, text, booleans or None; a column of numbers is set to the right.

    Raises:
        ValueError: a row has not as many cells as there are columns.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for index, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(f"rows[{index}] must have {len(self.columns)} cells, one per column "
                                 f"({', '.join(map(str, self.columns))}), got {len(row)}")


@dataclass(frozen=True)
class Section:
    """A heading, then as much as there is: text (blank lines part paragraphs), a table, a figure.

    `figure` is a matplotlib `Figure` or the bytes of a PNG; `figure_alt` says in words what it shows, and is also the
    caption unless `figure_caption` is given.

    Raises:
        ValueError: a figure without `figure_alt`, or bytes that are no PNG.
    """

    heading: str
    text: str = ""
    table: Table | None = None
    figure: Any = None
    figure_alt: str = ""
    figure_caption: str = ""

    def __post_init__(self) -> None:
        if self.figure is not None and not self.figure_alt:
            raise ValueError(f"the figure of section {self.heading!r} needs figure_alt: what it shows, in words")
        if isinstance(self.figure, bytes) and not self.figure.startswith(_PNG):
            raise ValueError(f"the figure of section {self.heading!r} must be a Figure or the bytes of a PNG")


def page(title: str, sections: Sequence[Section], *, lead: str = "", facts: Sequence[tuple[str, Any]] = ()) -> str:
    """The page as HTML; all text is escaped, all pictures are inside, and nothing is fetched from anywhere.

    Args:
        title: heading of the page and title of the window.
        sections: in order; from four on, a table of contents stands above them.
        lead: what was asked and found, before the sections.
        facts: (label, value) pairs, shown at the top as key figures.

    >>> "<h1>Is a &lt; b?</h1>" in page("Is a < b?", [Section("Answer", "Yes.")])
    True
    """
    environment = jinja2.Environment(loader=jinja2.PackageLoader("functional_nn.report"), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"cell": cell, "paragraphs": _paragraphs, "number_columns": _number_columns,
                            "embedded": _embedded}
    return environment.get_template("page.html").render(title=title, sections=list(sections), lead=lead,
                                                          facts=list(facts))


def write(path: str | os.PathLike, html: str) -> Path:
    """Write the page as UTF-8, whole or not at all.

    Raises:
        FileNotFoundError: the folder does not exist.
    """
    path = Path(path)
    with file_beside(path) as partial:
        partial.write_text(html, encoding="utf-8")
    return path


def cell(value: Any) -> str:
    """A value as the reader sees it: four digits of a float, yes and no, a dash for nothing.

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
    """Which columns hold numbers, or text that reads as one, such as "96.4 %" and "0.3 ± 0.1"; dashes fit anywhere."""
    written = [[cell(value) for value in column] for column in zip(*table.rows, strict=True)]
    if not written:
        return [False] * len(table.columns)
    return [any(text != "–" for text in column) and all(text in ("–", "") or _NUMBER.match(text) for text in column)
            for column in written]


def _paragraphs(text: str) -> list[str]:
    return [paragraph.strip() for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]


def _embedded(figure: Any) -> str:
    content = figure if isinstance(figure, bytes) else png(figure)
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
