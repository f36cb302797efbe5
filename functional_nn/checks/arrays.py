"""Checks of arrays: numbers that reach JAX with their values.

JAX narrows an array on its way in. Without 64-bit mode int64 becomes int32, in which 2³² + 1 is 1,
and float64 becomes float32, in which 1e39 is inf. So an array of a user stays in NumPy until its
values are known to fit: every door takes it by `floating` or `real`, looks at its values, and hands
it on by `as_jax`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["as_jax", "bounded", "features", "finite", "float_dtype", "floating", "is_concrete",
           "labels", "real", "sample_weights", "taken", "tokens", "told_apart", "unmasked"]

# A feature whose values differ by less than so many steps of its dtype is no feature any more.
FEWEST_STEPS = 100
NOISE = 1e-12  # relative differences that are the rounding of float64


def is_concrete(array: Any) -> bool:
    """Whether the values of `array` are known, which they are not while it is traced."""
    return not isinstance(array, jax.core.Tracer)


def unmasked(**arrays: Any) -> None:
    """Raise a ValueError for a masked value, under whose mask any number may stand.

    >>> unmasked(X=np.ma.masked_invalid([1.0, np.nan]))
    Traceback (most recent call last):
        ...
    ValueError: X must hold a value in every place, got a masked array with 1 of 2 masked; fill ...
    """
    for argument, array in arrays.items():
        masked = np.ma.count_masked(array) if isinstance(array, np.ma.MaskedArray) else 0
        if masked:
            raise ValueError(
                f"{argument} must hold a value in every place, got a masked array with {masked} of "
                f"{array.size} masked; fill them with {argument}.filled(value), or drop those rows")


def taken(argument: str, array: Any) -> np.ndarray | jax.Array:
    """`array` as a NumPy array of the machine's byte order; a JAX array, traced or not, as it is.

    Raises a ValueError for a masked value.
    """
    if isinstance(array, jax.Array):
        return array
    if type(array) is float:
        return jnp.asarray(array)  # which takes the dtype of the arrays that it is combined with
    unmasked(**{argument: array})
    array = np.asarray(array)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:  # long double, which JAX has not
        with np.errstate(over="ignore"):
            narrow = array.astype(np.float64)
        _check_held(argument, array, narrow)
        return narrow
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _fix(argument: str, given: Any, dtype: np.dtype, otherwise: str) -> str:
    """The advice for an array that does not hold the wanted numbers."""
    if hasattr(given, "toarray"):
        return f"a sparse matrix becomes an array by {argument}.toarray()"
    if jnp.issubdtype(dtype, jnp.complexfloating):
        return "take its real and imaginary parts apart"
    return otherwise


def floating(argument: str, array: Any) -> jax.Array:
    """`array` as a JAX array of real floats.

    A float64 NumPy array becomes float32 if 64-bit mode is off, as everywhere in JAX. Raises a
    TypeError for integers, booleans, complex numbers, text and objects, and a ValueError for a
    masked value and for a number that float32 cannot hold.

    >>> floating("X", np.array([1.0, 1e39]))
    Traceback (most recent call last):
        ...
    ValueError: X must hold numbers that float32 can hold, up to 3.4e+38, got X[1] = 1e+39; ...
    """
    return as_jax(argument, _floats(argument, array))


def _floats(argument: str, array: Any) -> np.ndarray | jax.Array:
    """`array` in NumPy or in JAX, after a check that it holds real floats."""
    values = taken(argument, array)
    if jnp.issubdtype(values.dtype, jnp.floating):
        return values
    fix = _fix(argument, array, values.dtype, f"convert it with {argument}.astype(float)")
    raise TypeError(
        f"{argument} must hold real floating-point numbers, got {values.dtype}; {fix}")


def real(argument: str, array: Any) -> np.ndarray | jax.Array:
    """`array` in NumPy, or in JAX if it is there, after a check that it holds real numbers.

    Booleans are numbers here. Raises a TypeError for complex numbers, text and objects, and a
    ValueError for a masked value.
    """
    values = taken(argument, array)
    if jnp.issubdtype(values.dtype, jnp.floating) or jnp.issubdtype(values.dtype, jnp.integer) or (
            values.dtype == bool):
        return values
    raise TypeError(
        f"{argument} must hold real numbers, or integer classes from 0, got {values.dtype}; "
        + _fix(argument, array, values.dtype, "number the classes"))


def features(argument: str, array: Any) -> jax.Array:
    """`floating` for the features of examples, (n, …), which must stay apart in JAX's dtype."""
    values = _floats(argument, array)
    told_apart(argument, values, jax.dtypes.canonicalize_dtype(values.dtype))
    return as_jax(argument, values)


def as_jax(argument: str, array: np.ndarray | jax.Array, dtype: Any = None) -> jax.Array:
    """`array` as a JAX array of `dtype`, a float; without it, of the dtype that JAX has for it.

    Integers that are too large for an int32 become floats if 64-bit mode is off. Raises a
    ValueError that names the first value that `dtype` cannot hold. An array that is being traced
    is not checked.

    >>> as_jax("Y", np.array([2**32 + 1, 7])).tolist()
    [4294967296.0, 7.0]
    """
    if dtype is None:
        dtype = jax.dtypes.canonicalize_dtype(array.dtype)
        if jnp.issubdtype(dtype, jnp.integer) and dtype != array.dtype and not _fits(array, dtype):
            dtype = jax.dtypes.canonicalize_dtype(float)
    if array.dtype == dtype:
        return array if isinstance(array, jax.Array) else jax.device_put(array)
    if not is_concrete(array):
        return array.astype(dtype)
    values = np.asarray(array)
    with np.errstate(over="ignore"):
        narrow = values.astype(dtype)
    if jnp.issubdtype(dtype, jnp.floating):
        _check_held(argument, values, narrow)
    return jax.device_put(narrow)  # which compiles nothing, as jnp.asarray does for each shape


def _fits(array: np.ndarray, dtype: np.dtype) -> bool:
    limits = np.iinfo(dtype)
    return not array.size or bool(limits.min <= array.min() and array.max() <= limits.max)


def _check_held(argument: str, values: np.ndarray, narrow: np.ndarray) -> None:
    """Raise a ValueError if a finite value of `values` is infinite in `narrow`."""
    lost = np.isfinite(values) & ~np.isfinite(narrow)
    if lost.any():
        first = tuple(np.argwhere(lost)[0].tolist())
        largest = float(jnp.finfo(narrow.dtype).max)
        raise ValueError(
            f"{argument} must hold numbers that {narrow.dtype} can hold, up to {largest:.2g}, got "
            f"{argument}{_index(first)} = {values[first]}; standardise them, or scale them down")


def told_apart(argument: str, array: Any, dtype: Any) -> None:
    """Raise a ValueError for a column whose values differ by less than `dtype` can tell apart.

    An example are the seconds since 1970 within an hour: in float32 they have steps of 128. The
    first axis of `array` counts the examples. An array that is being traced is not checked.

    >>> seconds = 1.7e9 + np.arange(0.0, 3600.0, 60.0)
    >>> told_apart("X", np.column_stack([np.ones(60), seconds]), np.float32)
    Traceback (most recent call last):
        ...
    ValueError: X[:, 1] must differ by more than float32 can tell apart, got 1.7e+09 to ...
    """
    if not is_concrete(array) or array.dtype == dtype or not np.ndim(array) or not array.size:
        return
    values = np.asarray(array).reshape(len(array), -1)
    low, high = (np.asarray(end, np.float64) for end in (values.min(axis=0), values.max(axis=0)))
    size, step = np.maximum(np.abs(low), np.abs(high)), float(jnp.finfo(dtype).eps) / 2
    with np.errstate(invalid="ignore"):
        bad = (high - low > NOISE * size) & (FEWEST_STEPS * step * size > high - low)
    if bad.any():
        j = int(bad.argmax())
        where = f"[:, {j}]" if array.ndim == 2 else ""
        raise ValueError(
            f"{argument}{where} must differ by more than {jnp.dtype(dtype)} can tell apart, got "
            f"{low[j]:.9g} to {high[j]:.9g}; subtract its mean, or standardise it, before it is "
            "rounded")


def finite(argument: str, array: Any) -> None:
    """Raise a ValueError that names the first NaN or inf of `array`, if it is not being traced.

    >>> finite("X", np.array([[1.0, np.nan]]))
    Traceback (most recent call last):
        ...
    ValueError: X must be finite, got 1 NaN or inf of 2 values, the first X[0][1] = nan; ...
    """
    if not is_concrete(array):
        return
    values = np.asarray(array)
    bad = ~np.isfinite(values)
    if bad.any():
        first = tuple(np.argwhere(bad)[0].tolist())
        raise ValueError(
            f"{argument} must be finite, got {int(bad.sum())} NaN or inf of {bad.size} values, the "
            f"first {argument}{_index(first)} = {float(values[first])}; drop or impute those "
            "values first")


def _index(place: tuple[int, ...]) -> str:
    return "".join(f"[{i}]" for i in place)


def labels(argument: str, array: Any, classes: int) -> None:
    """Raise a ValueError unless the integers of `array` are classes from 0 to `classes` − 1.

    An array that is being traced is not checked.
    """
    if is_concrete(array):
        values = np.asarray(array)
        bad = (values < 0) | (values >= classes)
        if bad.any():
            where = _index(tuple(np.argwhere(bad)[0].tolist()))
            raise ValueError(
                f"{argument} must hold classes from 0 to {classes - 1} for {classes} outputs, got "
                f"{argument}{where} = {values[bad].flat[0]}; number the classes from 0")


def tokens(argument: str, array: Any, n: int) -> None:
    """Raise a ValueError unless `array` holds the numbers of n tokens: whole, from 0 to n − 1.

    An array that is being traced is not checked.

    >>> tokens("X", np.array([[0.0, 7.0]]), 7)
    Traceback (most recent call last):
        ...
    ValueError: X must hold the numbers of tokens, from 0 to 6, got X[0][1] = 7.0; give ...
    """
    if is_concrete(array):
        values = np.asarray(array).astype(np.float64)
        bad = (values < 0) | (values >= n) | (values != np.round(values))
        if bad.any():
            where = tuple(np.argwhere(bad)[0].tolist())
            raise ValueError(
                f"{argument} must hold the numbers of tokens, from 0 to {n - 1}, got "
                f"{argument}{_index(where)} = {values[where]}; give every token a whole number, "
                "and embedding(tokens, width) as many tokens as there are")


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


def sample_weights(argument: str, weights: Any, n: int) -> np.ndarray | jax.Array:
    """`weights` as n floats, in NumPy, or in JAX if they are there.

    Raises a TypeError for anything but real floats, and a ValueError for another shape than (n,),
    for a NaN or inf, for a negative weight, and for weights that are all 0. The values of an array
    that is being traced are not checked.
    """
    weights = _floats(argument, weights)
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


def bounded(weights: np.ndarray | jax.Array) -> np.ndarray | jax.Array:
    """`weights` times a power of two that brings the largest to between ½ and 1.

    Their ratios stay the same to the bit, and their sum cannot overflow.

    >>> bounded(np.array([3e38, 1.5e38], np.float32)).tolist()
    [0.88..., 0.44...]
    """
    xp = np if isinstance(weights, np.ndarray) else jnp
    _, exponent = xp.frexp(weights.max())
    return xp.ldexp(weights, -exponent)
