"""The `Layer` record, and the forward and backward pass through a chain of layers.

On one example a layer computes the pre-activation z = f(a; parameters) and the activation σ(z).
Its error is δ = ∂L/∂z. The backward pass of a layer takes δ and returns ∂L/∂a for its input a,
and *factors*: a compact form of the gradient of its parameters. For a dense layer they are the
vectors δ and a, whose outer product is the gradient of the weights. A `Factors` record computes
gradients, their weighted sum over a batch, and their norms from the factors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from functional_nn.activations import Activation, linear


class Factors(NamedTuple):
    """The functions that compute gradients from a layer's factors.

    Attributes:
      gradient: factors of one example -> its gradient, a pytree like the layer's parameters.
      weighted_sum: (factors of a batch, weights (B,)) -> Σᵢ weightsᵢ gradientᵢ, a pytree like the
        layer's parameters. The gradientᵢ are not formed where that can be avoided.
      squared_norm: factors of one example -> |gradient|², a scalar; likewise.
    """

    gradient: Callable[[Any], Any]
    weighted_sum: Callable[[Any, jax.Array], Any]
    squared_norm: Callable[[Any], jax.Array]


class Equations(NamedTuple):
    """What a layer computes, in the symbols of the notes, for `fnn.explain` and its readers.

    Attributes:
      z: the pre-activation z as a formula of the input a; "" where the layer does not say.
      cotangent: ∂L/∂a as a formula of δ.
      affine: whether z = W a + b with the leaves "w" and "b", so that every node can be written
        out.
    """

    z: str = ""
    cotangent: str = ""
    affine: bool = False


UNSAID = Equations()


@dataclass(frozen=True, eq=False, repr=False)
class Layer:
    """A layer: its functions, which are pure and take ONE example, and what describes it.

    Attributes:
      kind: the name of the function in `functional_nn.layers` that makes such a layer.
      n_out: n_in -> the size of the output; raises a ValueError where n_in does not fit.
      init: (key, n_in, dtype) -> parameters.
      forward: (parameters, a (n_in,), key) -> (z (n_out,), saved), where `saved` is for
        `backward`. key is None where nothing is random, as in evaluation.
      backward: (parameters, saved, δ (n_out,)) -> (∂L/∂a (n_in,), factors).
      factors: the functions that compute gradients from the factors.
      activation: σ, applied to z.
      random: whether `forward` uses its key.
      parts: the inner layers of a residual block.
      arguments: the arguments of the function named by `kind`, by name, so that the layer can be
        written to a file and made again.
      text: the arguments as the layer prints them, such as "30, relu".
      equations: what the layer computes, in symbols.
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
    equations: Equations = UNSAID

    def __repr__(self) -> str:
        return f"{self.kind}({self.text})"


class Step(NamedTuple):
    """The record of one layer's forward pass, for the backward pass.

    Attributes:
      z: the pre-activation, (n_out,).
      saved: the values that the layer saved for its backward pass.
    """

    z: jax.Array
    saved: Any


def sizes(layers: Sequence[Layer], n_in: int) -> tuple[int, ...]:
    """The sizes (n_in, n_1, …, n_L) of the input and of every layer's output.

    Raises a ValueError where a layer does not fit the size before it.

    >>> from functional_nn.layers import dense, dropout
    >>> sizes([dense(3), dropout(0.5), dense(1)], 2)
    (2, 3, 3, 1)
    """
    n = [n_in]
    for layer in layers:
        n.append(layer.n_out(n[-1]))
    return tuple(n)


def init(layers: Sequence[Layer], key, n_in: int, dtype) -> tuple:
    """Initial parameters, a tuple with one entry per layer. The key is split once."""
    keys = jax.random.split(key, len(layers))
    return tuple(layer.init(k, n, dtype)
                 for layer, k, n in zip(layers, keys, sizes(layers, n_in), strict=False))


def keys_of(layers: Sequence[Layer], key) -> list:
    """One key per layer: a part of `key` for a random layer, None for another.

    If only one layer is random, it gets `key` itself. If `key` is None, so are all keys.
    """
    random = [i for i, layer in enumerate(layers) if layer.random]
    keys = [None] * len(layers)
    if key is not None and random:
        parts = [key] if len(random) == 1 else jax.random.split(key, len(random))
        for i, part in zip(random, parts, strict=True):
            keys[i] = part
    return keys


def forward(layers: Sequence[Layer], params, a, key=None) -> tuple[jax.Array, tuple[Step, ...]]:
    """The forward pass of one example: zˡ = f(aˡ⁻¹), aˡ = σ(zˡ) for every layer l.

    Args:
      layers: the layers, first to last.
      params: a tuple with the parameters of each layer.
      a: the example a⁰, (n_in,).
      key: a key that `keys_of` divides among the random layers; None in evaluation.

    Returns `(aᴸ, tape)`: the output, (n_out,), and a tuple with a `Step` for each layer.
    """
    tape, keys = [], keys_of(layers, key)
    for layer, p, k in zip(layers, params, keys, strict=True):
        z, saved = layer.forward(p, a, k)
        a = layer.activation(z)
        tape.append(Step(z, saved))
    return a, tuple(tape)


def backward(layers: Sequence[Layer], params, tape, delta):
    """The backward pass of one example, from δᴸ to the input.

    For a dense layer, `layer.backward` returns (Wˡ)ᵀδˡ and the factors (δˡ, aˡ⁻¹), so that the
    loop computes BP2 (N14).

    Args:
      layers: the layers, first to last.
      params: a tuple with the parameters of each layer.
      tape: the tape that `forward` returned.
      delta: δᴸ = ∂L/∂zᴸ, (n_out,).

    Returns `(deltas, factors, cotangent)`: the tuples (δ¹, …, δᴸ) and (factors¹, …, factorsᴸ),
    and ∂L/∂a⁰, (n_in,).
    """
    deltas, factors = [], []
    for l in reversed(range(len(layers))):
        cotangent, factor = layers[l].backward(params[l], tape[l].saved, delta)  # (Wˡ)ᵀδˡ
        deltas.insert(0, delta)
        factors.insert(0, factor)
        if l > 0:  # BP2: δˡ⁻¹ = (Wˡ)ᵀδˡ ⊙ σ′(zˡ⁻¹)
            delta = layers[l - 1].activation.pullback(tape[l - 1].z, cotangent)
    return tuple(deltas), tuple(factors), cotangent


def factors_of(layers: Sequence[Layer]) -> Factors:
    """The `Factors` of a chain of layers; its factors are a tuple with one entry per layer."""
    return Factors(
        lambda factors: tuple(
            layer.factors.gradient(f) for layer, f in zip(layers, factors, strict=True)),
        lambda factors, weights: tuple(
            layer.factors.weighted_sum(f, weights)
            for layer, f in zip(layers, factors, strict=True)),
        lambda factors: sum(
            layer.factors.squared_norm(f) for layer, f in zip(layers, factors, strict=True)),
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
"""For factors (δ, a) of the gradient {"w": δ aᵀ, "b": δ}, which has rank one (dense, maxout)."""

whole = Factors(
    lambda gradient: gradient,
    lambda gradients, weights: jax.tree.map(
        lambda g: jnp.tensordot(weights, g, axes=1), gradients),
    lambda gradient: sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(gradient)))
"""For factors that are the gradient itself, as small as δ (layer norm) or empty (dropout)."""
