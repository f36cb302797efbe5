"""Checks of plain arguments, with messages that say what was wrong and how to mend it.

They need neither JAX nor NumPy, so that the command line can use them before it computes anything.
`checks` adds those of arrays.
"""

import difflib
import math
import numbers
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["NAME", "advice", "integer", "joined", "number", "one_of", "worded"]

NAME = object()
"""Stands in `worded` for the value of an option that is only named."""


class Advice(str):
    """A sentence that names options in Python's words; `on_command_line` has the other words."""

    on_command_line: str


def worded(text: str, **options: Any) -> Advice:
    """A sentence whose advice names options, in the words of whoever reads it.

    A Python user is told `ignore=['a']`, which is the sentence itself. A user of the command line
    is told `--ignore a`, by the attribute `on_command_line`.

    Args:
      text: the sentence, with the options as `{name}`.
      options: the options that the sentence advises or names, with their values, or `NAME`.

    >>> sentence = worded("column 'a' is empty; leave it out with {ignore}", ignore=["a"])
    >>> print(sentence, sentence.on_command_line, sep="\\n")
    column 'a' is empty; leave it out with ignore=['a']
    column 'a' is empty; leave it out with --ignore a
    >>> worded("{test_share} must be a share", test_share=NAME).on_command_line
    '--test-share must be a share'
    """
    in_python = on_command_line = text
    for name, value in options.items():
        in_python = in_python.replace(
            f"{{{name}}}", name if value is NAME else f"{name}={value!r}")
        on_command_line = on_command_line.replace(f"{{{name}}}", _as_option(name, value))
    sentence = Advice(in_python)
    sentence.on_command_line = on_command_line
    return sentence


def advice(text: str, /, of: type[Exception] = ValueError, **options: Any) -> Exception:
    """An error with a sentence as `worded` makes it; it has the attribute `on_command_line`.

    Args:
      text, options: as for `worded`.
      of: the type of the error.
    """
    sentence = worded(text, **options)
    error = of(str(sentence))
    error.on_command_line = sentence.on_command_line
    return error


def _as_option(name: str, value: Any) -> str:
    option = name.replace("_", "-")
    if value is NAME:
        return f"--{option}"
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    values = map(joined, zip(value)) if isinstance(value, list | tuple) else [str(value)]
    return " ".join([f"--{option}", *map(shlex.quote, values)])


def joined(names: Sequence[Any]) -> str:
    """The text of a list on the command line: commas between the names, which are quoted as in CSV.

    >>> joined(["a,b", "c"])
    '"a,b",c'
    """
    quoted = (str(name).replace('"', '""') for name in names)
    return ",".join(f'"{name}"' if re.search(r'[",]|^ ', name) else name for name in quoted)


def one_of(kind: str, name: str, table: Mapping[str, Any]) -> Any:
    """The entry of `table` with the key `name`.

    Raises a ValueError for an unknown name, with the nearest known one and all names.

    >>> one_of("colour", "bleu", {"blue": 1, "red": 2})
    Traceback (most recent call last):
        ...
    ValueError: unknown colour 'bleu'; did you mean 'blue'? There are: blue, red
    """
    if isinstance(name, str) and name in table:
        return table[name]
    near = difflib.get_close_matches(str(name), table, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"unknown {kind} {name!r}{hint} There are: {', '.join(table)}")


def integer(argument: str, value: Any, *, low: int = 1, high: int | None = None) -> int:
    """`value` as an int.

    Raises a TypeError for anything but an integer, booleans included, and a ValueError for an
    integer outside [low, high].

    >>> integer("epochs", 0)
    Traceback (most recent call last):
        ...
    ValueError: epochs must be an integer of at least 1, got 0
    """
    wanted = (f"an integer of at least {low}" if high is None
              else f"an integer from {low} to {high}")
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{argument} must be {wanted}, got {value!r}")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{argument} must be {wanted}, got {value}")
    return int(value)


def number(
    argument: str, value: Any, *, low: float = -math.inf, high: float = math.inf, wanted: str
) -> float:
    """`value` as a float.

    Raises a TypeError for anything but a real number, booleans included, and a ValueError for a
    number outside [low, high] or NaN. `wanted` describes the right values in the message.

    >>> number("rate", 1.5, low=0, high=1, wanted="a number from 0 to 1")
    Traceback (most recent call last):
        ...
    ValueError: rate must be a number from 0 to 1, got 1.5
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{argument} must be {wanted}, got {value!r}")
    if not low <= float(value) <= high:
        raise ValueError(f"{argument} must be {wanted}, got {value}")
    return float(value)
