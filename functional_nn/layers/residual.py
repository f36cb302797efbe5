"""Residual connections (He et al., 2016)."""

from functional_nn import checks
from functional_nn.layers.factors import factors_of, plus
from functional_nn.layers.layer import (
    Equations,
    Layer,
    backward,
    backward_tangent,
    bent,
    forward,
    forward_tangent,
    init,
    sizes,
)


def residual(*layers: Layer) -> Layer:
    """A residual block: z = a + f(a), where f runs the given layers one after another.

    Its parameters are a tuple with one entry per inner layer. Its backward pass is
    ∂L/∂a = δ + (∂f/∂a)ᵀδ.

    Args:
      *layers: the inner layers, first to last, at least one. The last must have the size of the
        input.

    Raises a TypeError for a value that is not a layer, and a ValueError without any layer. `n_out`
    of the block raises a ValueError where the size of the last layer is not that of the input.

    >>> import jax, jax.numpy as jnp
    >>> from functional_nn.layers import dense
    >>> block = residual(dense(4, "relu"), dense(2, init="zeros"))              # initially f = 0
    >>> params = block.init(jax.random.key(0), 2, float)
    >>> block.forward(params, jnp.array([1.0, 3.0]), None)[0].tolist()
    [1.0, 3.0]
    """
    checks.layers("residual", layers, Layer)
    last = layers[-1].activation

    def n_out(n_in):
        inner = sizes(layers, n_in)[-1]
        if inner != n_in:
            raise ValueError(
                f"residual adds its input, of size {n_in}, to the output of its layers, of size "
                f"{inner}; end it with a layer of {n_in} neurons")
        return n_in

    def start(key, n_in, dtype):
        return init(layers, key, n_in, dtype)

    def run(params, a, key):
        branch, tape = forward(layers, params, a, key)
        return a + branch, tape

    def back(params, tape, delta):
        _, factors, cotangent = backward(layers, params, tape, last.pullback(tape[-1].z, delta))
        return delta + cotangent, factors

    def run_tangent(params, tape, d_params, d_a):
        d_branch, d_tape = forward_tangent(layers, params, tape, d_params, d_a)
        return plus(d_a, d_branch), d_tape

    def back_tangent(params, tape, delta, d_params, d_tape, d_delta):
        inner, d_inner = bent(last, tape[-1].z, delta, d_tape[-1].z, d_delta)
        (cotangent, factors), (d_cotangent, d_factors) = backward_tangent(
            layers, params, tape, inner, d_params, d_tape, d_inner)
        return (delta + cotangent, factors), (d_delta + d_cotangent, d_factors)

    return Layer("residual", n_out, start, run, back, factors_of(layers), parts=layers,
                 random=any(layer.random for layer in layers), text=", ".join(map(repr, layers)),
                 forward_tangent=run_tangent, backward_tangent=back_tangent,
                 equations=Equations("a + f(a)", "δ + (∂f/∂a)ᵀ δ"))
