"""Room in arrays for more rows, so that runs on nearly as many rows share what is compiled.

A compiled program is for one shape. Arrays of n rows are therefore given `room(n)` rows, and those
after the first n are not used.
"""

import jax
import numpy as np

__all__ = ["padded", "room"]


def room(n: int) -> int:
    """The number of rows of arrays of n examples: n, or up to an eighth more.

    >>> [room(n) for n in (1, 15, 400, 401, 416, 417)]
    [1, 15, 416, 416, 416, 448]
    """
    step = 1 << max(0, n.bit_length() - 4)
    return -(-n // step) * step


def padded(array: jax.Array | np.ndarray, rows: int) -> jax.Array:
    """The array on the device, with copies of its first row after its own, (rows, …).

    They are copies as the loss of an example need not be finite for zeros.
    """
    own = np.asarray(array)  # on the host, where nothing is compiled
    whole = np.empty((rows, *own.shape[1:]), own.dtype)
    whole[:len(own)], whole[len(own):] = own, own[0]
    return jax.device_put(whole)
