"""Call a function under test, which may be written in JAX or in NumPy.

The function must not change its arguments.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@contextlib.contextmanager
def proof() -> Iterator[None]:
    """A context for a check: float64, in which a NaN or inf is a finding and raises no error."""
    with jax.enable_x64(True), jax.debug_nans(False), jax.debug_infs(False):
        yield


def called(function: Callable, arguments: tuple, name: str, names: tuple[str, ...] = ()) -> Any:
    """Return `function(*arguments)`, called with copies of the arguments.

    The copies are NumPy arrays; if the function fails with these, they are JAX arrays.

    Args:
      function: the function to call.
      arguments: its arguments, trees of arrays and other objects.
      name: the function's name in error messages.
      names: the arguments' names in error messages.

    Raises:
      ValueError: the function fails with both kinds of array, or changes an argument in place.
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
    """Return whether `leaf` is an array of numbers; a random key is not."""
    return isinstance(leaf, np.ndarray) or (
        isinstance(leaf, jax.Array) and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def traceable(function: Callable, *arguments) -> bool:
    """Return whether JAX can trace `function`, which it cannot if the function uses plain NumPy."""
    try:
        jax.eval_shape(function, *arguments)
    except jax.errors.TracerArrayConversionError:
        return False
    return True
