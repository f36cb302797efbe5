"""Windows of an array: what convolution and pooling look at, and its adjoint.

An array of one example has the shape (n_1, …, n_d, channels) with d = 1 for a signal and d = 2 for
an image. A window of the size (k_1, …, k_d) has K = k_1 ⋯ k_d places. Below, `Grid` knows where the
windows lie; `take` and `spread` are each other's adjoint: ⟨take(a), w⟩ = ⟨a, spread(w)⟩.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks

__all__ = ["Grid", "grid", "per_axis"]

PADDINGS = {"valid": lambda n, k, s: (0, 0), "same": lambda n, k, s: jax.lax.padtype_to_pads(
    (n,), (k,), (s,), "SAME")[0]}


class Grid(NamedTuple):
    """The windows of arrays of one shape.

    Attributes:
      n_in: the shape of the array, with the channels last.
      size, stride: of a window, along each axis but the channels.
      padding: (before, after) along each axis: how many zeros surround the array.
      n_out: how many windows there are along each axis.
    """

    n_in: tuple[int, ...]
    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    n_out: tuple[int, ...]

    @property
    def tiles(self) -> bool:
        """Whether the windows lie side by side, so that taking them only reorders the entries."""
        return self.stride == self.size and not any(map(any, self.padding))

    def take(self, a) -> jax.Array:
        """The windows of `a`, (K, *n_out, channels).

        They are one strided slice for each place. Tiles are a transpose, which the compiler fuses
        with what follows.
        """
        if self.tiles:
            axes = range(len(self.size))
            whole = a[tuple(slice(n * k) for n, k in zip(self.n_out, self.size, strict=True))]
            parts = whole.reshape(*itertools.chain(*zip(self.n_out, self.size, strict=True)), -1)
            return jnp.moveaxis(parts, [2 * i + 1 for i in axes], axes).reshape(
                -1, *self.n_out, a.shape[-1])
        padded = jnp.pad(a, (*self.padding, (0, 0)))
        ends = [(n - 1) * s + 1 for n, s in zip(self.n_out, self.stride, strict=True)]
        return jnp.stack([
            jax.lax.slice(padded, (*place, 0), (*np.add(place, ends).tolist(), a.shape[-1]),
                          (*self.stride, 1))
            for place in self._places()])

    def spread(self, windows) -> jax.Array:
        """The array that has at each entry the sum of the entries of `windows` taken from it."""
        if self.tiles:
            axes = range(len(self.size))
            parts = windows.reshape(*self.size, *windows.shape[1:])
            whole = jnp.moveaxis(parts, axes, [2 * i + 1 for i in axes]).reshape(
                *(n * k for n, k in zip(self.n_out, self.size, strict=True)), -1)
            return jnp.pad(whole, [(0, n - m) for n, m in zip(self.n_in, whole.shape, strict=True)])
        zero, total = jnp.zeros((), windows.dtype), 0
        for place, part in zip(self._places(), windows, strict=True):
            edges = [
                (k - before, n + before - k - (m - 1) * s - 1, s - 1)
                for k, (before, _), n, m, s in zip(
                    place, self.padding, self.n_in, self.n_out, self.stride, strict=False)]
            total = total + jax.lax.pad(part, zero, (*edges, (0, 0, 0)))
        return total

    def _places(self):
        return itertools.product(*map(range, self.size))


def grid(layer: str, n_in: Any, size, stride, padding="valid") -> Grid:
    """The `Grid` of a layer's windows for inputs of the shape `n_in`.

    Args:
      layer: the layer, for messages.
      n_in: the shape of the input.
      size, stride: integers, or tuples with one for each axis.
      padding: "valid" without zeros around the array, "same" for n / stride windows, or how many
        zeros to add on every side.

    Raises a ValueError where no window fits.

    >>> grid("pool", (5, 5, 1), 2, 2).n_out, grid("convolution", (5, 1), 3, 1, "same").n_out
    ((2, 2), (5,))
    """
    if not isinstance(n_in, tuple) or len(n_in) < 2:
        raise ValueError(f"{layer} takes an array with channels last, got a vector of {n_in} "
                         f"entries; put a reshape such as reshape((28, 28, 1)) before it")
    axes = len(n_in) - 1
    sizes, strides = (_each(layer, name, value, axes)
                      for name, value in (("size", size), ("stride", stride)))
    pads = tuple(PADDINGS[padding](*each) if isinstance(padding, str) else (padding, padding)
                 for each in zip(n_in, sizes, strides, strict=False))
    n_out = tuple((n + sum(pad) - k) // s + 1
                  for n, pad, k, s in zip(n_in, pads, sizes, strides, strict=False))
    if min(n_out) < 1:
        raise ValueError(f"{layer} has windows of size {sizes}, which are larger than its input "
                         f"of shape {n_in}; choose smaller windows or padding='same'")
    return Grid(n_in, sizes, strides, pads, n_out)


def _each(layer: str, name: str, value: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * axes
    if len(value) != axes:
        raise ValueError(f"{layer} has {name}={value}, but its input has {axes} axes beside the "
                         "channels; give one integer for each")
    return value


def per_axis(argument: str, value: Any) -> int | tuple[int, ...]:
    """`value` as an integer of at least 1, or as a tuple of such integers.

    Raises a TypeError for anything else, and a ValueError for an integer below 1.
    """
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value):
        return tuple(checks.integer(f"{argument}[{i}]", each) for i, each in enumerate(value))
    return checks.integer(argument, value)
