"""Numbers and targets from a file: finite values, or class labels that count from 0."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from functional_nn import checks

FEW = 20  # whole numbers with more distinct values than this are quantities, not classes
TASKS = ("classification", "regression")
HARMLESS = 1e-4  # of a column's deviation: a rounding that moves no decision of a network


def as_float64(
    name: str, array: np.ndarray, place: Callable[[tuple[int, ...]], str] | None = None
) -> np.ndarray:
    """`array` as float64, of the same shape, after a check that float32 could hold its values.

    Args:
        name: the name of the array in errors.
        array: numbers of any shape.
        place: the function from an index to its description in errors; `name[i][j]` if None.

    Raises a ValueError that names the first value that is NaN, infinite or beyond 3.4e38, the
    largest float32.

    >>> as_float64("X", np.array([[1.0, 2.0], [3.0, np.nan]]))
    Traceback (most recent call last):
        ...
    ValueError: X[1][1] is nan, one of 1 values that are NaN, infinite or too large for float32; ...
    """
    with np.errstate(over="ignore"):
        small = np.asarray(array).astype(np.float32)
    bad = ~np.isfinite(small)
    if bad.any():
        first = tuple(np.argwhere(bad)[0].tolist())
        where = place(first) if place else name + "".join(f"[{i}]" for i in first)
        raise ValueError(
            f"{where} is {np.asarray(array)[first]}, one of {bad.sum()} values that are NaN, "
            "infinite or too large for float32; drop or mend those rows first")
    return np.asarray(array).astype(np.float64)


def as_floats(
    name: str, array: np.ndarray, place: Callable[[tuple[int, ...]], str] | None = None
) -> np.ndarray:
    """`array` of shape (n, …) as float32 if rounding it is harmless, else as float64.

    Arguments and errors are those of `as_float64`; `narrowed` decides.
    """
    values = as_float64(name, array, place)
    exact = np.can_cast(np.asarray(array).dtype, np.float32)
    return values.astype(np.float32) if exact else narrowed(values)


def narrowed(values: np.ndarray) -> np.ndarray:
    """float64 `values`, (n, …), as float32 if rounding them is harmless, else as they are.

    Rounding does harm in a column whose values differ by little beside their size, such as seconds
    since 1970: it moves them by a part of their standard deviation that can be seen. Standardising
    in float64 first, and rounding afterwards, keeps such values apart. NaN stands for a missing
    value.

    >>> narrowed(np.array([0.1, 0.2])).dtype, narrowed(1.7e9 + np.arange(5.0)).dtype
    (dtype('float32'), dtype('float64'))
    """
    columns = values.reshape(len(values), -1).T if len(values) else ()
    return values if any(map(is_harmed, columns)) else values.astype(np.float32, order="C")


def is_harmed(column: np.ndarray) -> bool:
    """Whether rounding to float32 moves a value of a column, (n,), by more than is harmless."""
    with np.errstate(over="ignore", invalid="ignore"):  # some may be too large for float32
        known = column if np.isfinite(column.sum()) else column[~np.isnan(column)]
        if not len(known):
            return False
        low, high = known.min(), known.max()
        harmless = HARMLESS * known.std()
        if low == high or max(abs(low), abs(high)) * 2.0**-24 <= harmless:  # none moves further
            return False
        return bool(abs(known.astype(np.float32) - known).max() > harmless)


class Target(NamedTuple):
    """A target of n examples.

    Attributes:
      y: of shape (n,): int32 labels that index `class_names`; in a regression float32, or float64
        where float32 would lose what the values differ by (`narrowed`).
      class_names: the names of the classes; () in a regression.
      decided: why the target was taken for classes or for numbers, in words.
    """

    y: np.ndarray
    class_names: tuple[str, ...]
    decided: str


def as_target(name: str, values: np.ndarray, task: str | None,
              place: Callable[[tuple[int, ...]], str] | None = None) -> Target:
    """A column of numbers or text as a `Target`.

    Text and booleans are classes. Whole numbers are classes if they have at most 20 distinct values
    with two rows each on average. All other numbers are a regression. Classes are numbered in the
    order of their values.

    Args:
        name: the name of the column in errors.
        values: the column, of shape (n,).
        task: "classification" or "regression" overrides the rule above; None applies it.
        place: as for `as_float64`.

    Raises a ValueError for another `task`, for text in a regression, for a target with a single
    value, for a value that float32 cannot hold, and for classes beyond 2⁵³.

    >>> target = as_target("species", np.array(["oak", "elm", "oak"]), None)
    >>> target.y.tolist(), target.class_names, target.decided
    ([1, 0, 1], ('elm', 'oak'), "classes, as 'species' is text")
    """
    if task is not None and task not in TASKS:
        raise ValueError(
            "task must be 'classification', 'regression' or None, which looks at the target, "
            f"got {task!r}")
    text = values.dtype.kind in "bU"
    if text and task == "regression":
        raise checks.advice(
            f"{{task}} needs a target of numbers, got {name!r} of text such as "
            f"{values[0].item()!r}; name another target, or leave it out", task="regression")
    if values.dtype.kind == "f":
        as_float64(name, values, place)
    kinds, labels = np.unique(values, return_inverse=True)
    if len(kinds) < 2:
        raise ValueError(
            f"the target {name!r} must differ between examples, "
            f"got {values[0].item()!r} in all {len(values)}; name another target")
    whole = text or values.dtype.kind in "iu" or bool((values == np.rint(values)).all())
    few = text or (whole and len(kinds) <= FEW and 2 * len(kinds) <= len(values))
    if task == "regression" or (task is None and not few):
        why = "as asked" if task else (
            f"as {name!r} is {'many whole numbers' if whole else 'fractional numbers'}")
        return Target(as_floats(name, values, place), (), f"a regression, {why}")
    if values.dtype.kind == "f" and np.abs(kinds).max() > 2**53:
        raise ValueError(
            "classes must be numbers up to 2⁵³, where whole numbers are exact, "
            f"got {name!r} with {np.abs(kinds).max():.17g}; write the classes as text")
    why = "as asked" if task else (
        f"as {name!r} is {'text' if text else f'whole numbers of {len(kinds)} kinds'}")
    names = tuple(str(kind.item()) if text or not whole else str(int(kind)) for kind in kinds)
    return Target(labels.astype(np.int32), names, f"classes, {why}")
