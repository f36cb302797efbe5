"""What each column of a table is: the target, numbers, categories, or nothing to learn from."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from functional_nn import checks
from functional_nn.data.cells import Format, looks_numeric, number_wanted, text_of
from functional_nn.data.encoder import Encoder, Missing, missing_in, numbers
from functional_nn.data.examples import Examples
from functional_nn.data.files import listed
from functional_nn.data.looks import (
    MOST_CATEGORIES,
    look_of,
    of_categories,
    of_codes,
    present,
    said,
)
from functional_nn.data.tables import Table
from functional_nn.data.values import as_target, is_harmed

POLICIES = ("refuse", "drop", "mean", "most-frequent")
class Roles(NamedTuple):
    """The part that each column plays.

    Attributes:
      target: the target column.
      features: the columns of features.
      declared: the columns that are categories although they may hold numbers.
      groups: the column whose values belong together in the split, or None.
      notes: what is said of columns that are left out.
    """

    target: str
    features: tuple[str, ...]
    declared: frozenset[str]
    groups: str | None
    notes: tuple[str, ...]


def examples_of(
    table: Table, format: Format, *, target: str | int | None = None, task: str | None = None,
    categories: Sequence[str | int] = (), ignore: Sequence[str | int] = (),
    keep: Sequence[str | int] = (), groups: str | int | None = None, missing: str = "refuse",
) -> Examples:
    """The examples of a table; `functional_nn.data.load` describes the arguments.

    Raises a ValueError for missing values (with their number in each column) or a text among
    numbers (naming its row and column), for a column that does not exist, and for a column with too
    many categories.
    """
    checks.one_of("value of missing", missing, dict.fromkeys(POLICIES))
    roles = _roles(table, format, target, categories, ignore, keep, groups)
    declared = {name: table.columns[name].as_categories(format) for name in roles.declared}
    table = dataclasses.replace(table, columns=table.columns | declared)
    table, dropped = _without_missing(table, roles, missing)
    kinds = {name: _categories(table, name, format, name in roles.declared)
             for name in roles.features}
    known = dataclasses.replace(format, header=format.header is not False)  # as names are known
    encoder = Encoder(roles.features, {name: kind for name, kind in kinds.items() if kind}, known)
    plain = {name: table.columns[name] for name in roles.features if kinds[name] is None}
    harmed = any(is_harmed(column.numbers) for column in plain.values())
    x, _ = encoder.encoded(table, dtype=np.float64 if harmed else np.float32)
    values = _target_values(table, roles, format)
    y, class_names, decided = as_target(
        roles.target, values, task, lambda index: table.place(index[0], roles.target))
    notes = (*roles.notes, *dropped, *of_codes(plain),
             *of_categories({**encoder.categories, roles.target: class_names}, roles.target))
    return Examples(
        table.file, np.ascontiguousarray(x), y, encoder.feature_names, class_names, decided=decided,
        encoder=encoder, target=roles.target, notes=notes,
        groups=None if roles.groups is None else np.array(table.columns[roles.groups].texts()),
        fill=None if missing in ("refuse", "drop") else missing)


def labelled(
    table: Table, encoder: Encoder, target: str, class_names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The features of labelled rows, (n, features), NaN where missing; and their targets, (n,).

    The targets are labels that index `class_names`, or float64 in a regression. Raises a ValueError
    for a table without the target, for a missing target, and for a class that was not in training.
    """
    column = table.columns[_named(table, "target", target)]
    if lost := missing_in(table, [target]):
        raise ValueError(f"{lost.said}; a row without its target cannot be scored, so drop it")
    x, _ = encoder.encoded(encoder.table(table))
    if not class_names:
        return x, numbers(table, target, encoder.format)
    places = {kind: i for i, kind in enumerate(class_names)}
    cells = [cell if cell in places or not encoder.format.number.fullmatch(cell)
             else text_of(float(encoder.format.plain(cell))) for cell in column.texts()]
    for i, cell in enumerate(cells):
        if cell not in places:
            raise ValueError(
                f"{table.place(i, target)} must be one of the classes {listed(class_names, 10)}, "
                f"got {cell!r}; there was none in training")
    return x, np.array([places[cell] for cell in cells], np.int32)


def _roles(table: Table, format: Format, target, categories, ignore, keep, groups) -> Roles:
    """What each column is for, as asked, and by its looks where nothing is asked."""
    label = _named(table, "target", -1 if target is None else target)
    group = None if groups is None else _named(table, "groups", groups)
    left_out = _all_named(table, "ignore", ignore) | ({group} - {None})
    declared = _all_named(table, "categories", categories) | table.categorical
    kept = _all_named(table, "keep", keep) | declared
    names = [name for name in table.names if name != label and name not in left_out]
    if label in left_out or not names:
        raise checks.advice(
            f"{table.file} must keep its target and one other column at least, got {{ignore}} "
            f"with the target {label!r}", ignore=list(ignore))
    looks = {name: look for name in names if name not in kept
             for look in [look_of(table.columns[name], format)] if look is not None}
    if len(looks) == len(names):
        looks = {name: look for name, look in looks.items() if look.alone}
    if len(looks) == len(names):
        raise checks.advice(
            f"{table.file} must keep a feature, got " + "; ".join(
                f"{name!r}, which {said(look, table.columns[name])}"
                for name, look in list(looks.items())[:3])
            + "; pass {keep} to take one as it is", keep=names[:1])
    notes = tuple(checks.worded(
        f"column {name!r} {said(look, table.columns[name])}, and is left out; {{keep}} keeps it",
        keep=[name]) for name, look in looks.items())
    return Roles(label, tuple(name for name in names if name not in looks),
                 frozenset(declared), group, notes)


def _without_missing(table: Table, roles: Roles, missing: str) -> tuple[Table, tuple[str, ...]]:
    """The table without the rows that are dropped, and a note of how many they are.

    "drop" drops every row that misses a value, "mean" and "most-frequent" those without a target or
    a group.
    Raises a ValueError for a missing value with "refuse".
    """
    needed = [name for name in (roles.target, roles.groups) if name is not None]
    names = [*roles.features, *needed]
    found = missing_in(table, names)
    if found is None:
        return table, ()
    if missing == "refuse":
        raise _refused(found, table, roles)
    at = names if missing == "drop" else needed
    gone = np.any([table.columns[name].missing for name in at], axis=0)
    filled = "" if missing == "drop" else f"; the others are filled in by {missing}"
    if gone.all():
        raise ValueError(f"{found.said}; no row is left without them, so mend the file, or leave "
                         "columns out")
    left_out = f"; {gone.sum()} rows are left out" if gone.any() else ""
    return table.take(np.flatnonzero(~gone)), (f"{found.said}{left_out}{filled}",)


def _refused(found: Missing, table: Table, roles: Roles) -> ValueError:
    """The error for missing values, with the ways out that there are."""
    gone = [name for name in roles.features if table.columns[name].missing.any()]
    ways = ["{missing} to leave such rows out"]
    if gone:
        ways[0] += " ('mean' or 'most-frequent' fill them in)"
        ways.append("{ignore} to leave a column out")
    if found.written:
        ways.append("{missing_values} where that text is a value")
    return checks.advice(f"{found.said}; pass " + ", or ".join(ways), missing="drop",
                         ignore=gone[:1], missing_values=[""])


def _categories(
    table: Table, name: str, format: Format, declared: bool
) -> tuple[str, ...] | None:
    """The sorted categories of a column; None where the column holds numbers.

    Raises a ValueError for a text in a column of numbers, and for more than 1000 categories.
    """
    column = table.columns[name]
    if column.numbers is not None:
        return None
    if not declared and looks_numeric(column, format):
        raise number_wanted(lambda row: table.place(row, name), name, column, format)
    kinds = sorted(set(present(column)))
    if len(kinds) > MOST_CATEGORIES:
        raise checks.advice(
            f"{table.file}, column {name!r} holds {len(kinds)} different texts in {len(table)} "
            "rows, too many for categories; leave it out with {ignore}", ignore=[name])
    return tuple(kinds)


def _target_values(table: Table, roles: Roles, format: Format) -> np.ndarray:
    """The target column as text or float64."""
    name, column = roles.target, table.columns[roles.target]
    if column.numbers is not None:
        return column.numbers
    if name not in roles.declared and looks_numeric(column, format):
        raise number_wanted(lambda row: table.place(row, name), name, column, format)
    return np.array(list(column.cells))


def _all_named(table: Table, argument: str, columns: Any) -> set[str]:
    if isinstance(columns, str | int) or not isinstance(columns, Sequence):
        raise TypeError(
            f"{argument} must be a list of columns, got {columns!r}; write [{columns!r}]")
    return {_named(table, argument, column) for column in columns}


def _named(table: Table, argument: str, column: str | int) -> str:
    """The name of the column that is given by its name or its index."""
    if isinstance(column, bool) or not isinstance(column, str | int):
        raise TypeError(f"{argument} must be the name or the index of a column, got {column!r}")
    if isinstance(column, str) and column in table.columns:
        return column
    if isinstance(column, int) and -len(table.columns) <= column < len(table.columns):
        return table.names[column]
    raise checks.advice(
        f"{{{argument}}} must be one of the {len(table.columns)} columns of {table.file}, "
        f"got {column!r}; there are: {listed(table.names)}", **{argument: checks.NAME})
