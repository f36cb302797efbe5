"""Tokens as vectors, and their positions."""

import jax.numpy as jnp

from functional_nn import checks, initializers
from functional_nn.layers.factors import Factors, plus, whole
from functional_nn.layers.layer import Equations, Layer, sequence, vector

__all__ = ["embedding", "positions"]


def embedding(tokens: int, width: int, init="glorot_uniform") -> Layer:
    """An embedding: each token of a sequence becomes a vector of its own, z_t = E[a_t].

    The input is a vector of the numbers of tokens, whole floats from 0 to tokens − 1, such as
    [3.0, 0.0, 7.0]. The output has the shape (time, width). The parameters are {"table": (tokens,
    width)}, a row E[i] for each. A network that begins with an embedding refuses other numbers;
    while they are traced, and behind another layer, the nearest token is taken.

    The gradient of row i is the sum of the δ_t at which token i stands, Σ_t [a_t = i] δ_t. The
    number of a token cannot change a little, so ∂L/∂a = 0. Of one-hot rows, or of mixtures of
    tokens, `convolution(width, 1)` is the same map, and its derivative is not 0.

    Args:
      tokens: how many there are, an integer of at least 1.
      width: of the vectors, an integer of at least 1.
      init: as for `dense`; it is called with (tokens, width).

    Raises a TypeError for a size that is not an integer, and a ValueError for one below 1 and for
    an unknown name.

    >>> params = {"table": jnp.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])}
    >>> embedding(3, 2).forward(params, jnp.array([2.0, 0.0]), None)[0].tolist()
    [[4.0, 5.0], [0.0, 1.0]]
    """
    tokens, width = checks.integer("tokens", tokens), checks.integer("width", width)
    init = initializers.get(init)

    def n_out(n_in):
        return vector("embedding", n_in), width

    def start(key, n_in, dtype):
        return {"table": init.weights(key, (tokens, width), dtype)}

    def forward(params, a, key):
        return params["table"][_nearest(a, tokens)], a

    def backward(params, a, delta):
        return jnp.zeros_like(a), (delta, a)

    def forward_tangent(params, a, d_params, d_a):
        return d_params["table"][_nearest(a, tokens)], None

    def backward_tangent(params, a, delta, d_params, d_a, d_delta):
        return backward(params, a, delta), (jnp.zeros_like(a), (d_delta, None))

    return Layer("embedding", n_out, start, forward, backward, _rows(tokens), tokens=tokens,
                 arguments={"tokens": tokens, "width": width, "init": init},
                 text=f"{tokens}, {width}",
                 forward_tangent=forward_tangent, backward_tangent=backward_tangent,
                 equations=Equations("E[a_t] for each t", "0"))


def _nearest(a, tokens: int):
    return jnp.clip(jnp.round(a), 0, tokens - 1).astype(jnp.int32)


def _rows(tokens: int) -> Factors:
    """Factors (δ, a): the gradient is Σ_t o_t δ_tᵀ, where o_t is 1 at the token a_t and else 0."""
    def summed(rows, a):
        """The sum of the rows (…, width) of each token, (tokens, width)."""
        zero = jnp.zeros((tokens, rows.shape[-1]), rows.dtype)
        return zero.at[_nearest(a, tokens)].add(rows)

    def same(a):
        """Whether the same token stands at t and at u, (…, T, T)."""
        numbers = _nearest(a, tokens)
        return numbers[..., :, None] == numbers[..., None, :]

    def weighted_sum(factors, weights):
        delta, a = factors
        return {"table": summed(jnp.einsum("i,itk->itk", weights, delta), a)}

    def squared_norm(factors):
        delta, a = factors
        return jnp.sum(delta @ delta.T, where=same(a))  # Σ_tu [a_t = a_u] δ_t · δ_u

    def squares(factors, weights):
        delta, a = factors
        first = jnp.argmax(same(a), axis=-1) == jnp.arange(a.shape[-1])[None]
        rows = jnp.einsum("itu,icuk->ictk", same(a).astype(delta.dtype), delta)
        once = jnp.where(first[..., None], jnp.sum(jnp.square(rows), axis=1), 0)
        return weighted_sum((once, a), weights)

    def kronecker(factors, weights):
        delta, a = factors
        counts = summed(jnp.broadcast_to(weights[:, None, None], (*a.shape, 1)), a)
        return {"inputs": jnp.diag(counts[:, 0]),  # Σ_t o_t o_tᵀ
                "errors": jnp.einsum("i,ictj,ictk->jk", weights, delta, delta) / a.shape[-1]}

    return Factors(
        lambda factors: {"table": summed(*factors)}, weighted_sum, squared_norm,
        lambda factors, v: jnp.vdot(factors[0], v["table"][_nearest(factors[1], tokens)]), squares,
        lambda factors, tangents, weights: weighted_sum((tangents[0], factors[1]), weights),
        kronecker)


def positions(init="glorot_uniform") -> Layer:
    """Learned positions (Gehring et al., 2017): z_t = a_t + P[t], a vector for each place in time.

    Attention sees its input as a set; after this layer it can tell the places apart. The input has
    the shape (time, width), and the parameters are {"p": (time, width)}. Its backward pass is
    ∂L/∂a = ∂L/∂P = δ.

    Args:
      init: as for `dense`; it is called with (time, width).

    Raises a ValueError for an unknown name. `n_out` of the layer raises a ValueError for an input
    that is no sequence.

    >>> params = {"p": jnp.array([[0.5], [0.25]])}
    >>> positions().forward(params, jnp.ones((2, 1)), None)[0].tolist()
    [[1.5], [1.25]]
    """
    init = initializers.get(init)

    def start(key, n_in, dtype):
        return {"p": init.weights(key, n_in, dtype)}

    def forward(params, a, key):
        return a + params["p"], ()

    def backward(params, saved, delta):
        return delta, ({"p": delta}, ())

    def forward_tangent(params, saved, d_params, d_a):
        return plus(d_params["p"], d_a), ()

    def backward_tangent(params, saved, delta, d_params, d_saved, d_delta):
        return backward(params, saved, delta), backward(params, saved, d_delta)

    return Layer("positions", lambda n_in: sequence("positions", n_in), start, forward, backward,
                 whole, arguments={"init": init},
                 forward_tangent=forward_tangent, backward_tangent=backward_tangent,
                 equations=Equations("a + P", "δ"))
