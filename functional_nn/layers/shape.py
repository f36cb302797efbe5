"""Layers that change the shape of an example and none of its numbers."""

import math

import jax.numpy as jnp

from functional_nn.layers.factors import along, nothing
from functional_nn.layers.layer import Layer
from functional_nn.layers.windows import per_axis

__all__ = ["flatten", "reshape"]


def reshape(shape) -> Layer:
    """A layer that gives its input the shape `shape`: entries stay in row-major order.

    A network takes vectors, so a network for images begins with it. It has no parameters. Its
    backward pass gives δ the shape of the input.

    Args:
      shape: a tuple of two or more integers of at least 1; the channels come last.

    Raises a TypeError for anything else, and a ValueError for an integer below 1. `n_out` of the
    layer raises a ValueError where the input has another number of entries.

    >>> import jax.numpy as jnp
    >>> reshape((2, 2, 1)).forward((), jnp.arange(4.0), None)[0].shape
    (2, 2, 1)
    """
    wanted = per_axis("shape", shape)
    if isinstance(wanted, int):
        raise TypeError(f"shape must be a tuple of integers such as (28, 28, 1), got {shape!r}; "
                        "for a vector use flatten()")

    def n_out(n_in):
        if math.prod(wanted) != _count(n_in):
            raise ValueError(f"reshape needs {math.prod(wanted)} entries for the shape {wanted}, "
                             f"got an input of shape {n_in} with {_count(n_in)}")
        return wanted

    return _shaped("reshape", n_out, lambda a: wanted, {"shape": wanted}, str(wanted))


def flatten() -> Layer:
    """A layer that makes a vector of its input, in row-major order, for a dense layer to follow.

    It has no parameters. Its backward pass gives δ the shape of the input.

    >>> import jax.numpy as jnp
    >>> flatten().n_out((2, 2, 3))
    12
    """
    return _shaped("flatten", _count, lambda a: (a.size,), {}, "")


def _shaped(kind, n_out, shape_of, arguments, text) -> Layer:
    def forward(params, a, key):
        return a.reshape(shape_of(a)), jnp.empty((*a.shape, 0), a.dtype)  # only its shape matters

    def backward(params, like, delta):
        return delta.reshape(like.shape[:-1]), ((), ())

    def forward_tangent(params, like, d_params, d_a):
        return along(lambda d_a: d_a.reshape(shape_of(d_a)), d_a), None

    def backward_tangent(params, like, delta, d_params, d_like, d_delta):
        return backward(params, like, delta), backward(params, like, d_delta)

    return Layer(kind, n_out, lambda key, n_in, dtype: (), forward, backward, nothing,
                 arguments=arguments, text=text,
                 forward_tangent=forward_tangent, backward_tangent=backward_tangent)


def _count(n_in: int | tuple[int, ...]) -> int:
    return n_in if isinstance(n_in, int) else math.prod(n_in)
