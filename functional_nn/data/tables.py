"""Reading CSV files: a header, the cells of each column, and the place of each cell for errors."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from functional_nn import checks
from functional_nn.data.cells import Column, Format, column
from functional_nn.writing import printable

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
BLANK = " "  # looked at only where no other character separates the cells
LOOKED_AT = 1000  # rows that tell whether the first line is one of them


@dataclass(frozen=True, eq=False)
class Table:
    """The columns of a table.

    Attributes:
      file: the name of the file.
      columns: the cells of each column, by its name.
      lines: the line of the file where each row begins; empty if they are not known.
      separator: the character that separates the cells in the file.
      at: the row of the file, from 0, of each row of the table; None if they are the same.
      categorical: the columns that are categories by themselves, as those of pandas' dtype.
    """

    file: str
    columns: dict[str, Column]
    lines: Sequence[int] = ()
    separator: str = ","
    at: np.ndarray | None = None
    categorical: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.columns)

    def __len__(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values())).missing)

    def take(self, rows: np.ndarray) -> "Table":
        """The table of the given rows, an array of indices."""
        columns = {name: cells.take(rows) for name, cells in self.columns.items()}
        return replace(self, columns=columns, at=rows if self.at is None else self.at[rows])

    def place(self, row: int, column: str) -> str:
        """The place of a cell, in words. Rows are counted from 1 below the header.

        >>> table = parsed("trees.csv", b"height,kind\\n3,oak\\n,elm\\n")
        >>> table.place(1, "height")
        "trees.csv, row 2 (line 3), column 'height'"
        """
        row = row if self.at is None else int(self.at[row])
        line = f" (line {self.lines[row]})" if self.lines else ""
        return f"{self.file}, row {row + 1}{line}, column {column!r}"


def parsed(file: str, data: bytes, format: Format | None = None, least: int = 2) -> Table:
    """The bytes of a CSV file as a `Table`.

    Cells may be quoted. They are separated by commas, semicolons, tabs or bars, whichever gives the
    first rows the same number of cells, or else by blanks. Empty lines are skipped.

    Args:
        file: the name of the file in errors.
        data: its bytes.
        format: how the file writes its cells; None is `Format()`.
        least: the least number of columns; 2 where one of them is the target.

    Raises a ValueError that names the line of a row with too many or too few cells, of a quote
    without an end, or of bytes that are not of the encoding. Raises a ValueError also for a header
    that is missing, leaves a column without a name or uses a name twice, and for a header without
    rows.

    >>> parsed("trees.csv", b'height;kind\\n3.5;"oak; old"\\n').columns["kind"].cells
    ['oak; old']
    """
    format = format or Format()
    whole = decoded(file, data, format.encoding)
    separator = format.separator or separator_of(file, whole, least)
    records = list(_records(file, whole, separator))
    names, body, dropped = split_header(file, records, format)
    for line, cells in body:
        if len(cells) != len(names):
            raise ValueError(
                f"{file}, line {line} must have {len(names)} cells separated by "
                f"{_named(separator)}, as the header has, got {len(cells)}; "
                "quote a cell that holds a separator")
    if not body:
        raise ValueError(f"{file} must hold rows below its header, got the header alone")
    cells = zip(*(cells for _, cells in body), strict=True)
    columns = {name: column(list(parts), format) for j, (name, parts) in enumerate(
        zip(names, cells, strict=True)) if j not in dropped}
    return Table(file, columns, [line for line, _ in body], separator)


def _named(separator: str) -> str:
    return SEPARATORS.get(separator, repr(separator))


def decoded(file: str, data: bytes, encoding: str = "utf-8") -> str:
    """The text of a file, without its byte-order mark.

    Raises a ValueError that names the line of the first byte that is not of the encoding.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif data[:3] == b"\xef\xbb\xbf":
        encoding = "utf-8-sig"
    elif b"\0" in data and not encoding.lower().startswith(("utf-16", "utf-32", "utf_16")):
        raise checks.advice(
            f"{file} must be text in {encoding.upper()}, got a zero byte in line "
            f"{_line(data, data.index(0))}; save it as 'CSV UTF-8', or pass {{encoding}} if it is "
            "that", encoding="utf-16")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise checks.advice(
            f"{file} must be text in {encoding.upper()}, got the byte 0x{data[error.start]:02x} in "
            f"line {_line(data, error.start)}; save it as 'CSV UTF-8', or pass {{encoding}} if it "
            "is from an older program", encoding="cp1252") from error
    if "\0" in text:
        raise ValueError(f"{file} must be text, got a zero character in line "
                         f"{text.count(chr(10), 0, text.index(chr(0))) + 1}; save it again")
    if not text.strip():
        raise ValueError(f"{file} must hold a header and rows, got an empty file")
    return text


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _records(file: str, text: str, separator: str):
    """Yield (first line, cells) for every record that is not an empty line."""
    lines = io.StringIO(text, newline="")
    if separator == BLANK:
        lines = (line.strip() + "\n" for line in lines)
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)
    begins = 1
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if cells and cells != [""]:
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        why = str(error).replace("\t", "tab")
        raise ValueError(
            f"{file}, line {begins} cannot be read as CSV: {why}; "
            "close every quote, and double the quotes inside a quoted cell") from error


def first_records(file: str, text: str, separator: str, most: int) -> list:
    """At most `most` records from the start of a text, which may end in the middle of one."""
    found = []
    try:
        for record, _ in zip(_records(file, text, separator), range(most), strict=False):
            found.append(record)
    except ValueError:
        pass
    return found


def separator_of(file: str, text: str, least: int) -> str:
    """The character that separates the cells.

    A character that gives the first 20 rows the same number of cells comes before one that does
    not. Among equals, the one that gives the header the most cells is chosen.

    Raises a ValueError for a tie, and if no character gives the header two cells.
    """
    scores, faults = {}, {}
    for separator in SEPARATORS:
        if separator == BLANK and (scores or faults):
            continue
        lengths = []
        try:
            for (_, cells), _ in zip(_records(file, text, separator), range(20), strict=False):
                lengths.append(len(cells))
        except ValueError as error:
            faults[separator] = error
        even = separator not in faults and len(set(lengths)) == 1
        if lengths and lengths[0] > 1 and (even or separator != BLANK):
            scores[separator] = (even, lengths[0])
    if not scores or (least == 1 and set(scores) == {BLANK}):
        if len(faults) == len(SEPARATORS) - 1:
            raise faults[","]
        if least == 1:
            return ","
        raise checks.advice(
            f"{file} must have a header of two columns or more, separated by commas, semicolons, "
            f"tabs or bars, got {text.strip().splitlines()[0][:60]!r}; pass {{separator}} for "
            "another mark", separator=":")
    best = [separator for separator in scores if scores[separator] == max(scores.values())]
    if len(best) > 1:
        raise checks.advice(
            f"{file} must be separated in one way, got a header that {SEPARATORS[best[0]]} and "
            f"{SEPARATORS[best[1]]} split alike; quote the names that hold either, or pass "
            "{separator}", separator=best[0])
    return best[0]


def split_header(file: str, records: list[tuple[int, list[str]]], format: Format):
    """The names of the columns, the records below them, and the columns to drop.

    A column without a name and without a value is dropped: it comes of a separator at the end of
    every line. Raises a ValueError for a first line that looks like a row, and for columns that
    have no name or the name of another.
    """
    if format.header is False:
        records = [(0, [f"column {j}" for j in range(len(records[0][1]))]), *records]
    (line, names), body = records[0], records[1:]
    if format.header is None:
        _check_first_line(file, line, names, body[:LOOKED_AT])
    dropped = {j for j, name in enumerate(names)
               if not name and not any(cells[j] for _, cells in body if j < len(cells))}
    places = {}
    for j, name in enumerate(names):
        if not name and j not in dropped:
            raise ValueError(
                f"{file}, line {line} must name every column, got no name in place {j + 1}; "
                "name it, or drop it if it only numbers the rows (to_csv(index=False) in pandas)")
        if name in places and j not in dropped:
            raise ValueError(
                f"{file}, line {line} must name every column once, "
                f"got {name!r} in places {places[name] + 1} and {j + 1}; rename one")
        places[name] = j
    return names, body, dropped


def _check_first_line(
    file: str, line: int, names: list[str], body: list[tuple[int, list[str]]]
) -> None:
    """Raise a ValueError if the first line looks like a row: it would be lost as a header.

    It does if most of its cells are numbers, or if most of them are values of their own columns.
    """
    numbers = sum(map(_is_number, names))
    columns = list(map(set, zip(*(cells for _, cells in body if len(cells) == len(names)),
                                strict=True)))
    repeated = sum(name in column for name, column in zip(names, columns, strict=False) if name)
    if 2 * numbers > len(names) or 2 * repeated > len(names):
        got = printable(", ".join(names)[:60])
        if numbers == len(names):
            raise checks.advice(
                f"{file}, line {line} must be a header of column names, got numbers only "
                f"({got}); add a line of names on top, or pass {{header}} for a "
                "file without names", header=False)
        why = (f"{numbers} of its {len(names)} cells are numbers" if 2 * numbers > len(names) else
               f"{repeated} of its {len(names)} cells are values of their own columns")
        raise checks.advice(
            f"{file}, line {line} must be a header of column names, got {got}: "
            f"{why}, so it looks like a row; add a line of names on top, or pass {{header}} for a "
            "file without names", header=False)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
