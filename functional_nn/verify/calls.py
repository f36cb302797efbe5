"""Calling a function under test: it may be written in JAX or in NumPy, and must leave its arguments alone."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def called(function: Callable, arguments: tuple, name: str, names: tuple[str, ...] = ()) -> Any:
    """`function(*arguments)` with copies: NumPy arrays first, JAX arrays where it cannot take those.

    Args:
      name: what the function is called in errors. names: of the arguments, likewise.

    Raises:
      ValueError: it fails with both, or changes an argument in place.
    """
    failed = None
    for wrap in (np.array, jnp.array):
        copies = jax.tree.map(lambda leaf, wrap=wrap: wrap(leaf) if is_array(leaf) else leaf, arguments)
        try:
            result = function(*copies)
        except (AttributeError, TypeError, ValueError, jax.errors.JAXTypeError) as error:
            failed = failed or error
            continue
        for i, (now, before) in enumerate(zip(copies, arguments, strict=True)):
            pairs = zip(jax.tree.leaves(now), jax.tree.leaves(before), strict=True)
            if not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs if is_array(b)):
                which = names[i] if i < len(names) else i
                raise ValueError(f"{name} changed its argument {which} in place; compute with a copy")
        return result
    raise ValueError(f"{name} failed: {type(failed).__name__}: {failed}") from failed


def is_array(leaf: Any) -> bool:
    """Whether `leaf` is an array of numbers (a random key is not)."""
    return isinstance(leaf, np.ndarray) or (
        isinstance(leaf, jax.Array) and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def traceable(function: Callable, *arguments) -> bool:
    """Whether JAX can see into `function`; plain NumPy stops it."""
    try:
        jax.eval_shape(function, *arguments)
    except jax.errors.TracerArrayConversionError:
        return False
    return True
