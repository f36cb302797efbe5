"""Checks of arguments, with messages that say what was wrong and how to mend it.

A message names the argument, what was wanted, what was given, and the likely fix. Shapes and
dtypes are checked at trace time too. Values (finite, in range) are checked only outside of `jit`,
`vmap` and `grad`: an array that is being traced passes.
"""

import math
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import arguments
from functional_nn.arguments import advice, integer, one_of, worded

__all__ = ["advice", "call_text", "configured", "finite", "float_dtype", "floating", "integer",
           "is_concrete", "labels", "layers", "not_negative", "number", "one_of", "positive",
           "sample_weights", "typed_key", "worded"]


def is_concrete(array: Any) -> bool:
    """Whether the values of `array` are known, which they are not while it is traced."""
    return not isinstance(array, jax.core.Tracer)


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


def floating(argument: str, array: Any) -> jax.Array:
    """`array` as a JAX array of real floats.

    A float64 NumPy array becomes float32 if 64-bit mode is off, as everywhere in JAX. Raises a
    TypeError for integers, booleans, complex numbers and text.
    """
    dtype = np.asarray(array).dtype if not hasattr(array, "dtype") else array.dtype
    if jnp.issubdtype(dtype, jnp.floating):
        return jnp.asarray(array)
    fix = ("take its real and imaginary parts apart"
           if jnp.issubdtype(dtype, jnp.complexfloating)
           else f"convert it with {argument}.astype(float)")
    raise TypeError(f"{argument} must hold real floating-point numbers, got {dtype}; {fix}")


def finite(argument: str, array: Any) -> None:
    """Raise a ValueError that names the first NaN or inf of `array`, if it is not being traced.

    >>> finite("X", np.array([[1.0, np.nan]]))
    Traceback (most recent call last):
        ...
    ValueError: X must be finite, got 1 NaN or inf of 2 values, the first X[0][1] = nan; ...
    """
    if not is_concrete(array):
        return
    bad = ~np.isfinite(np.asarray(array, dtype=np.float64))
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        where = "".join(f"[{i}]" for i in first)
        value = float(np.asarray(array, dtype=np.float64)[first])
        raise ValueError(
            f"{argument} must be finite, got {int(bad.sum())} NaN or inf of {bad.size} values, the "
            f"first {argument}{where} = {value}; drop or impute those values first")


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


def labels(argument: str, array: Any, classes: int) -> None:
    """Raise a ValueError unless the integers of `array` are classes from 0 to `classes` − 1.

    An array that is being traced is not checked.
    """
    if is_concrete(array):
        values = np.asarray(array)
        bad = (values < 0) | (values >= classes)
        if bad.any():
            where = "".join(f"[{i}]" for i in np.argwhere(bad)[0])
            raise ValueError(
                f"{argument} must hold classes from 0 to {classes - 1} for {classes} outputs, got "
                f"{argument}{where} = {values[bad].flat[0]}; number the classes from 0")


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


def float_dtype(argument: str, dtype: Any) -> jnp.dtype:
    """`dtype` as the floating-point dtype that JAX will use.

    The Python type `float` becomes float32 if 64-bit mode is off. Raises a TypeError for a dtype
    that is not floating-point, and a ValueError for float64 if 64-bit mode is off.
    """
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            f"{argument} must be a floating-point dtype such as jnp.float32, got {dtype!r}")
    if jax.dtypes.canonicalize_dtype(dtype) != jnp.dtype(dtype) and dtype is not float:
        raise ValueError(
            f"{argument} float64 needs 64-bit mode, which is off; use it inside "
            "`with jax.enable_x64(True):`")
    return jax.dtypes.canonicalize_dtype(dtype)


def sample_weights(argument: str, weights: Any, n: int) -> jax.Array:
    """`weights` as a JAX array of n floats.

    Raises a TypeError for anything but real floats, and a ValueError for another shape than (n,),
    for a NaN or inf, for a negative weight, and for weights that are all 0. The values of an array
    that is being traced are not checked.
    """
    weights = floating(argument, weights)
    if weights.shape != (n,):
        raise ValueError(
            f"{argument} must have one weight for each of the {n} examples, shape ({n},), got "
            f"{weights.shape}")
    finite(argument, weights)
    if is_concrete(weights):
        values = np.asarray(weights)
        if (values < 0).any() or not values.any():
            raise ValueError(
                f"{argument} must be at least 0 and not all 0, got a minimum of {values.min()} and "
                f"a sum of {values.sum()}")
    return weights
