"""Numbers and targets from a file: finite float32 values, or class labels that count from 0."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

FEW = 20  # whole numbers with more distinct values than this are quantities, not classes
TASKS = ("classification", "regression")


def as_float32(
    name: str, array: np.ndarray, place: Callable[[tuple[int, ...]], str] | None = None
) -> np.ndarray:
    """`array` as float32, of the same shape.

    Args:
        name: the name of the array in errors.
        array: numbers of any shape.
        place: the function from an index to its description in errors; `name[i][j]` if None.

    Raises a ValueError that names the first value that is NaN, infinite or beyond 3.4e38, the
    largest float32.

    >>> as_float32("X", np.array([[1.0, 2.0], [3.0, np.nan]]))
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
    return small


class Target(NamedTuple):
    """A target of n examples.

    Attributes:
      y: of shape (n,): int32 labels that index `class_names`, or float32 in a regression.
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
        place: as for `as_float32`.

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
        raise ValueError(
            f"task='regression' needs a target of numbers, got {name!r} of text such as "
            f"{values[0].item()!r}; name another target, or leave task out")
    if values.dtype.kind == "f":
        as_float32(name, values, place)
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
        return Target(as_float32(name, values, place), (), f"a regression, {why}")
    if values.dtype.kind == "f" and np.abs(kinds).max() > 2**53:
        raise ValueError(
            "classes must be numbers up to 2⁵³, where whole numbers are exact, "
            f"got {name!r} with {np.abs(kinds).max():.17g}; write the classes as text")
    why = "as asked" if task else (
        f"as {name!r} is {'text' if text else f'whole numbers of {len(kinds)} kinds'}")
    names = tuple(str(kind.item()) if text or not whole else str(int(kind)) for kind in kinds)
    return Target(labels.astype(np.int32), names, f"classes, {why}")
