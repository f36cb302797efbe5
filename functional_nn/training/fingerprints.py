"""Fingerprints of what a run computes: of arrays by their bytes, of functions by their traces.

An optimiser, a penalty and a gradient are functions that other functions made. Neither their names
nor their identity says what they compute, but their trace does: JAX's jaxpr lists every operation
and every number, a learning rate, a schedule's last step or a strength of decay among them.
"""

import hashlib
import re
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from jax.extend import core

__all__ = ["of_array", "of_function", "of_rows"]

ADDRESS = re.compile(r"0x[0-9a-f]+")
BLOCK_BYTES = 2**24


def of_array(array) -> list:
    """The dtype, the shape and the CRC-32 of the bytes of an array, as JSON values.

    >>> of_array(np.arange(3, dtype=np.int8))
    ['int8', [3], 139757951]
    """
    array = np.ascontiguousarray(array)
    return [str(array.dtype), list(array.shape), zlib.crc32(array.reshape(-1).view(np.uint8))]


def of_rows(array: np.ndarray) -> list:
    """The same as `of_array`, of an array that may lie on disk: it is read in blocks of rows."""
    step = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    checksum = 0
    for start in range(0, len(array), step):
        block = np.ascontiguousarray(array[start:start + step])
        checksum = zlib.crc32(block.reshape(-1).view(np.uint8), checksum)
    return [str(array.dtype), list(array.shape), checksum]


def of_function(function: Callable, *arguments) -> str:
    """The fingerprint of what `function` computes of `arguments`, a text of 32 hex digits.

    It covers every operation, every constant, and the shapes and dtypes of the arguments, but not
    their values. It is the same in every process with the same versions of the packages. What
    Python computes in a callback of JAX is not seen.

    >>> scaled = lambda rate: lambda x: rate * x
    >>> one, same, other = (of_function(scaled(rate), 1.0) for rate in (0.5, 0.5, 0.25))
    >>> one == same, one == other
    (True, False)
    """
    traced = jax.make_jaxpr(function, return_shape=True)(*arguments)
    text = _jaxpr(traced[0]) + str(jax.tree.structure(traced[1]))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _jaxpr(closed: core.ClosedJaxpr | core.Jaxpr) -> str:
    """A jaxpr as text: variables are numbered, constants stand with their bytes."""
    inner = closed if isinstance(closed, core.Jaxpr) else closed.jaxpr
    numbers: dict[Any, int] = {}

    def named(variables: Iterable) -> str:
        return " ".join(
            f"{_value(v.val)}:{v.aval}" if isinstance(v, core.Literal)
            else f"{numbers.setdefault(v, len(numbers))}:{v.aval}" for v in variables)

    lines = [named(inner.constvars), named(inner.invars)]
    lines += [_value(constant) for constant in getattr(closed, "consts", ())]
    for equation in inner.eqns:
        settings = _value(dict(sorted(equation.params.items())))
        lines.append(f"{named(equation.outvars)} = {equation.primitive} {settings} "
                     f"{named(equation.invars)}")
    return "\n".join([*lines, named(inner.outvars)])


def _value(value: Any) -> str:
    """A constant or a setting of an operation as text, the same in every process."""
    if isinstance(value, core.ClosedJaxpr | core.Jaxpr):
        return f"{{{_jaxpr(value)}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}={_value(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_value, value))})"
    if isinstance(value, set | frozenset):
        return f"({', '.join(sorted(map(_value, value)))})"
    if isinstance(value, jax.Array) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        return f"{value.dtype} {_value(jax.random.key_data(value))}"
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return str(of_array(value))
    return ADDRESS.sub("", repr(value))
