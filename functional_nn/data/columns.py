"""Features from the columns of a table: numbers as they are, categories one-hot.

The mapping made from the training rows also encodes new rows.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from functional_nn import checks
from functional_nn.data.examples import Examples
from functional_nn.data.files import listed
from functional_nn.data.tables import Table, read_table
from functional_nn.data.values import as_float64, as_target, narrowed

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?\d+(,\d+)+(\.\d+)?", re.ASCII)
MISSING = {"", "?", "na", "n/a", "nan", "none", "null"}  # in lower case; cells in any case
MOST_CATEGORIES = 1000


@dataclass(frozen=True)
class Encoder:
    """The mapping from rows of a table to features.

    A column of numbers gives one feature. A column of k categories gives k features of 0 or 1
    (one-hot), named `column=category` and sorted. Numbering the categories instead would impose an
    order on them.

    Attributes:
      names: the columns, in the order of their features.
      categories: the categories of each column that has them.
      header: whether files have a line of names on top.
    """

    names: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    header: bool = True

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features, `column` or `column=category`."""
        features = []
        for name in self.names:
            features += (
                [f"{name}={kind}" for kind in self.categories[name]]
                if name in self.categories else [name])
        return tuple(features)

    def __call__(
        self, rows: "Table | str | os.PathLike | Sequence[Mapping[str, Any]]"
    ) -> np.ndarray:
        """The features of `rows`, float64 of shape (n, features).

        Args:
            rows: a table, the path of a CSV file, a pandas DataFrame, or a list of mappings from
                column to value. Columns that are not in `names` are ignored.

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
        table = _as_table(rows, self)
        columns = []
        for name in self.names:
            cells = _column(table, name, training=False)
            if name in self.categories:
                columns.append(_one_hot(table, name, cells, self.categories[name]))
            else:
                columns.append(_numbers(table, name, cells)[:, None])
        return np.concatenate(columns, axis=1)


def read_csv(
    path: Path, *, target: str | int | None = None, task: str | None = None,
    categories: Sequence[str | int] = (), ignore: Sequence[str | int] = (),
    header: bool | None = None
) -> Examples:
    """The examples of a CSV file.

    `functional_nn.data.load` describes the arguments, `functional_nn.data.tables.read_table` the
    format.

    Raises a ValueError for a missing value or a text among numbers (naming its row and column), for
    a column that does not exist, and for a column with too many categories.
    """
    table = read_table(path, header)
    label = _named(table, "target", -1 if target is None else target)
    left_out = {_named(table, "ignore", column) for column in _several("ignore", ignore)}
    declared = {
        _named(table, "categories", column) for column in _several("categories", categories)}
    names = tuple(name for name in table.names if name != label and name not in left_out)
    if label in left_out or not names:
        raise ValueError(
            f"{table.file} must keep its target and one other column at least, "
            f"got ignore={list(ignore)!r} with the target {label!r}")
    kinds = {name: _categories(table, name, name in declared) for name in names}
    encoder = Encoder(names, {name: kind for name, kind in kinds.items() if kind is not None},
                      header is not False)
    cells = _column(table, label)
    is_text = _categories(table, label, label in declared, most=None) is not None
    values = np.array(cells) if is_text else np.array(cells, dtype=np.float64)
    y, class_names, decided = as_target(
        label, values, task, lambda index: table.place(index[0], label))
    return Examples(
        path.name, narrowed(encoder(table)), y, encoder.feature_names, class_names, None, decided,
        encoder, label)


def read_target(
    path: Path, name: str, class_names: tuple[str, ...], header: bool = True
) -> np.ndarray:
    """The target column `name` of a CSV file, (n,): labels that index `class_names`, or float64.

    `header` says whether the file has a line of names on top.

    Raises a ValueError for a file without that column, and one that names the row of a missing
    value, of a class that was not in training, and of a text in a regression.
    """
    table = read_table(path, header)
    cells = _column(table, _named(table, "target", name))
    if not class_names:
        return _numbers(table, name, cells)
    number = {kind: i for i, kind in enumerate(class_names)}
    kinds = [_whole(cell) if cell not in number else cell for cell in cells]
    for i, kind in enumerate(kinds):
        if kind not in number:
            raise ValueError(
                f"{table.place(i, name)} must be one of the classes {listed(class_names, 10)}, "
                f"got {cells[i]!r}; there was none in training")
    return np.array([number[kind] for kind in kinds], np.int32)


def _whole(cell: str) -> str:
    """A whole number as classes are named: 1.0 as 1; another cell as it is."""
    return f"{float(cell):.0f}" if NUMBER.fullmatch(cell) and float(cell).is_integer() else cell


def _several(argument: str, columns) -> Sequence:
    if isinstance(columns, str | int) or not isinstance(columns, Sequence):
        raise TypeError(
            f"{argument} must be a list of columns, got {columns!r}; write [{columns!r}]")
    return columns


def _named(table: Table, argument: str, column: str | int) -> str:
    """The name of the column that is given by its name or its index."""
    if isinstance(column, bool) or not isinstance(column, str | int):
        raise TypeError(f"{argument} must be the name or the index of a column, got {column!r}")
    if isinstance(column, str) and column in table.names:
        return column
    if isinstance(column, int) and -len(table.names) <= column < len(table.names):
        return table.names[column]
    raise ValueError(
        f"{argument} must be one of the {len(table.names)} columns of {table.file}, "
        f"got {column!r}; there are: {listed(table.names)}")


def has_named_columns(rows) -> bool:
    """Whether `rows` name their columns: a table, a CSV file's path, a DataFrame, or mappings."""
    return isinstance(rows, Table | str | os.PathLike) or is_frame(rows) or (
        isinstance(rows, Sequence) and len(rows) > 0
        and all(isinstance(row, Mapping) for row in rows))


def is_frame(rows) -> bool:
    """Whether `rows` is a DataFrame, of pandas or like those of pandas."""
    return hasattr(rows, "columns") and hasattr(rows, "to_dict")


def _as_table(rows, encoder: Encoder) -> Table:
    """`rows` as a table that has at least the columns of the encoder."""
    names = encoder.names
    if isinstance(rows, str | os.PathLike):
        rows = read_table(Path(rows), encoder.header, least=1)
    if is_frame(rows):
        rows = _of_frame(rows)
    if isinstance(rows, Table):
        lacking = [name for name in names if name not in rows.names]
        if lacking:
            raise ValueError(
                f"{rows.file} must have the columns of the training file, "
                f"got none called {lacking[0]!r}; there are: {listed(rows.names)}")
        return rows
    if (not isinstance(rows, Sequence) or not rows
            or not all(isinstance(row, Mapping) for row in rows)):
        raise TypeError(
            "rows must be the path of a CSV file or a list of mappings from column to value, "
            f"with one at least, got {str(rows)[:60]}")
    for i, row in enumerate(rows):
        lacking = [name for name in names if name not in row]
        if lacking:
            raise ValueError(
                f"rows, row {i + 1} must have a value for every column, "
                f"got none for {lacking[0]!r}")
    return Table("rows", names, [[_cell(row[name]) for name in names] for row in rows], [])


def _of_frame(frame) -> Table:
    """A DataFrame as a table; its columns are read by their names."""
    names = tuple(map(str, frame.columns))
    if len(set(names)) < len(names):
        raise ValueError(f"rows must name every column once, got {listed(names)}; rename one")
    return Table("rows", names, [[_cell(value) for value in row] for row in frame.to_numpy(object)],
                 [])


def _cell(value) -> str:
    return "" if value is None else str(value).strip()


def _column(table: Table, name: str, training: bool = True) -> list[str]:
    """The cells of a column. Raises a ValueError for a missing one."""
    j = table.names.index(name)
    cells = [row[j] for row in table.rows]
    for i, cell in enumerate(cells):
        if cell.lower() in MISSING:
            raise checks.advice(
                f"{table.place(i, name)} is missing, got {cell!r}; fill it in, drop the row"
                + (", or leave the column out with {ignore}" if training else ""), ignore=[name])
    return cells


def _categories(
    table: Table, name: str, declared: bool, most: int | None = MOST_CATEGORIES
) -> tuple[str, ...] | None:
    """The sorted categories of a column; None where the column holds numbers.

    Raises a ValueError for a text in a column of numbers, and for too many categories: more than
    `most`, or more than 20 that are also more than half the rows.
    """
    cells = _column(table, name)
    numeric = [NUMBER.fullmatch(cell) is not None for cell in cells]
    if all(numeric) and not declared:
        return None
    comma = [DECIMAL_COMMA.fullmatch(cell) is not None for cell in cells]
    wrong = next((i for i in range(len(cells)) if comma[i] or not numeric[i]), None)
    if not declared and (2 * sum(numeric) >= len(cells) or any(comma)):
        wrong = comma.index(True) if any(comma) else wrong
        fix = "write it with a decimal point" if comma[wrong] else "mend it"
        raise checks.advice(
            f"{table.place(wrong, name)} must be a number, as {sum(numeric)} of {len(cells)} "
            f"values there are, got {cells[wrong]!r}; {fix}, or pass {{categories}}",
            categories=[name])
    kinds = sorted(set(cells))
    if most is not None and (
            len(kinds) > most or (len(kinds) > 20 and 2 * len(kinds) > len(cells))):
        raise checks.advice(
            f"{table.file}, column {name!r} holds {len(kinds)} different texts in {len(cells)} "
            "rows, too many for categories; leave it out with {ignore}", ignore=[name])
    return tuple(kinds)


def _numbers(table: Table, name: str, cells: list[str]) -> np.ndarray:
    """A column of numbers, float64 of shape (n,)."""
    for i, cell in enumerate(cells):
        if NUMBER.fullmatch(cell) is None:
            raise ValueError(f"{table.place(i, name)} must be a number, got {cell!r}")
    return as_float64(
        name, np.array(cells, dtype=np.float64), lambda index: table.place(index[0], name))


def _one_hot(table: Table, name: str, cells: list[str], kinds: tuple[str, ...]) -> np.ndarray:
    """A column of categories one-hot, float64 of shape (n, len(kinds))."""
    number = {kind: i for i, kind in enumerate(kinds)}
    for i, cell in enumerate(cells):
        if cell not in number:
            raise ValueError(
                f"{table.place(i, name)} must be one of the categories {listed(kinds, 10)}, "
                f"got {cell!r}; there was none in training")
    return np.eye(len(kinds))[[number[cell] for cell in cells]]
