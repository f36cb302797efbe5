"""Reading CSV files as text: a header, rows of cells, and the place of each cell for errors."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

from functional_nn import checks
from functional_nn.data.files import read_bytes

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}


class Table(NamedTuple):
    """The cells of a table as text, without surrounding blanks.

    Attributes:
      file: the name of the file.
      names: the names of the columns.
      rows: the cells of each row, one for each column.
      lines: the line of the file where each row begins; empty if there is no file.
      delimiter: the character that separates the cells in the file.
    """

    file: str
    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    delimiter: str = ","

    def place(self, row: int, column: str) -> str:
        """The place of a cell, in words. Rows are counted from 1 below the header.

        >>> Table("trees.csv", ("height",), [["3"], [""]], [2, 3]).place(1, "height")
        "trees.csv, row 2 (line 3), column 'height'"
        """
        line = f" (line {self.lines[row]})" if self.lines else ""
        return f"{self.file}, row {row + 1}{line}, column {column!r}"


def read_table(path: Path, header: bool | None = None, least: int = 2) -> Table:
    """The CSV file at `path` as a `Table`; arguments and errors are those of `parsed`."""
    return parsed(path.name, read_bytes(path), header, least)


def parsed(file: str, data: bytes, header: bool | None = None, least: int = 2) -> Table:
    """The bytes of a CSV file as a `Table`.

    The file is UTF-8 text with or without a byte-order mark, and its cells may be quoted. Cells are
    separated by commas, semicolons or tabs, whichever gives the first rows the same number of
    cells. Empty lines are skipped.

    Args:
        file: the name of the file in errors.
        data: its bytes.
        header: whether the first line holds the names of the columns. None takes it for such a
            line, after a check that it does not look like the rows below it. False names the
            columns `column 0`, `column 1`, ….
        least: the least number of columns; 2 where one of them is the target.

    Raises a ValueError that names the line of a row with too many or too few cells, of a quote
    without an end, or of bytes that are not UTF-8. Raises a ValueError also for a header that is
    missing, leaves a column without a name or uses a name twice, and for a header without rows.

    >>> parsed("trees.csv", b'height;kind\\n3.5;"oak; old"\\n').rows
    [['3.5', 'oak; old']]
    """
    text = _decoded(file, data)
    delimiter = _delimiter(file, text, least)
    records = list(_records(file, text, delimiter))
    if header is False:
        records = [(0, [f"column {j}" for j in range(len(records[0][1]))]), *records]
    (line, names), body = records[0], records[1:]
    if header is None:
        _check_first_line(file, line, names, body)
    _check_header(file, line, names)
    for line, cells in body:
        if len(cells) != len(names):
            raise ValueError(
                f"{file}, line {line} must have {len(names)} cells separated "
                f"by {DELIMITERS[delimiter]}, as the header has, got {len(cells)}; "
                "quote a cell that holds a separator")
    if not body:
        raise ValueError(f"{file} must hold rows below its header, got the header alone")
    return Table(
        file,
        tuple(names),
        [cells for _, cells in body],
        [line for line, _ in body],
        delimiter)


def _decoded(file: str, data: bytes) -> str:
    """The text of the file, without its byte-order mark."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data:
        at = ("UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff")
              else f"a zero byte in line {_line(data, data.index(0))}")
        raise ValueError(f"{file} must be text in UTF-8, got {at}; save it as 'CSV UTF-8'")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file} must be text in UTF-8, got the byte 0x{data[error.start]:02x} in line "
            f"{_line(data, error.start)}; save it as 'CSV UTF-8'") from error
    if not text.strip():
        raise ValueError(f"{file} must hold a header and rows, got an empty file")
    return text


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _records(file: str, text: str, delimiter: str):
    """Yield (first line, cells) for every record that is not an empty line."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
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


def _delimiter(file: str, text: str, least: int) -> str:
    """The character that separates the cells.

    A character that gives the first 20 rows the same number of cells comes before one that does
    not. Among equals, the one that gives the header the most cells is chosen.

    Raises a ValueError for a tie, and if no character gives the header two cells.
    """
    scores, faults = {}, {}
    for delimiter in DELIMITERS:
        lengths = []
        try:
            for (_, cells), _ in zip(_records(file, text, delimiter), range(20), strict=False):
                lengths.append(len(cells))
        except ValueError as error:
            faults[delimiter] = error
        if lengths and lengths[0] > 1:
            scores[delimiter] = (delimiter not in faults and len(set(lengths)) == 1, lengths[0])
    if not scores:
        if len(faults) == len(DELIMITERS):
            raise faults[","]
        if least == 1:
            return ","
        raise ValueError(
            f"{file} must have a header of two columns or more, separated by commas, "
            f"semicolons or tabs, got {text.strip().splitlines()[0][:60]!r}")
    best = [delimiter for delimiter in scores if scores[delimiter] == max(scores.values())]
    if len(best) > 1:
        raise ValueError(
            f"{file} must be separated in one way, got a header that {DELIMITERS[best[0]]} and "
            f"{DELIMITERS[best[1]]} split alike; quote the names that hold either")
    return best[0]


def _check_header(file: str, line: int, names: list[str]) -> None:
    """Raise a ValueError unless the first line names every column once."""
    for i, name in enumerate(names):
        if not name:
            raise ValueError(
                f"{file}, line {line} must name every column, got no name in place {i + 1}; "
                "name it, or drop it if it only numbers the rows (to_csv(index=False) in pandas)")
        if name in names[:i]:
            raise ValueError(
                f"{file}, line {line} must name every column once, "
                f"got {name!r} in places {names.index(name) + 1} and {i + 1}; rename one")


def _check_first_line(
    file: str, line: int, names: list[str], body: list[tuple[int, list[str]]]
) -> None:
    """Raise a ValueError if the first line looks like a row: it would be lost as a header.

    It does if most of its cells are numbers, or if most of them are values of their own columns.
    """
    numbers = sum(map(_is_number, names))
    columns = list(zip(*(cells for _, cells in body if len(cells) == len(names)), strict=True))
    repeated = sum(name in column for name, column in zip(names, columns, strict=False))
    if 2 * numbers > len(names) or 2 * repeated > len(names):
        if numbers == len(names):
            raise checks.advice(
                f"{file}, line {line} must be a header of column names, got numbers only "
                f"({', '.join(names)[:60]}); add a line of names on top, or pass {{header}} for a "
                "file without names", header=False)
        why = (f"{numbers} of its {len(names)} cells are numbers" if 2 * numbers > len(names) else
               f"{repeated} of its {len(names)} cells are values of their own columns")
        raise checks.advice(
            f"{file}, line {line} must be a header of column names, got {', '.join(names)[:60]}: "
            f"{why}, so it looks like a row; add a line of names on top, or pass {{header}} for a "
            "file without names", header=False)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
