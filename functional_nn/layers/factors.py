"""Factors: what a layer's backward pass returns in place of the gradient of its parameters.

Factors are a pair (errors, inputs). The errors are linear in δ, and the inputs do not depend on δ.
For a dense layer the pair is (δ, a), and the gradient {"w": δ aᵀ, "b": δ} has rank one. A `Factors`
record computes what is asked about gradients from the pair, without the gradient of each example
where that can be avoided. Below, gᵢ is the gradient of example i.
"""

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["Factors", "along", "factors_of", "nothing", "plus", "rank_one", "shared", "squares_of",
           "whole"]

UNKNOWN = "its `Factors` do not say how"


class Factors(NamedTuple):
    """The functions that compute from a layer's factors (errors, inputs).

    A function that a kind of layer cannot have is a sentence that says why. In "factors of a
    batch", every array has a leading axis, the examples. In "factors in columns", the errors have a
    second axis too: the backward pass of one example was run for several δ, and its inputs are
    there once.

    Attributes:
      gradient: factors of one example -> gᵢ, a pytree like the layer's parameters.
      weighted_sum: (factors of a batch, weights (B,)) -> Σᵢ weightsᵢ gᵢ.
      squared_norm: factors of one example -> |gᵢ|², a scalar.
      dot: (factors of one example, direction) -> gᵢ · direction, a scalar; the direction is a
        pytree like the layer's parameters.
      squares: (factors in columns, weights) -> Σᵢ weightsᵢ Σ_c gᵢ_c², entry by entry.
      tangent: (factors, their tangents, weights) -> Σᵢ weightsᵢ R{gᵢ}, both of a batch.
      kronecker: (factors in columns, weights) -> {"inputs": Σᵢ weightsᵢ a aᵀ, "errors": Σᵢ weightsᵢ
        Σ_c δ_c δ_cᵀ}, whose Kronecker product stands for the block of the weights.
    """

    gradient: Callable[[Any], Any]
    weighted_sum: Callable[[Any, jax.Array], Any]
    squared_norm: Callable[[Any], jax.Array]
    dot: Callable[[Any, Any], jax.Array] | str = UNKNOWN
    squares: Callable[[Any, jax.Array], Any] | str = UNKNOWN
    tangent: Callable[[Any, Any, jax.Array], Any] | str = UNKNOWN
    kronecker: Callable[[Any, jax.Array], Any] | str = UNKNOWN


def plus(one, other):
    """The sum of two tangents, where None stands for a tangent of 0, which costs nothing."""
    if one is None or other is None:
        return other if one is None else one
    return one + other


def along(function: Callable, tangent):
    """A linear function of a tangent, where None stands for 0."""
    return None if tangent is None else function(tangent)


def factors_of(layers: Sequence[Any]) -> Factors:
    """The `Factors` of a chain of layers, with a tuple of errors, of inputs and of gradients."""
    def each(name: str, *arguments) -> tuple:
        return tuple(getattr(layer.factors, name)(*own)
                     for layer, *own in zip(layers, *arguments, strict=False))

    def by_layer(factors):
        errors, inputs = factors
        return zip(errors, inputs, strict=True)

    return Factors(
        lambda factors: each("gradient", by_layer(factors)),
        lambda factors, weights: each("weighted_sum", by_layer(factors), repeat(weights)),
        lambda factors: sum(each("squared_norm", by_layer(factors))),
        lambda factors, direction: sum(each("dot", by_layer(factors), direction)),
        lambda factors, weights: each("squares", by_layer(factors), repeat(weights)),
        lambda factors, tangents, weights: each(
            "tangent", by_layer(factors), by_layer(tangents), repeat(weights)),
        lambda factors, weights: each("kronecker", by_layer(factors), repeat(weights)))


def _outer(factors):
    delta, a = factors
    return {"w": jnp.tensordot(delta, a, axes=0), "b": delta}


def _contract(factors, weights):
    delta, a = factors
    delta = jnp.einsum("i,i...->i...", weights, delta)
    return {"w": jnp.einsum("i...,ik->...k", delta, a),  # BP4: ∂C/∂W = Σᵢ δᵢ aᵢᵀ, one contraction
            "b": jnp.sum(delta, axis=0)}                 # BP3: ∂C/∂b = Σᵢ δᵢ


def _outer_squared_norm(factors):
    delta, a = factors
    return jnp.sum(jnp.square(delta)) * (jnp.sum(jnp.square(a)) + 1)  # |δ aᵀ|² + |δ|²


def _outer_dot(factors, direction):
    delta, a = factors
    return jnp.vdot(delta, direction["w"] @ a + direction["b"])  # δᵀ(V a + v)


def _outer_squares(factors, weights):
    delta, a = factors
    return _contract((jnp.sum(jnp.square(delta), axis=1), jnp.square(a)), weights)  # δ² (a²)ᵀ


def _outer_tangent(factors, tangents, weights):
    (delta, a), (d_delta, d_a) = factors, tangents
    first = _contract((d_delta, a), weights)                 # R{δ} aᵀ + δ R{a}ᵀ
    second = along(lambda d_a: _contract((delta, d_a), weights)["w"], d_a)
    return {**first, "w": plus(first["w"], second)}


def _outer_kronecker(factors, weights):
    delta, a = factors
    flat = delta.reshape(*delta.shape[:2], -1)
    errors = jnp.einsum("icj,ick->jk", jnp.einsum("i,icj->icj", weights, flat), flat)
    return {"inputs": jnp.einsum("ij,ik->jk", jnp.einsum("i,ij->ij", weights, a), a),
            "errors": errors.reshape(2 * delta.shape[2:])}


rank_one = Factors(_outer, _contract, _outer_squared_norm, _outer_dot, _outer_squares,
                   _outer_tangent, _outer_kronecker)
"""For factors (δ, a) of the gradient {"w": δ aᵀ, "b": δ}, which has rank one (dense, maxout)."""


def _whole_sum(factors, weights):
    return jax.tree.map(lambda g: jnp.tensordot(weights, g, axes=1), factors[0])


def _whole_squares(factors, weights):
    squares = jax.tree.map(lambda g: jnp.sum(jnp.square(g), axis=1), factors[0])
    return _whole_sum((squares, ()), weights)


def _inner(one, other):
    return sum(jnp.sum(a * b) for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True))


whole = Factors(
    lambda factors: factors[0],
    _whole_sum,
    lambda factors: _inner(factors[0], factors[0]),
    lambda factors, direction: _inner(factors[0], direction),
    _whole_squares,
    lambda factors, tangents, weights: _whole_sum(tangents, weights),
    "its gradient is not the product of an error and an input")
"""For factors (gradient, ()): the gradient itself, as small as δ (layer norm)."""

nothing = whole._replace(kronecker=lambda factors, weights: ())
"""For the factors ((), ()) of a layer without parameters (dropout)."""


def squares_of(gradient: Callable[[Any], Any]) -> Callable[[Any, jax.Array], Any]:
    """`Factors.squares` by forming the gradients of one example at a time, which bounds the memory.

    Args:
      gradient: factors of one example -> gᵢ.
    """
    def squares(factors, weights):
        def of_example(one):
            weight, (errors, inputs) = one
            each = jax.vmap(lambda errors: gradient((errors, inputs)))(errors)
            return jax.tree.map(lambda g: weight * jnp.sum(jnp.square(g), axis=0), each)

        every = weights, factors
        first = jax.tree.map(lambda leaf: leaf[0], every)
        rest = jax.tree.map(lambda leaf: leaf[1:], every)
        return jax.lax.scan(lambda total, one: (
            jax.tree.map(jnp.add, total, of_example(one)), None), of_example(first), rest)[0]

    return squares


def _shared(product: Callable, alone: Callable) -> Callable:
    """A function of shared factors, leaf by leaf: with an input, and alone for a bias."""
    def by_name(factors, *more):
        errors, inputs = factors
        return {name: product(e, inputs[name], *(of[name] for of in more)) if name in inputs
                else alone(e, *(of[name] for of in more)) for name, e in errors.items()}
    return by_name


_shared_gradient = _shared(lambda e, x: e.T @ x, lambda e: jnp.sum(e, axis=0))
_shared_norms = _shared(lambda e, x: jnp.sum((e @ e.T) * (x @ x.T)),  # Σ_tu (e_t · e_u)(x_t · x_u)
                        lambda e: jnp.sum(jnp.square(jnp.sum(e, axis=0))))
_shared_dots = _shared(lambda e, x, v: jnp.vdot(e, x @ v.T),          # Σ_t e_t · V x_t
                       lambda e, v: jnp.vdot(jnp.sum(e, axis=0), v))
_shared_batch = _shared(lambda e, x: jnp.einsum("itj,itk->jk", e, x),
                        lambda e: jnp.sum(e, axis=(0, 1)))


def _shared_sum(factors, weights):
    errors, inputs = factors
    return _shared_batch(
        ({name: jnp.einsum("i,itj->itj", weights, e) for name, e in errors.items()}, inputs))


def _shared_tangent(factors, tangents, weights):
    (errors, inputs), (d_errors, d_inputs) = factors, tangents
    first = _shared_sum((d_errors, inputs), weights)                 # Σ_t R{e_t} x_tᵀ + e_t R{x_t}ᵀ
    return first | {name: first[name] + of_input for name, of_input in _shared_sum(
        ({name: errors[name] for name in inputs}, d_inputs), weights).items()}


def _shared_kronecker(factors, weights):
    errors, inputs = factors
    return {name: {
        "inputs": jnp.einsum("i,itj,itk->jk", weights, x, x),
        "errors": jnp.einsum("i,ictj,ictk->jk", weights, errors[name], errors[name]) / x.shape[1]}
        for name, x in inputs.items()}


shared = Factors(
    _shared_gradient, _shared_sum, lambda factors: sum(_shared_norms(factors).values()),
    lambda factors, direction: sum(_shared_dots(factors, direction).values()),
    squares_of(_shared_gradient), _shared_tangent, _shared_kronecker)
"""For weights that every time step t shares (attention, gru).

Errors and inputs are dicts by the name of a parameter, with arrays e (T, n_out) and x (T, n_in).
The gradient is Σ_t e_t x_tᵀ, and Σ_t e_t for a bias, which has no input.
"""
