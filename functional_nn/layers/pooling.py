"""Pooling: the mean or the largest entry of each window (LeCun et al., 1998)."""

from collections.abc import Callable

import jax.numpy as jnp

from functional_nn.layers.factors import along, nothing
from functional_nn.layers.layer import Layer
from functional_nn.layers.windows import grid, per_axis

__all__ = ["average_pool", "max_pool"]


def average_pool(size, stride=None) -> Layer:
    """A pooling layer: z is the mean of the K entries of each window, channel by channel.

    Its input has the shape (n_1, …, n_d, channels); windows that do not fit are left out. It has no
    parameters. In its backward pass each entry of a window gets δ / K.

    Args:
      size: of the windows, an integer of at least 1 or a tuple with one for each axis.
      stride: from one window to the next, likewise; None for `size`: windows do not overlap.

    Raises a TypeError or ValueError that names the wrong argument. `n_out` of the layer raises a
    ValueError where no window fits.

    >>> import jax.numpy as jnp
    >>> a = jnp.array([1.0, 3.0, 5.0, 9.0])[:, None]                      # a signal of one channel
    >>> average_pool(2).forward((), a, None)[0].ravel().tolist()
    [2.0, 7.0]
    """
    return _pool("average_pool", size, stride, lambda windows: jnp.full_like(
        windows, 1 / windows.shape[0]))


def max_pool(size, stride=None) -> Layer:
    """A pooling layer: z is the largest of the entries of each window, channel by channel.

    In its backward pass the largest entry of a window gets δ. Entries that tie share it equally, as
    `jax.grad` of the maximum has it.

    Args:
      size, stride: as for `average_pool`.

    Raises the errors of `average_pool`.

    >>> import jax.numpy as jnp
    >>> a = jnp.array([1.0, 3.0, 5.0, 9.0])[:, None]
    >>> max_pool(2).forward((), a, None)[0].ravel().tolist()
    [3.0, 9.0]
    """
    def won(windows):
        best = (windows == jnp.max(windows, axis=0)[None]).astype(windows.dtype)
        return best / jnp.sum(best, axis=0, keepdims=True)

    return _pool("max_pool", size, stride, won)


def _pool(kind: str, size, stride, shares_of: Callable) -> Layer:
    """The layer z = Σ shares ⊙ window. A small change of the input does not change the shares."""
    size = per_axis("size", size)
    stride = size if stride is None else per_axis("stride", stride)

    def of(shape):
        return grid(kind, shape, size, stride)

    def forward(params, a, key):
        windows = of(a.shape).take(a)
        shares = shares_of(windows)
        return jnp.sum(shares * windows, axis=0), (shares, jnp.empty((*a.shape, 0), a.dtype))

    def backward(params, saved, delta):
        shares, like = saved
        return of(like.shape[:-1]).spread(shares * delta[None]), ((), ())

    def forward_tangent(params, saved, d_params, d_a):
        return along(lambda d_a: jnp.sum(saved[0] * of(d_a.shape).take(d_a), axis=0), d_a), None

    def backward_tangent(params, saved, delta, d_params, d_saved, d_delta):
        return backward(params, saved, delta), backward(params, saved, d_delta)

    return Layer(kind, lambda n_in: (*of(n_in).n_out, n_in[-1]), lambda key, n_in, dtype: (),
                 forward, backward, nothing, arguments={"size": size, "stride": stride},
                 text=f"{size}" if stride == size else f"{size}, stride={stride}",
                 forward_tangent=forward_tangent, backward_tangent=backward_tangent)
