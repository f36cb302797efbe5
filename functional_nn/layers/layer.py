"""What a layer is, and how a chain of layers runs forward and backward.

A layer of one example is z = f(a; parameters) followed by an activation a = σ(z). Its δ is ∂L/∂z. The backward pass of one
layer takes δ and ends in (∂L/∂a of the layer before, *factors*); the factors hold the layer's gradient unmultiplied, and
`Factors` says what can be made of them for one example or for a batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from functional_nn.activations import Activation, linear


class Factors(NamedTuple):
    """What becomes of a layer's factors.

    gradient: factors of one example -> its gradient, shaped like the layer's parameters.
    weighted_sum: (factors of a batch, weights (B,)) -> Σᵢ weightsᵢ gradientᵢ, without making the gradientᵢ where that can be.
    squared_norm: factors of one example -> |gradient|², likewise.
    """

    gradient: Callable[[Any], Any]
    weighted_sum: Callable[[Any, jax.Array], Any]
    squared_norm: Callable[[Any], jax.Array]


@dataclass(frozen=True, eq=False, repr=False)
class Layer:
    """One layer kind with its numbers filled in; every function is pure and takes ONE example.

    Attributes:
      kind: the name of the function in `functional_nn.layers` that makes such a layer.
      n_out: n_in -> the size of its output; raises a ValueError where n_in does not fit.
      init: (key, n_in, dtype) -> parameters.
      forward: (parameters, a, key) -> (z, saved); key is None where nothing is random (evaluation).
      backward: (parameters, saved, delta) -> (∂L/∂a, factors).
      factors: how the gradient of one example or of a batch is made of the factors.
      activation: σ, applied to z.
      random: whether `forward` uses its key.
      parts: the layers inside a residual one.
      arguments: the arguments of that function by name, so that the layer can be written to a
        file and made again.
      text: the arguments as the layer prints them, such as "30, relu".
    """

    kind: str
    n_out: Callable[[int], int]
    init: Callable[..., Any]
    forward: Callable[..., tuple[jax.Array, Any]]
    backward: Callable[..., tuple[jax.Array, Any]]
    factors: Factors
    activation: Activation = linear
    random: bool = False
    parts: tuple["Layer", ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    def __repr__(self) -> str:
        return f"{self.kind}({self.text})"


class Step(NamedTuple):
    """What the forward pass of one layer leaves for the backward pass: z, and what the layer saved."""

    z: jax.Array
    saved: Any


def sizes(layers: Sequence[Layer], n_in: int) -> tuple[int, ...]:
    """The input's size and every layer's, in order."""
    n = [n_in]
    for layer in layers:
        n.append(layer.n_out(n[-1]))
    return tuple(n)


def init(layers: Sequence[Layer], key, n_in: int, dtype) -> tuple:
    """Fresh parameters, one entry a layer; the key is split once."""
    keys = jax.random.split(key, len(layers))
    return tuple(layer.init(k, n, dtype) for layer, k, n in zip(layers, keys, sizes(layers, n_in), strict=False))


def keys_of(layers: Sequence[Layer], key) -> list:
    """A key for every random layer, None for the others; one random layer takes the key as it is."""
    random = [i for i, layer in enumerate(layers) if layer.random]
    keys = [None] * len(layers)
    if key is not None and random:
        parts = [key] if len(random) == 1 else jax.random.split(key, len(random))
        for i, part in zip(random, parts, strict=True):
            keys[i] = part
    return keys


def forward(layers: Sequence[Layer], params, a, key=None) -> tuple[jax.Array, tuple[Step, ...]]:
    """One example through all layers, zˡ = f(aˡ⁻¹) and aˡ = σ(zˡ): -> (aᴸ, one Step a layer); random layers share the key."""
    tape, keys = [], keys_of(layers, key)
    for layer, p, k in zip(layers, params, keys, strict=True):
        z, saved = layer.forward(p, a, k)
        a = layer.activation(z)
        tape.append(Step(z, saved))
    return a, tuple(tape)


def backward(layers: Sequence[Layer], params, tape, delta):
    """From δᴸ back to the input of one example: -> ((δ¹ … δᴸ), (factors¹ … factorsᴸ), ∂L/∂a⁰).

    For a dense layer `layer.backward` is (Wˡ)ᵀδˡ with the factors (δˡ, aˡ⁻¹), so that the loop is the notes' second equation.
    """
    deltas, factors = [], []
    for l in reversed(range(len(layers))):
        cotangent, factor = layers[l].backward(params[l], tape[l].saved, delta)  # (Wˡ)ᵀ δˡ
        deltas.insert(0, delta)
        factors.insert(0, factor)
        if l > 0:
            delta = layers[l - 1].activation.pullback(tape[l - 1].z, cotangent)  # BP2: δˡ⁻¹ = (Wˡ)ᵀδˡ ⊙ σ′(zˡ⁻¹)
    return tuple(deltas), tuple(factors), cotangent


def factors_of(layers: Sequence[Layer]) -> Factors:
    """The factors of a chain: a tuple, one entry a layer."""
    return Factors(
        lambda factors: tuple(layer.factors.gradient(f) for layer, f in zip(layers, factors, strict=True)),
        lambda factors, weights: tuple(
            layer.factors.weighted_sum(f, weights) for layer, f in zip(layers, factors, strict=True)),
        lambda factors: sum(layer.factors.squared_norm(f) for layer, f in zip(layers, factors, strict=True)),
    )


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


rank_one = Factors(_outer, _contract, _outer_squared_norm)
"""Factors (δ, a) of {"w": δ aᵀ, "b": δ}: the gradient of one example has rank one and is not made (dense, maxout)."""

whole = Factors(
    lambda gradient: gradient,
    lambda gradients, weights: jax.tree.map(lambda g: jnp.tensordot(weights, g, axes=1), gradients),
    lambda gradient: sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(gradient)))
"""Factors that are the gradient itself, where it is as small as δ (layer norm) or nothing (dropout)."""
