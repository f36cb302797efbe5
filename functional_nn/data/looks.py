"""The looks of columns: which hold nothing to learn from, and what is said of the others."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from functional_nn import checks
from functional_nn.data.cells import CODE, Column, Format, looks_numeric
from functional_nn.data.files import listed
from functional_nn.data.values import FEW

MOST_CATEGORIES = 1000
MANY_CATEGORIES = 30  # from here on it is said how many features a column became
DATE = re.compile(r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?([T ]\d{1,2}:\d{2}.*)?|"
                  r"\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})([T ]\d{1,2}:\d{2}.*)?", re.ASCII)


class Look(NamedTuple):
    """A look of columns that hold nothing to learn from.

    Attributes:
      holds: whether a column looks so.
      words: what is said of it, with `{texts}`, `{rows}` and `{example}`.
      alone: whether a column that looks so is left out even if no other feature remains.
    """

    holds: Callable[[Column], bool]
    words: str
    alone: bool = True


def _counts(column: Column) -> bool:
    values = column.numbers
    return (values is not None and len(values) >= FEW and bool(np.isfinite(values[0]))
            and bool((values == values[0] + np.arange(len(values))).all()))


def _dates(column: Column) -> bool:
    return column.numbers is None and all(map(DATE.fullmatch, present(column)))


def _differs(column: Column) -> bool:
    if column.numbers is not None:
        return False
    cells = present(column)
    kinds = len(set(cells))
    return kinds > MOST_CATEGORIES or (kinds > FEW and 2 * kinds > len(cells))


LOOKS = (
    Look(lambda column: bool(column.missing.all()), "holds no value"),
    Look(_dates, "holds dates such as {example!r}"),
    Look(_differs, "holds {texts} different texts in {rows} rows, such as {example!r}"),
    Look(_counts, "numbers the rows", alone=False),
)


def present(column: Column) -> list[str]:
    """The cells that are not missing."""
    return [cell for cell, gone in zip(column.texts(), column.missing, strict=True) if not gone]


def look_of(column: Column, format: Format) -> Look | None:
    """The first of the looks that a column has; None for one to learn from."""
    if column.numbers is None and not column.missing.all() and looks_numeric(column, format):
        return None
    return next((look for look in LOOKS if look.holds(column)), None)


def said(look: Look, column: Column) -> str:
    """What is said of a column with this look."""
    cells = present(column) if "{example" in look.words else []
    return look.words.format(texts=len(set(cells)), rows=len(column.missing),
                             example=cells[0] if cells else "")


def of_codes(columns: Mapping[str, Column]) -> tuple[str, ...]:
    """What is said of columns of numbers that are written like codes, as postcodes are.

    >>> from functional_nn.data.cells import column
    >>> print(*of_codes({"zip": column(["01234", "98765"], Format())}))
    column 'zip' is taken for numbers, though '01234' is written like a code; categories=['zip'] ...
    """
    notes = []
    for name, column in columns.items():
        code = next(filter(CODE.match, column.cells or ()), None)
        if code is not None:
            notes.append(checks.worded(
                f"column {name!r} is taken for numbers, though {code!r} is written like a code; "
                "{categories} takes it for categories", categories=[name]))
    return tuple(notes)


def of_categories(categories: dict[str, Sequence[str]], target: str) -> tuple[str, ...]:
    """What is said of columns with many categories, and of categories that are nearly equal.

    >>> print(*of_categories({"kind": ("Oak", "oak"), "old": ("no", "yes")}, target="old"))
    'Oak' and 'oak' of column 'kind' are different categories; write them alike if they mean the ...
    """
    notes = []
    for name, kinds in categories.items():
        if name != target and len(kinds) > MANY_CATEGORIES:
            notes.append(checks.worded(
                f"column {name!r} became {len(kinds)} features, one for each text; {{ignore}} "
                "leaves it out", ignore=[name]))
        by_letters: dict[str, list[str]] = {}
        for kind in kinds:
            by_letters.setdefault("".join(kind.casefold().split()), []).append(kind)
        near = [alike for alike in by_letters.values() if len(alike) > 1]
        if near:
            what = "classes" if name == target else "categories"
            pairs = listed((" and ".join(map(repr, alike)) for alike in near), 5)
            notes.append(f"{pairs} of column {name!r} are different {what}; write them alike if "
                         "they mean the same")
    return tuple(notes)
