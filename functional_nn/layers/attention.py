"""Self-attention (Vaswani et al., 2017)."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from functional_nn import checks, initializers
from functional_nn.layers.factors import shared
from functional_nn.layers.layer import Equations, Layer, sequence

__all__ = ["attention"]


class Attended(NamedTuple):
    """What attention saves for its backward pass.

    Attributes:
      a: the input, (time, n_in).
      q, k, v: queries, keys and values, (heads, time, m).
      p: how much place t attends to place u, (heads, time, time); each row adds up to 1.
      c: the means of the values, (time, width).
    """

    a: jax.Array
    q: jax.Array
    k: jax.Array
    v: jax.Array
    p: jax.Array
    c: jax.Array


def attention(
    width: int, heads: int = 1, causal: bool = False, init="glorot_uniform"
) -> Layer:
    """Self-attention: each place of a sequence takes a mean over all places, by their likeness.

        q = a W_qᵀ,  k = a W_kᵀ,  v = a W_vᵀ               queries, keys and values, (time, width)
        p[t, u] = softmax over u of q_t · k_u / √m         how much place t attends to place u
        c_t = Σ_u p[t, u] v_u,   z = c W_oᵀ

    With several heads, q, k and v are cut into `heads` pieces of m = width / heads entries. Each
    head has a p of its own, and c joins their results. The input has the shape (time, n_in), and
    the output (time, width). The parameters are {"q", "k", "v": (width, n_in), "o": (width,
    width)}; there are no biases.

    Backwards, e_c = δ W_o, and with e_p[t, u] = e_c_t · v_u the Jacobian of softmax gives
    e_s = p ⊙ (e_p − Σ_u p e_p). Then e_v = pᵀ e_c, e_q = e_s k / √m, e_k = e_sᵀ q / √m, and
    ∂L/∂a = e_q W_q + e_k W_k + e_v W_v. The gradients are Σ_t of the outer products: e_q aᵀ for
    W_q, likewise for W_k and W_v, and δ cᵀ for W_o.

    Args:
      width: of the output, and of queries, keys and values together, an integer of at least 1.
      heads: an integer of at least 1 that divides width.
      causal: whether place t attends to the places u ≤ t alone.
      init: as for `dense`.

    Raises a TypeError or ValueError that names the wrong argument. `n_out` of the layer raises a
    ValueError for an input that is no sequence.

    >>> one = jnp.eye(1)
    >>> params = {"q": 0 * one, "k": one, "v": one, "o": one}                # all places alike
    >>> a = jnp.array([[3.0], [6.0], [9.0]])
    >>> for causal in (False, True):                                         # means of a
    ...     z, _ = attention(1, causal=causal).forward(params, a, None)
    ...     print([round(mean, 3) for mean in z.ravel().tolist()])
    [6.0, 6.0, 6.0]
    [3.0, 4.5, 6.0]
    """
    width, heads = checks.integer("width", width), checks.integer("heads", heads)
    if width % heads:
        raise ValueError(f"heads must divide width, got width={width} and heads={heads}; each head "
                         "has width / heads entries")
    if not isinstance(causal, bool):
        raise TypeError(f"causal must be True or False, got {causal!r}")
    init, scale = initializers.get(init), 1 / math.sqrt(width // heads)

    def start(key, n_in, dtype):
        rows = dict.fromkeys("qkv", n_in[1]) | {"o": width}
        return {name: init.weights(k, (n, width), dtype).T for (name, n), k in zip(
            rows.items(), jax.random.split(key, 4), strict=True)}

    def split(x):
        """(time, width) -> (heads, time, m)."""
        return jnp.swapaxes(x.reshape(x.shape[0], heads, -1), 0, 1)

    def join(x):
        return jnp.swapaxes(x, 0, 1).reshape(x.shape[1], -1)

    def scores(q, k):
        """q_t · k_u / √m for each head, (heads, time, time)."""
        return scale * (q @ k.mT)

    def forward(params, a, key):
        q, k, v = (split(a @ params[name].T) for name in "qkv")
        s = scores(q, k)
        p = jax.nn.softmax(jnp.where(_seen(s), s, -jnp.inf) if causal else s)
        c = join(p @ v)
        return c @ params["o"].T, Attended(a, q, k, v, p, c)

    def backward(params, saved, delta):
        a, q, k, v, p, c = saved
        e_c = split(delta @ params["o"])
        e_s = scale * _softmax_product(p, e_c @ v.mT)  # 0 wherever p is 0, as behind a causal mask
        errors = {"q": join(e_s @ k), "k": join(e_s.mT @ q), "v": join(p.mT @ e_c), "o": delta}
        return (sum(errors[name] @ params[name] for name in "qkv"),
                (errors, {"q": a, "k": a, "v": a, "o": c}))

    def forward_tangent(params, saved, d_params, d_a):
        a, q, k, v, p, c = saved
        d_a = jnp.zeros_like(a) if d_a is None else d_a
        d_q, d_k, d_v = (split(d_a @ params[name].T + a @ d_params[name].T) for name in "qkv")
        d_p = _softmax_product(p, scores(d_q, k) + scores(q, d_k))
        d_c = join(d_p @ v + p @ d_v)
        return d_c @ params["o"].T + c @ d_params["o"].T, Attended(
            d_a, d_q, d_k, d_v, d_p, d_c)

    def backward_tangent(params, saved, delta, d_params, d_saved, d_delta):
        (_, q, k, v, p, _), (d_a, d_q, d_k, d_v, d_p, d_c) = saved, d_saved
        e_c = split(delta @ params["o"])
        d_e_c = split(d_delta @ params["o"] + delta @ d_params["o"])
        e_p, d_e_p = e_c @ v.mT, d_e_c @ v.mT + e_c @ d_v.mT
        e_s = scale * _softmax_product(p, e_p)
        d_e_s = scale * (_softmax_product(p, d_e_p) + _softmax_bend(p, d_p, e_p))
        cotangent, factors = backward(params, saved, delta)
        errors, d_errors = factors[0], {
            "q": join(d_e_s @ k + e_s @ d_k), "k": join(d_e_s.mT @ q + e_s.mT @ d_q),
            "v": join(d_p.mT @ e_c + p.mT @ d_e_c), "o": d_delta}
        d_cotangent = sum(d_errors[name] @ params[name] + errors[name] @ d_params[name]
                          for name in "qkv")
        return (cotangent, factors), (
            d_cotangent, (d_errors, {"q": d_a, "k": d_a, "v": d_a, "o": d_c}))

    arguments = {"width": width, "heads": heads, "causal": causal, "init": init}
    text = f"{width}" + (f", heads={heads}" if heads > 1 else "") + ", causal=True" * causal
    return Layer("attention", lambda n_in: (sequence("attention", n_in)[0], width), start, forward,
                 backward, shared, arguments=arguments, text=text,
                 forward_tangent=forward_tangent, backward_tangent=backward_tangent,
                 equations=Equations("softmax(q kᵀ / √m) v W_oᵀ, with q, k, v = a Wᵀ",
                                     "e_q W_q + e_k W_k + e_v W_v"))


def _seen(s):
    """Where the place u is not after t, (time, time), with an axis for the heads."""
    return jnp.tril(jnp.ones(s.shape[-2:], bool))[None]


def _softmax_product(p, x):
    """The product of softmax's Jacobian with x, row by row: p ⊙ (x − Σ p x)."""
    return p * (x - jnp.sum(p * x, axis=-1, keepdims=True))


def _softmax_bend(p, d_p, x):
    """R{J} x, where p changes by R{p}: R{p} ⊙ (x − Σ p x) − p ⊙ Σ R{p} x."""
    return d_p * (x - jnp.sum(p * x, axis=-1, keepdims=True)) - p * jnp.sum(
        d_p * x, axis=-1, keepdims=True)
