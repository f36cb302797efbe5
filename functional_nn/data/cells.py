"""The cells of one column: text as a file has it, and the numbers that the text means."""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from functional_nn import checks

MISSING = ("", "?", "NA", "N/A", "#N/A", "<NA>", "NaN", "NaT", "None", "null")
PLACEHOLDERS = ("-", "--", "—", ".", "..")  # missing values in columns of numbers alone


@dataclass(frozen=True)
class Format:
    """How a file writes its cells.

    Attributes:
      header: whether the first line names the columns; None takes it for such a line, after a check
        that it does not look like the rows below it. False names them `column 0`, `column 1`, ….
      encoding: the encoding of the text; a byte-order mark of UTF-8 or UTF-16 comes first.
      separator: the character between cells, " " for any number of blanks; None finds it.
      decimal: the character before the fraction of a number.
      thousands: the character between groups of three digits; "" for none.
      missing: the texts that stand for a missing value, in any case. None means those of `MISSING`,
        and in columns of numbers those of `PLACEHOLDERS` too.
    """

    header: bool | None = None
    encoding: str = "utf-8"
    separator: str | None = None
    decimal: str = "."
    thousands: str = ""
    missing: tuple[str, ...] | None = None

    def __post_init__(self):
        for name in ("separator", "decimal", "thousands"):
            value, empty = getattr(self, name), {"separator": None, "thousands": ""}.get(name, ".")
            if value != empty and not (isinstance(value, str) and len(value) == 1):
                raise checks.advice(f"{{{name}}} must be one character, got {value!r}",
                                    **{name: checks.NAME})
        if self.decimal == self.thousands or self.decimal.isalnum() or self.thousands.isalnum():
            raise checks.advice(
                "{decimal} and {thousands} must be two different marks such as ',' and '.', got "
                f"{self.decimal!r} and {self.thousands!r}", decimal=checks.NAME,
                thousands=checks.NAME)
        try:
            "".encode(self.encoding)
        except (LookupError, TypeError):
            raise checks.advice(
                "{encoding} must be one that Python knows, such as 'latin-1' or 'utf-16', got "
                f"{self.encoding!r}", encoding=checks.NAME) from None

    @functools.cached_property
    def number(self) -> re.Pattern:
        """The pattern of a number."""
        point, mark = re.escape(self.decimal), re.escape(self.thousands)
        whole = rf"(\d+|\d{{1,3}}({mark}\d{{3}})+)" if mark else r"\d+"
        return re.compile(rf"[+-]?({whole}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?", re.ASCII)

    @functools.cached_property
    def everywhere(self) -> frozenset[str]:
        """The texts, in lower case, that are missing in every column."""
        return frozenset(
            text.strip().lower() for text in (MISSING if self.missing is None else self.missing))

    @functools.cached_property
    def among_numbers(self) -> frozenset[str]:
        """The texts, in lower case, that are missing in a column of numbers."""
        return self.everywhere | frozenset(PLACEHOLDERS if self.missing is None else ())

    def plain(self, cell: str) -> str:
        """A cell that matches `number` as Python writes numbers."""
        return cell.replace(self.thousands, "").replace(self.decimal, ".")


class Column(NamedTuple):
    """The cells of one column.

    Attributes:
      cells: the text of each cell; None where it was let go because all of it is numbers.
      numbers: the values, float64, NaN where missing; None if a cell that is not missing is text.
      missing: whether each cell is missing, of shape (n,).
    """

    cells: Sequence[str] | None
    numbers: np.ndarray | None
    missing: np.ndarray

    def take(self, rows: np.ndarray) -> "Column":
        """The cells of the given rows, an array of indices."""
        return Column(None if self.cells is None else [self.cells[i] for i in rows.tolist()],
                      None if self.numbers is None else self.numbers[rows], self.missing[rows])

    def texts(self) -> Sequence[str]:
        """The text of each cell; a number whose text was let go as the shortest that means it."""
        return self.cells if self.cells is not None else list(map(text_of, self.numbers.tolist()))

    def as_categories(self, format: Format) -> "Column":
        """The column as categories although it may hold numbers: only an empty cell is missing.

        The texts that the user names as missing stay so.
        """
        marks = frozenset([""]) if format.missing is None else format.everywhere
        cells = self.texts()
        gone = np.array([cell.lower() in marks for cell in cells], bool)
        return Column(cells, None, gone if self.cells is not None else self.missing)


def column(cells: Sequence[str], format: Format) -> Column:
    """The `Column` of cells of text. They are numbers if all that are not missing are.

    >>> column(["1,5", "?", "-"], Format(decimal=",")).numbers.tolist()
    [1.5, nan, nan]
    >>> column(["u", "?", "-"], Format()).missing.tolist()
    [False, True, False]
    """
    marks, number = format.among_numbers, format.number.fullmatch
    gone = [cell.lower() in marks for cell in cells]
    if all(gone) or any(not lost and not number(cell)
                        for cell, lost in zip(cells, gone, strict=True)):
        gone = [cell.lower() in format.everywhere for cell in cells]
        return Column(cells, None, np.array(gone, bool))
    plain = ["nan" if lost else format.plain(cell) for cell, lost in zip(cells, gone, strict=True)]
    return Column(cells, np.array(plain, np.float64), np.array(gone, bool))


def of_numbers(values: np.ndarray) -> Column:
    """The `Column` of an array of numbers, (n,), where NaN is missing."""
    numbers = values.astype(np.float64)
    return Column(None, numbers, np.isnan(numbers))


def of_values(values: Sequence, format: Format) -> Column:
    """The `Column` of Python values: numbers are themselves, and text is read as in a file.

    >>> of_values([1.0, "2.5", None], Format()).numbers.tolist()
    [1.0, 2.5, nan]
    """
    cells = ["" if value is None else
             str(value).strip() if isinstance(value, str | bool | np.bool_) else
             _cell(value, format) for value in values]
    return column(cells, format)


def _cell(value, format: Format) -> str:
    """The text of a value that is no text: a number is written as `format` would write it."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value).strip()
    if np.isnan(number):
        return ""
    return text_of(value).replace(".", format.decimal)


def text_of(number) -> str:
    """The shortest text that means a number; a whole number has no fraction.

    >>> text_of(3.0), text_of(0.5), text_of(7)
    ('3', '0.5', '7')
    """
    value = number.item() if hasattr(number, "item") else number
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?", re.ASCII)
COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?", re.ASCII)
CONTINENTAL = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d+)?", re.ASCII)


def number_wanted(
    place: Callable[[int], str], name: str, given: Column, format: Format
) -> ValueError:
    """The error for a column in which most cells are numbers, or numbers with commas, and not all.

    The advice fits what all the commas of the column can mean: groups of thousands, a decimal
    comma, or either; then it says what each would make of the cell.
    """
    cells = [(i, cell) for i, cell in enumerate(given.cells) if not given.missing[i]]
    others = [(i, cell) for i, cell in cells if cell.lower() not in format.among_numbers
              and not format.number.fullmatch(cell)]
    row, cell = next((pair for pair in others if "," in pair[1] or "." in pair[1]), others[0])
    start = f"{place(row)} must be a number, got {cell!r}"
    texts = [cell for _, cell in others]
    if format.decimal == "." and all(map(GROUPED.fullmatch, texts)):
        whole = cell.replace(",", "")
        if all(map(COMMA.fullmatch, texts)):
            return checks.advice(
                f"{start}; if it means {whole}, pass {{thousands}}; "
                f"if it means {cell.replace(',', '.')}, pass {{decimal}}",
                thousands=",", decimal=",")
        return checks.advice(f"{start}; it seems to mean {whole}, so pass {{thousands}}",
                             thousands=",")
    if format.decimal == "." and all(map(COMMA.fullmatch, texts)):
        return checks.advice(f"{start}; it seems to mean {cell.replace(',', '.')}, so pass "
                             "{decimal}", decimal=",")
    if all(CONTINENTAL.fullmatch(text) or COMMA.fullmatch(text) for text in texts):
        return checks.advice(
            f"{start}; it seems to mean {cell.replace('.', '').replace(',', '.')}, so pass "
            "{thousands} and {decimal}", thousands=".", decimal=",")
    return checks.advice(
        f"{start}, where {len(cells) - len(others)} of {len(cells)} cells are numbers; mend it, "
        f"name it as missing, or pass {{categories}}", categories=[name])


def looks_numeric(given: Column, format: Format) -> bool:
    """Whether half of the cells of a column of text, or any beside commas, are numbers."""
    cells = [cell for cell, gone in zip(given.cells, given.missing, strict=True) if not gone]
    numbers = [format.number.fullmatch(cell) is not None for cell in cells]
    marked = [bool(GROUPED.fullmatch(cell) or COMMA.fullmatch(cell) or CONTINENTAL.fullmatch(cell))
              for cell in cells]
    return 2 * (sum(numbers) + sum(marked)) >= len(cells) > 0
