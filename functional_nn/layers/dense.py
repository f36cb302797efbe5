"""Dense and maxout layers: the layers with a weight matrix (N8, N10)."""

import jax
import jax.numpy as jnp

from functional_nn import activations, checks, initializers
from functional_nn.layers.factors import along, plus, rank_one
from functional_nn.layers.layer import Equations, Layer, vector


def dense(n_out: int, activation="linear", init="glorot_uniform") -> Layer:
    """A fully connected layer (N8): zˡ = Wˡaˡ⁻¹ + bˡ, aˡ = σ(zˡ).

    Its parameters are {"w": (n_out, n_in), "b": (n_out,)}; w[j, k] leads from neuron k to neuron
    j. Its backward pass is ∂L/∂aˡ⁻¹ = (Wˡ)ᵀδˡ, ∂L/∂Wˡ = δˡ(aˡ⁻¹)ᵀ and ∂L/∂bˡ = δˡ.

    Args:
      n_out: the number of neurons, an integer of at least 1.
      activation: σ, a name or an `Activation`.
      init: a name, an `Initializer`, or a function of `jax.nn.initializers`.

    Raises a TypeError for an n_out that is not an integer, and a ValueError for one below 1 and
    for an unknown name.

    >>> import jax
    >>> jax.tree.map(jax.numpy.shape, dense(3, "relu").init(jax.random.key(0), 2, float))
    {'b': (3,), 'w': (3, 2)}
    """
    n_out = checks.integer("n_out", n_out)
    activation, init = activations.get(activation), initializers.get(init)

    def size(n_in):
        return vector("dense", n_in) and n_out

    def start(key, n_in, dtype):
        key_w, key_b = jax.random.split(key)
        return {"w": init.weights(key_w, (n_in, n_out), dtype).T,
                "b": init.biases(key_b, (n_out,), dtype)}

    def forward(params, a, key):
        return params["w"] @ a + params["b"], a

    def backward(params, a, delta):
        return delta @ params["w"], (delta, a)  # δᵀW = (Wᵀδ)ᵀ; many δ at once need no transpose

    def forward_tangent(params, a, d_params, d_a):
        d_z = d_params["w"] @ a + d_params["b"]
        return plus(d_z, along(lambda d_a: params["w"] @ d_a, d_a)), d_a

    def backward_tangent(params, a, delta, d_params, d_a, d_delta):
        d_cotangent = d_params["w"].T @ delta + params["w"].T @ d_delta
        return backward(params, a, delta), (d_cotangent, (d_delta, d_a))

    arguments = {"n_out": n_out, "activation": activation, "init": init}
    return Layer("dense", size, start, forward, backward, rank_one, activation,
                 arguments=arguments, text=f"{n_out}, {activation}",
                 forward_tangent=forward_tangent, backward_tangent=backward_tangent,
                 equations=Equations("W a + b", "Wᵀ δ", affine=True))


def maxout(n_out: int, pieces: int = 2, init="glorot_uniform") -> Layer:
    """A maxout layer (N10; Goodfellow et al., 2013): zⱼ = max over p of (Wₚ a + bₚ)ⱼ.

    It is an activation with weights of its own. Its parameters are
    {"w": (pieces, n_out, n_in), "b": (pieces, n_out)}. The gradient of zⱼ goes to the piece p that
    attains the maximum. Pieces that tie share it equally, as `jax.grad` of the maximum has it.

    Args:
      n_out: the number of neurons, an integer of at least 1.
      pieces: the number of linear pieces of each neuron, an integer of at least 1.
      init: as for `dense`; each piece is drawn on its own.

    Raises a TypeError for a size that is not an integer, and a ValueError for one below 1 and for
    an unknown name.

    >>> import jax.numpy as jnp
    >>> params = {"w": jnp.array([[[1.0]], [[-1.0]]]), "b": jnp.zeros((2, 1))}   # max(x, −x) = |x|
    >>> maxout(1).forward(params, jnp.array([-3.0]), None)[0].tolist()
    [3.0]
    """
    n_out, pieces = checks.integer("n_out", n_out), checks.integer("pieces", pieces)
    init = initializers.get(init)

    def size(n_in):
        return vector("maxout", n_in) and n_out

    def start(key, n_in, dtype):
        def piece(key):
            key_w, key_b = jax.random.split(key)
            return {"w": init.weights(key_w, (n_in, n_out), dtype).T,
                    "b": init.biases(key_b, (n_out,), dtype)}
        return jax.vmap(piece)(jax.random.split(key, pieces))

    def forward(params, a, key):
        z = params["w"] @ a + params["b"]
        best = jnp.max(z, axis=0)
        won = (z == best[None]).astype(z.dtype)
        return best, (a, won / jnp.sum(won, axis=0, keepdims=True))

    def backward(params, saved, delta):
        a, share = saved
        delta = share * delta[None]  # (pieces, n_out)
        return jnp.einsum("pj,pjk->k", delta, params["w"]), (delta, a)

    # away from ties the shares do not change, so the layer is dense with the pieces that won
    def forward_tangent(params, saved, d_params, d_a):
        a, share = saved
        d_z = jnp.sum(share * (d_params["w"] @ a + d_params["b"]), axis=0)
        d_z = plus(d_z, along(lambda d_a: jnp.sum(share * (params["w"] @ d_a), axis=0), d_a))
        return d_z, d_a

    def backward_tangent(params, saved, delta, d_params, d_a, d_delta):
        cotangent, factors = backward(params, saved, delta)
        d_delta = saved[1] * d_delta[None]
        d_cotangent = jnp.einsum("pj,pjk->k", factors[0], d_params["w"]) + jnp.einsum(
            "pj,pjk->k", d_delta, params["w"])
        return (cotangent, factors), (d_cotangent, (d_delta, d_a))

    arguments = {"n_out": n_out, "pieces": pieces, "init": init}
    return Layer("maxout", size, start, forward, backward, rank_one,
                 arguments=arguments, text=f"{n_out}, pieces={pieces}",
                 forward_tangent=forward_tangent, backward_tangent=backward_tangent,
                 equations=Equations("maxₚ (Wₚ a + bₚ)", "Σₚ Wₚᵀ (sₚ ⊙ δ), s = 1 where p wins"))
