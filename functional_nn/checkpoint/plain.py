"""JSON text of plain Python values, and the first difference of two such values."""

import json
from typing import Any

SCALARS = (str, int, float, bool, type(None))


def text(argument: str, value: Any) -> str:
    """The dict `value` as JSON text.

    Tuples become lists. NaN and infinities are written as `NaN` and `Infinity`, which Python reads.

    Args:
      argument: the name of the value in error messages.
      value: a dict of text, numbers, True, False, None, and lists, tuples and dicts of them.

    Raises:
      TypeError: some value or key is of a type that JSON lacks or would change, such as an array
        or a number as key; the message names its place.
      ValueError: `value` contains itself.

    >>> text("record", {"cost": [0.5, float("inf")]})
    '{"cost":[0.5,Infinity]}'
    >>> text("record", {"cost": {3: 0.5}})
    Traceback (most recent call last):
        ...
    TypeError: record['cost'] must have text as keys, got 3; write str(3)
    """
    if not isinstance(value, dict):
        raise TypeError(f"{argument} must be a dict of plain values, got {type(value).__name__}")
    try:
        _check(argument, value)
        return json.dumps(value, separators=(",", ":"))
    except RecursionError:
        raise ValueError(f"{argument} must not be nested without end, got a value that holds "
                         "itself") from None


def _check(where: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where} must have text as keys, got {key!r}; write str({key!r})")
            _check(f"{where}[{key!r}]", inner)
    elif isinstance(value, list | tuple):
        if not all(type(inner) in SCALARS for inner in value):  # fast for a history of numbers
            for i, inner in enumerate(value):
                _check(f"{where}[{i}]", inner)
    elif not isinstance(value, SCALARS):
        fix = ("an array is written as .tolist(), or kept in state" if hasattr(value, "shape")
               else "write it as text or numbers")
        raise TypeError(f"{where} must be text, a number, True, False, None, or a list or dict of "
                        f"them, got {type(value).__name__}; {fix}")


def difference(where: str, one: Any, other: Any) -> tuple[str, str, str] | None:
    """The first place where two plain values differ, and both values there as text.

    Returns None if the values are the same. Values of different types differ, such as 1 and 1.0.

    Args:
      where: the name of the values, with which the place begins.
      one, other: plain values, as in `text`.

    >>> difference("run", {"rates": {"adam": 0.1}}, {"rates": {"adam": 0.2}})
    ("run['rates']['adam']", '0.1', '0.2')
    >>> difference("run", {"seed": 1}, {})
    ("run['seed']", '1', 'nothing')
    """
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            inner = f"{where}[{key!r}]"
            if key not in one or key not in other:
                return inner, *(_shown(each[key]) if key in each else "nothing"
                                for each in (one, other))
            if found := difference(inner, one[key], other[key]):
                return found
        return None
    same = json.dumps(one) == json.dumps(other)  # as text, NaN equals NaN, but 1 is not 1.0 or True
    return None if same else (where, _shown(one), _shown(other))


def _shown(value: Any, most: int = 200) -> str:
    shown = repr(value)
    return shown if len(shown) <= most else f"{shown[:most]}…"
