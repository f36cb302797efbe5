"""Convolution of signals and images (LeCun et al., 1998)."""

import math

import jax
import jax.numpy as jnp

from functional_nn import activations, checks, initializers
from functional_nn.layers.factors import Factors, along, plus, squares_of
from functional_nn.layers.layer import Equations, Layer
from functional_nn.layers.windows import PADDINGS, Grid, grid, per_axis

__all__ = ["convolution"]


def convolution(
    channels: int, size, activation="linear", stride=1, padding="valid", init="glorot_uniform"
) -> Layer:
    """A convolution: one dense layer of `channels` neurons, applied to every window of its input.

        z[t, o] = Σ W[o, k, c] a[s t + k, c] + b[o]

    The sum runs over the places k of a window and the channels c, t is the place of the window, and
    s the stride. As in other libraries of neural networks, the weights are not flipped. The input
    has the shape (n_1, …, n_d, channels): d = 1 for a signal, d = 2 for an image. The parameters
    are {"w": (channels, *size, channels of the input), "b": (channels,)}.

    With p_t the window at t, the gradient is that of dense layers, summed over the windows,
    ∂L/∂W = Σ_t δ_t p_tᵀ and ∂L/∂b = Σ_t δ_t, and ∂L/∂a spreads Wᵀδ_t over the entries of window t.

    Args:
      channels: the number of channels of the output, an integer of at least 1.
      size: of the windows, an integer of at least 1 or a tuple with one for each axis.
      activation: σ, a name or an `Activation`.
      stride: from one window to the next, as `size`.
      padding: "valid", "same" for as many windows as n / stride, or how many zeros to add on every
        side of the input, an integer of at least 0.
      init: as for `dense`; it is called with (entries of a window, channels).

    Raises a TypeError or ValueError that names the wrong argument. `n_out` of the layer raises a
    ValueError where the input is a vector or no window fits.

    >>> import jax.numpy as jnp
    >>> params = {"w": jnp.array([[[-1.0], [1.0]]]), "b": jnp.zeros(1)}       # differences
    >>> a = jnp.array([1.0, 3.0, 6.0, 10.0])[:, None]
    >>> convolution(1, 2).forward(params, a, None)[0].ravel().tolist()
    [2.0, 3.0, 4.0]
    """
    channels, size = checks.integer("channels", channels), per_axis("size", size)
    stride, init = per_axis("stride", stride), initializers.get(init)
    activation = activations.get(activation)
    if isinstance(padding, str):
        checks.one_of("padding", padding, PADDINGS)
    else:
        padding = checks.integer("padding", padding, low=0)

    def of(shape) -> Grid:
        return grid("convolution", shape, size, stride, padding)

    def start(key, n_in, dtype):
        key_w, key_b = jax.random.split(key)
        window = (*of(n_in).size, n_in[-1])
        kernel = init.weights(key_w, (math.prod(window), channels), dtype)
        return {"w": kernel.T.reshape(channels, *window),
                "b": init.biases(key_b, (channels,), dtype)}

    def apply(params, a):
        b = params["b"].reshape((1,) * (a.ndim - 1) + (-1,))
        return _correlated(of(a.shape), params["w"], a) + b

    def forward(params, a, key):
        return apply(params, a), a

    def backward(params, a, delta):
        return _transposed(of(a.shape), params["w"], delta), (delta, a)

    def forward_tangent(params, a, d_params, d_a):
        return plus(apply(d_params, a), along(
            lambda d_a: _correlated(of(a.shape), params["w"], d_a), d_a)), d_a

    def backward_tangent(params, a, delta, d_params, d_a, d_delta):
        here = of(a.shape)
        d_cotangent = _transposed(here, d_params["w"], delta) + _transposed(
            here, params["w"], d_delta)
        return backward(params, a, delta), (d_cotangent, (d_delta, d_a))

    arguments = {"channels": channels, "size": size, "activation": activation, "stride": stride,
                 "padding": padding, "init": init}
    text = f"{channels}, {size}, {activation}" + (f", stride={stride}" if stride != 1 else "") + (
        f", padding={padding!r}" if padding != "valid" else "")
    return Layer("convolution", lambda n_in: (*of(n_in).n_out, channels), start, forward, backward,
                 _factors(of, apply), activation, arguments=arguments, text=text,
                 forward_tangent=forward_tangent, backward_tangent=backward_tangent,
                 equations=Equations("Σₖ Wₖ aₛₜ₊ₖ + b for each t", "Σₜ Wₖᵀ δₜ for each s t + k"))


def _correlated(here: Grid, w, a):
    """Σ W[o, k, c] a[s t + k, c] over k and c, (*t, o)."""
    return jax.lax.conv_general_dilated(
        a[None], w, here.stride, here.padding,
        dimension_numbers=_axes("NxC", "OxI", "NxC", here))[0]


def _transposed(here: Grid, w, delta):
    """Wᵀδ_t spread over the entries of window t, (*n_in): a convolution with the flipped kernel.

    With s − 1 zeros between the entries of δ, and k − 1 − before zeros in front of them, entry i
    meets the windows that it lies in.
    """
    flipped = jnp.flip(w, axis=range(1, w.ndim - 1))
    edges = [(k - 1 - before, n - 1 - (m - 1) * s + before) for k, (before, _), n, m, s in zip(
        here.size, here.padding, here.n_in, here.n_out, here.stride, strict=False)]
    return jax.lax.conv_general_dilated(
        delta[None], flipped, (1,) * len(here.size), edges, lhs_dilation=here.stride,
        dimension_numbers=_axes("NxC", "IxO", "NxC", here))[0]


def _contracted(here: Grid, delta, a):
    """Σᵢ Σ_t δᵢ_t pᵢ_tᵀ over the batch and the windows, (o, *k, c): δ is slid over the input."""
    edges = [(before, k - n - before + (m - 1) * s) for k, (before, _), n, m, s in zip(
        here.size, here.padding, here.n_in, here.n_out, here.stride, strict=False)]
    return jax.lax.conv_general_dilated(
        a, delta, (1,) * len(here.size), edges, rhs_dilation=here.stride,
        dimension_numbers=_axes("CxN", "IxO", "CxN", here))


def _axes(*layouts_and_grid) -> tuple[str, ...]:
    """The names of axes for JAX, such as "NHWC" for "NxC" and an image."""
    *layouts, here = layouts_and_grid
    return tuple(layout.replace("x", "DHW"[-len(here.size):]) for layout in layouts)


def _factors(of, apply) -> Factors:
    """Factors (δ, a): the gradient of one example is Σ_t δ_t p_tᵀ, which is not of rank one.

    Where its norm or square is asked for, the gradient of one example at a time is formed. It is as
    small as the kernel.
    """
    def flat(delta, a):
        """δ and the windows with one axis for t, (T, o) and (K, T, c), and the shape of W."""
        here = of(a.shape)
        windows = here.take(a).reshape(math.prod(here.size), -1, a.shape[-1])
        return delta.reshape(-1, delta.shape[-1]), windows, (-1, *here.size, a.shape[-1])

    def gradient(factors):
        delta, windows, shape = flat(*factors)
        return {"w": jnp.einsum("to,ktc->okc", delta, windows).reshape(shape),
                "b": jnp.sum(delta, axis=0)}

    def weighted_sum(factors, weights):
        delta, a = factors
        delta = jnp.einsum("i,i...->i...", weights, delta)
        return {"w": _contracted(of(a.shape[1:]), delta, a),
                "b": jnp.sum(delta, axis=tuple(range(delta.ndim - 1)))}

    def squared_norm(factors):
        return sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(gradient(factors)))

    def tangent(factors, tangents, weights):
        (delta, a), (d_delta, d_a) = factors, tangents
        first = weighted_sum((d_delta, a), weights)
        second = along(lambda d_a: weighted_sum((delta, d_a), weights)["w"], d_a)
        return {**first, "w": plus(first["w"], second)}

    def kronecker(factors, weights):
        delta, a = factors
        windows = jax.vmap(lambda a: flat(delta[0, 0], a)[1])(a)
        windows = jnp.moveaxis(windows, 1, 2).reshape(*windows.shape[:1], windows.shape[2], -1)
        delta = delta.reshape(*delta.shape[:2], -1, delta.shape[-1])
        return {"inputs": jnp.einsum("i,itj,itk->jk", weights, windows, windows),
                "errors": jnp.einsum("i,icto,ictp->op", weights, delta, delta) / delta.shape[2]}

    return Factors(gradient, weighted_sum, squared_norm,
                   lambda factors, v: jnp.vdot(factors[0], apply(v, factors[1])),
                   squares_of(gradient), tangent, kronecker)
