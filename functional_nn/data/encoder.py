"""The mapping from rows of a table to features: numbers as they are, categories one-hot.

The mapping made from the training rows also encodes new rows.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from functional_nn import checks
from functional_nn.data.cells import Column, Format, text_of
from functional_nn.data.files import listed
from functional_nn.data.rows import as_table
from functional_nn.data.tables import Table
from functional_nn.data.values import as_float64

UNKNOWN = ("refuse", "ignore", "skip")
USUAL = Format()


@dataclass(frozen=True)
class Encoder:
    """The mapping from rows of a table to features.

    A column of numbers gives one feature. A column of k categories gives k features of 0 or 1
    (one-hot), named `column=category` and sorted. Numbering the categories instead would impose an
    order on them.

    Attributes:
      names: the columns, in the order of their features.
      categories: the categories of each column that has them.
      format: how files write their cells.
      fill: the value of each feature where its column is missing; None refuses missing values.
    """

    names: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    format: Format = USUAL
    fill: tuple[float, ...] | None = None

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features, `column` or `column=category`."""
        return tuple(feature for name in self.names for feature in (
            [f"{name}={kind}" for kind in self.categories[name]]
            if name in self.categories else [name]))

    def __call__(self, rows: Any, unknown: str = "refuse") -> np.ndarray:
        """The features of `rows`, float64 of shape (n, features).

        Args:
            rows: a table, the path of a file, a pandas DataFrame, or a list of mappings from column
                to value. Columns that are not in `names` are ignored.
            unknown: what becomes of a category that was not in training: "refuse" raises an error,
                "ignore" gives 0 for all categories of its column, and "skip" gives NaN for the
                whole row, as it also does for a row with a missing value that `fill` is not for.

        Raises a ValueError that names the row and column of a missing value, of a text in a
        column of numbers, or of a category that was not in training. Raises a TypeError for
        `rows` of another type.

        >>> encoder = Encoder(("height", "kind"), {"kind": ("elm", "oak")})
        >>> encoder([{"height": 3.5, "kind": "oak"}]).tolist(), encoder.feature_names
        ([[3.5, 0.0, 1.0]], ('height', 'kind=elm', 'kind=oak'))
        >>> encoder([{"height": 3.5, "kind": "ash"}])
        Traceback (most recent call last):
            ...
        ValueError: rows, row 1, column 'kind' must be one of the categories elm, oak, got 'ash'...
        """
        checks.one_of("value of unknown", unknown, dict.fromkeys(UNKNOWN))
        table = self.table(rows)
        x, strange = self.encoded(table, unknown)
        if self.fill is not None:
            x = self.filled(x)
        elif unknown != "skip" and (missing := missing_in(table, self.names)):
            raise checks.advice(
                f"{missing.said}; fill them in, or pass {{unknown}} to answer the other rows",
                unknown="skip")
        x[strange | np.isnan(x).any(axis=1)] = np.nan
        return np.ascontiguousarray(x)

    def table(self, rows: Any) -> Table:
        """`rows` as a table with the columns of the encoder, categories written as in training.

        Raises a ValueError for a column that is not there.
        """
        table = as_table(rows, self.format, self.categories, names=self.names)
        lacking = [name for name in self.names if name not in table.columns]
        if lacking:
            raise ValueError(
                f"{table.file} must have the columns of the training file, "
                f"got none called {lacking[0]!r}; there are: {listed(table.names)}")
        kinds = {name: _as_kinds(table.columns[name], kinds, self.format)
                 for name, kinds in self.categories.items()}
        return dataclasses.replace(table, columns=table.columns | kinds)

    def encoded(
        self, table: Table, unknown: str = "refuse", dtype: Any = np.float64
    ) -> tuple[np.ndarray, np.ndarray]:
        """The features of a table, NaN where a column is missing; and rows to be skipped, (n,)."""
        x = np.empty((len(table), len(self.feature_names)), dtype, order="F")
        start, skipped = 0, np.zeros(len(table), bool)
        for name in self.names:
            width = len(self.categories.get(name, [name]))
            part, start = x[:, start:start + width], start + width
            if name in self.categories:
                hot, strange = self._one_hot(table, name)
                if unknown == "refuse" and strange.any():
                    raise self._strange(table, name, int(strange.argmax()))
                skipped |= strange & (unknown == "skip")
                part[:] = hot
            else:
                part[:, 0] = numbers(table, name, self.format)
        return x, skipped

    def _one_hot(self, table: Table, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A column of categories one-hot, (n, k), and where there is none of them, (n,)."""
        kinds = self.categories[name]
        given = table.columns[name]
        places = {kind: i for i, kind in enumerate(kinds)}
        at = np.array([places.get(cell, len(kinds)) for cell in given.cells], int)
        hot = np.eye(len(kinds) + 1, len(kinds))[at]  # the row after the last is all 0
        hot[given.missing] = np.nan
        return hot, (at == len(kinds)) & ~given.missing

    def _strange(self, table: Table, name: str, row: int) -> ValueError:
        kinds = self.categories[name]
        cell = table.columns[name].cells[row]
        return checks.advice(
            f"{table.place(row, name)} must be one of the categories {listed(kinds, 10)}, "
            f"got {cell!r}; there was none in training, so mend it, or pass {{unknown}} to answer "
            "the other rows", unknown="skip")

    def fitted(self, x: np.ndarray, how: str) -> "Encoder":
        """The encoder that fills in what is missing, by the training rows `x`, (n, features).

        Args:
            x: the features with NaN where they are missing.
            how: "mean" fills in the mean of a column of numbers, "most-frequent" its most frequent
                value. Both fill in the most frequent category.

        Raises a ValueError for a column without a value in the training rows.

        >>> encoder = Encoder(("height", "kind"), {"kind": ("elm", "oak")})
        >>> x = np.array([[1.0, 0, 1], [np.nan, 0, 1], [4.0, np.nan, np.nan]])
        >>> encoder.fitted(x, "mean").fill
        (2.5, 0.0, 1.0)
        """
        fill, start = [], 0
        for name in self.names:
            width = len(self.categories.get(name, [name]))
            block = x[:, start:start + width].astype(np.float64)
            block, start = block[~np.isnan(block[:, 0])], start + width
            if not len(block):
                raise checks.advice(
                    f"column {name!r} has no value in any training row, so that nothing can be "
                    "filled in; leave it out with {ignore}", ignore=[name])
            if name in self.categories:
                fill += np.eye(width)[block.sum(axis=0).argmax()].tolist()
            elif how == "mean":
                fill.append(float(block.mean()))
            else:
                values, counts = np.unique(block, return_counts=True)
                fill.append(float(values[counts.argmax()]))
        return dataclasses.replace(self, fill=tuple(fill))

    def filled(self, x: np.ndarray) -> np.ndarray:
        """`x` of shape (n, features) with `fill` where it is NaN, of the same dtype."""
        return np.where(np.isnan(x), np.asarray(self.fill, x.dtype), x)


def _as_kinds(given: Column, kinds: Sequence[str], format: Format) -> Column:
    """A column of categories, with cells as the categories are written.

    A cell that is none of them but the same whole number is taken for it: 1.0 for 1. A cell that is
    one of them is not missing, even if it is written like a missing value.
    """
    known, cells = set(kinds), list(given.texts())
    for i, cell in enumerate(cells):
        if cell not in known and format.number.fullmatch(cell):
            cells[i] = text_of(float(format.plain(cell)))
    missing = np.array([cell not in known for cell in cells], bool) & np.array(
        [gone or cell.lower() in format.everywhere
         for gone, cell in zip(given.missing, cells, strict=True)], bool)
    return Column(cells, None, missing)


def numbers(table: Table, name: str, format: Format) -> np.ndarray:
    """A column of numbers, float64 of shape (n,), NaN where missing.

    Raises a ValueError that names the place of a text, or of a number that float32 cannot hold.
    """
    column = table.columns[name]
    if column.numbers is None:
        for i, cell in enumerate(column.cells):
            if not (column.missing[i] or cell.lower() in format.among_numbers
                    or format.number.fullmatch(cell)):
                raise ValueError(f"{table.place(i, name)} must be a number, got {cell!r}")
        return np.full(len(table), np.nan)  # there is no number, and nothing else
    whole = np.where(column.missing, 0.0, column.numbers)
    as_float64(name, whole, lambda index: table.place(index[0], name))
    return column.numbers


class Missing(NamedTuple):
    """What is missing in some columns of a table.

    Attributes:
      said: how many values are missing, and where the first is, in words.
      written: the text that stands for the first; "" for an empty cell.
    """

    said: str
    written: str


def missing_in(table: Table, names: Sequence[str]) -> Missing | None:
    """What is missing in these columns of a table; None if nothing is.

    >>> from functional_nn.data.tables import parsed
    >>> missing_in(parsed("t.csv", b"a,b\\n1,?\\n,2\\n,\\n"), ("a", "b")).said
    "t.csv: 3 of 3 rows miss a value, in the columns 'a' (2), 'b' (2); the first is row 1 ..."
    """
    counts = {name: int(table.columns[name].missing.sum()) for name in names}
    counts = {name: count for name, count in counts.items() if count}
    if not counts:
        return None
    gone = np.any([table.columns[name].missing for name in counts], axis=0)
    row = int(gone.argmax())
    name = next(name for name in counts if table.columns[name].missing[row])
    cells = table.columns[name].cells
    written = "" if cells is None else cells[row]
    where = table.place(row, name).removeprefix(f"{table.file}, ")
    if len(counts) == 1:
        columns, where = f"column {name!r}", where.removesuffix(f", column {name!r}")
    else:
        columns = "the columns " + listed(f"{name!r} ({count})" for name, count in counts.items())
    return Missing(f"{table.file}: {gone.sum()} of {len(table)} rows miss a value, in {columns}; "
                   f"the first is {where}" + (f", written {written!r}" if written else ""), written)
