"""Checks of names, numbers, keys and layers, and advice in the words of its reader."""

import difflib
import math
import numbers
import shlex
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def advice(text: str, **options: Any) -> ValueError:
    """A ValueError whose advice names options, in the words of whoever reads it.

    A Python user is told `ignore=['a']`. A user of the command line is told `--ignore a`, by the
    attribute `on_command_line` of the error.

    Args:
      text: the sentence, with the options as `{name}`.
      options: the options that the sentence advises, by name.

    >>> error = advice("column 'a' is empty; leave it out with {ignore}", ignore=["a"])
    >>> print(error, error.on_command_line, sep="\\n")
    column 'a' is empty; leave it out with ignore=['a']
    column 'a' is empty; leave it out with --ignore a
    """
    in_python = on_command_line = text
    for name, value in options.items():
        in_python = in_python.replace(f"{{{name}}}", f"{name}={value!r}")
        on_command_line = on_command_line.replace(f"{{{name}}}", _as_option(name, value))
    error = ValueError(in_python)
    error.on_command_line = on_command_line
    return error


def _as_option(name: str, value: Any) -> str:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    values = value if isinstance(value, list | tuple) else [value]
    return " ".join([f"--{option}", *(shlex.quote(str(part)) for part in values)])


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
) -> Any:
    """`value` as a Python float, which takes the dtype of the arrays that it is combined with.

    An array, traced or not, is returned unchecked, so that it may hold values to be swept. Raises
    a TypeError for anything but a real number, booleans included, and a ValueError for a number
    outside [low, high] or NaN. `wanted` describes the right values in the message.

    >>> number("rate", 1.5, low=0, high=1, wanted="a number from 0 to 1")
    Traceback (most recent call last):
        ...
    ValueError: rate must be a number from 0 to 1, got 1.5
    """
    if isinstance(value, jax.Array | np.ndarray):
        return value
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{argument} must be {wanted}, got {value!r}")
    if not low <= float(value) <= high:
        raise ValueError(f"{argument} must be {wanted}, got {value}")
    return float(value)


def not_negative(
    argument: str, value: Any, wanted: str = "a finite number of at least 0"
) -> Any:
    """`number` with the bounds of a rate, a strength or a tolerance: finite and at least 0."""
    return number(argument, value, low=0, high=sys.float_info.max, wanted=wanted)


def positive(argument: str, value: Any) -> Any:
    """`number` with the bounds of a limit or a factor: finite and above 0."""
    return number(argument, value, low=math.ulp(0.0), high=sys.float_info.max,
                  wanted="a finite number above 0")


def typed_key(argument: str, key: Any) -> Any:
    """`key` itself, if it is one typed key as `jax.random.key` makes it.

    Raises a TypeError for a legacy uint32 key, a seed or anything else, and a ValueError for an
    array of keys.
    """
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.shape != ():
            raise ValueError(
                f"{argument} must be one key, got an array of keys of shape {key.shape}; pick one, "
                "or use vmap")
        return key
    got = f"a legacy {key.dtype} key" if getattr(key, "shape", None) == (2,) else repr(key)
    raise TypeError(
        f"{argument} must be a typed key, got {got}; make one with jax.random.key(seed)")


def configured(
    name: str, parameters: Mapping[str, Any], limits: Mapping[str, tuple[float, float]],
    changes: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The hyper-parameters `parameters` of the function `name`, with `changes` applied.

    A change is a number within its limits, or an array, which is not checked. Raises a TypeError
    for a hyper-parameter that is not in `parameters` or a value that is not a number, and a
    ValueError for a number outside its limits.
    """
    checked = {}
    for argument, value in changes.items():
        if argument not in parameters:
            there = f"it has {', '.join(parameters)}" if parameters else "it has none"
            raise TypeError(f"{name} has no hyper-parameter {argument!r}; {there}")
        low, high = limits[argument]
        wanted = f"a number from {low:g} to {high:g}"
        checked[argument] = number(f"{name}'s {argument}", value, low=low, high=high, wanted=wanted)
    return {**parameters, **checked}


def call_text(name: str, parameters: Mapping[str, Any]) -> str:
    """The text `name(parameter=value, …)`, or `name` alone without parameters.

    >>> call_text("huber", {"delta": 1.0}), call_text("mse", {})
    ('huber(delta=1.0)', 'mse')
    """
    return (f"{name}({', '.join(f'{k}={v}' for k, v in parameters.items())})"
            if parameters else name)


def layers(argument: str, values: tuple, kind: type) -> None:
    """Raise a ValueError if `values` is empty, and a TypeError if one of them is no `kind`.

    `kind` is the class of the layers, which this module does not import.
    """
    if not values:
        raise ValueError(f"{argument} needs at least one layer, got none")
    for i, value in enumerate(values):
        if not isinstance(value, kind):
            raise TypeError(
                f"{argument} takes layers such as fnn.layers.dense(30, 'relu'), got {value!r} in "
                f"place {i}")
