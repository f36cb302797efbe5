"""What goes into a checkpoint as text: plain values, and in what two of them differ."""

import json
from typing import Any

SCALARS = (str, int, float, bool, type(None))


def text(argument: str, value: Any) -> str:
    """`value` as JSON; a TypeError that names what JSON would refuse or change (keys that are not text, arrays).

    Tuples become lists; NaN and infinities keep.

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
        raise ValueError(f"{argument} must not be nested without end, got a value that holds itself") from None


def _check(where: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where} must have text as keys, got {key!r}; write str({key!r})")
            _check(f"{where}[{key!r}]", inner)
    elif isinstance(value, list | tuple):
        if not all(type(inner) in SCALARS for inner in value):  # a history of numbers is passed at once
            for i, inner in enumerate(value):
                _check(f"{where}[{i}]", inner)
    elif not isinstance(value, SCALARS):
        fix = "an array is written as .tolist(), or kept in state" if hasattr(value, "shape") else "write it as text or numbers"
        raise TypeError(f"{where} must be text, a number, True, False, None, or a list or dict of them, got "
                        f"{type(value).__name__}; {fix}")


def difference(where: str, one: Any, other: Any) -> tuple[str, str, str] | None:
    """Where two plain values differ first, and both values there as text; None where they are the same.

    >>> difference("run", {"rates": {"adam": 0.1}}, {"rates": {"adam": 0.2}})
    ("run['rates']['adam']", '0.1', '0.2')
    >>> difference("run", {"seed": 1}, {})
    ("run['seed']", '1', 'nothing')
    """
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            inner = f"{where}[{key!r}]"
            if key not in one or key not in other:
                return inner, *(_shown(each[key]) if key in each else "nothing" for each in (one, other))
            if found := difference(inner, one[key], other[key]):
                return found
        return None
    same = json.dumps(one) == json.dumps(other)  # as text NaN is itself, and 1 is neither 1.0 nor True
    return None if same else (where, _shown(one), _shown(other))


def _shown(value: Any, most: int = 200) -> str:
    shown = repr(value)
    return shown if len(shown) <= most else f"{shown[:most]}…"
