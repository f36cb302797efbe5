"""Checks of rates and other settings, of keys and of layers."""

import math
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import arguments


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
    return arguments.number(argument, value, low=low, high=high, wanted=wanted)


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
