"""Which entries of a gradient are wrong, what they have in common, and where a fitted number comes from."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from functional_nn.verify.debugger.tolerance import SAME

SHOWN = 6  # entries that are listed
FEW = 2  # entries on either side that a condition must part


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return the first names, and how many more there are.

    >>> listed(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def wrong_entries(given: np.ndarray, expected: np.ndarray, allowed: float, known: Mapping[str, np.ndarray]) -> str:
    """Return a phrase on which entries are wrong and what they share; "" if all are, or none.

    Args:
      given, expected: the two gradients.
      allowed: the largest error of a right entry.
      known: by name, arrays of the same shape that may tell the wrong entries from the others.

    >>> expected = np.array([1.0, -2.0, 3.0, -4.0, 5.0])
    >>> wrong_entries(np.abs(expected), expected, 1e-9, {"df/dw": expected})
    'wrong in 2 of 5 entries, [1], [3]: those where df/dw < 0'
    >>> wrong_entries(np.ones((3, 2)), np.array([[1.0, 1.0], [2.0, 3.0], [1.0, 1.0]]), 1e-9, {})
    'wrong in 2 of 6 entries, [1,0], [1,1]: row 1'
    """
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(given - expected) <= allowed)
    count = int(wrong.sum())
    if count in (0, wrong.size):
        return ""
    places = [f"[{','.join(map(str, place))}]" for place in np.argwhere(wrong)[:SHOWN]]
    more = "" if count <= SHOWN else ", …"
    shared = next(_shared(wrong, known), "")
    return f"wrong in {count} of {wrong.size} entries, {', '.join(places)}{more}" + (f": {shared}" if shared else "")


def _shared(wrong: np.ndarray, known: Mapping[str, np.ndarray]) -> Iterator[str]:
    """What the wrong entries have in common and no other entry has, the simplest first."""
    for axis, name in enumerate(("row", "column")[:wrong.ndim] if wrong.ndim == 2 else ()):
        lines = np.flatnonzero(wrong.any(axis=1 - axis))
        if wrong.sum() == len(lines) * wrong.shape[1 - axis] and len(lines) < wrong.shape[axis]:
            several = f"{name}s {', '.join(map(str, lines[:SHOWN]))}{', …' if len(lines) > SHOWN else ''}"
            yield several if len(lines) > 1 else f"{name} {lines[0]}"
    if min(wrong.sum(), (~wrong).sum()) < FEW:
        return
    for name, values in known.items():
        if values.shape == wrong.shape and np.isfinite(values).all():
            yield from _parted(name, values[wrong], values[~wrong])
    for name, values in known.items():
        if values.shape == wrong.shape and np.isfinite(values).all() and (values < 0).any():
            yield from _parted(f"|{name}|", np.abs(values[wrong]), np.abs(values[~wrong]))


def _parted(name: str, wrong: np.ndarray, right: np.ndarray) -> Iterator[str]:
    """The condition by which one quantity parts the wrong entries from the right ones."""
    if wrong.min() > right.max():
        yield f"those where {name} > 0" if right.max() <= 0 < wrong.min() else f"those where {name} >= {wrong.min():.4g}"
    elif wrong.max() < right.min():
        yield f"those where {name} < 0" if wrong.max() < 0 <= right.min() else f"those where {name} <= {wrong.max():.4g}"


def origin(number: float, arrays: Mapping[str, np.ndarray], close: float = SAME) -> str:
    """Return which size a fitted number is, or is the inverse of; "" if none.

    `close` is the relative error that the number may have.

    >>> origin(50.0, {"args[0]": np.ones((50, 3))}), origin(1 / 150, {"args[0]": np.ones((50, 3))})
    ('50 = rows of args[0]', '1/150, 150 = entries of args[0]')
    """
    if not np.isfinite(number) or not number:
        return ""
    for value, text in ((abs(number), "{0}"), (1 / abs(number), "1/{0}, {0}")):
        size = round(value)
        if size < 3 or abs(value - size) > close * size:
            continue
        for name, array in arrays.items():
            shape = np.shape(array)
            names = [(array.size, f"entries of {name}")] if len(shape) != 1 else []
            names = [*((n, f"{'rows' if axis == 0 else 'columns' if axis == 1 else f'axis {axis}'} of {name}")
                       for axis, n in enumerate(shape)), *names]
            found = next((said for n, said in names if n == size), None)
            if found:
                return f"{text.format(size)} = {found}"
    return ""
