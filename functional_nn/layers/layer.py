"""The `Layer` record, and the forward and backward pass through a chain of layers.

On one example a layer computes the pre-activation z = f(a; parameters) and the activation σ(z).
Its error is δ = ∂L/∂z. The backward pass of a layer takes δ and returns ∂L/∂a for its input a,
and *factors*: a compact form of the gradient of its parameters (`layers.factors`). For a dense
layer they are the vectors δ and a, whose outer product is the gradient of the weights.

The R-operator (Pearlmutter, 1994) differentiates along a direction of the parameters: R{x} is the
derivative of x at parameters + ε · direction, at ε = 0. Names of such tangents begin with d_. A
tangent None stands for 0, as that of the input, and costs nothing. `forward_tangent` and
`backward_tangent` apply R to the two passes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax

from functional_nn.activations import Activation, linear
from functional_nn.layers.factors import Factors, along, plus

UNKNOWN = "its `Layer` does not say how"


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
      n_out: n_in -> the size of the output; raises a ValueError where n_in does not fit. A size
        is an integer for a vector, and a shape for an array.
      init: (key, n_in, dtype) -> parameters.
      forward: (parameters, a (n_in,), key) -> (z (n_out,), saved), where `saved` is for
        `backward`. key is None where nothing is random, as in evaluation.
      backward: (parameters, saved, δ (n_out,)) -> (∂L/∂a (n_in,), factors). The factors are a pair
        (errors, inputs), as `layers.factors` explains.
      factors: the functions that compute gradients from the factors.
      activation: σ, applied to z.
      random: whether `forward` uses its key.
      tokens: how many tokens there are, where the entries of the input are the numbers of tokens,
        from 0 to tokens − 1; None where they are quantities.
      parts: the inner layers of a residual block.
      arguments: the arguments of the function named by `kind`, by name, so that the layer can be
        written to a file and made again.
      text: the arguments as the layer prints them, such as "30, relu".
      equations: what the layer computes, in symbols.
      forward_tangent: (parameters, saved, R{parameters}, R{a}) -> (R{z}, R{saved}). Like the next,
        it is a sentence that says why where a layer cannot have it.
      backward_tangent: (parameters, saved, δ, R{parameters}, R{saved}, R{δ}) -> (what `backward`
        returns, its R).
    """

    kind: str
    n_out: Callable[[int], int]
    init: Callable[..., Any]
    forward: Callable[..., tuple[jax.Array, Any]]
    backward: Callable[..., tuple[jax.Array, Any]]
    factors: Factors
    activation: Activation = linear
    random: bool = False
    tokens: int | None = None
    parts: tuple["Layer", ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    equations: Equations = UNSAID
    forward_tangent: Callable[..., tuple[Any, Any]] | str = UNKNOWN
    backward_tangent: Callable[..., tuple[Any, Any]] | str = UNKNOWN

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

    A size is an integer for a vector, and a shape for an array. Raises a ValueError that names the
    two layers where one does not fit the size before it.

    >>> from functional_nn.layers import dense, dropout
    >>> sizes([dense(3), dropout(0.5), dense(1)], 2)
    (2, 3, 3, 1)
    """
    n = [n_in]
    for l, layer in enumerate(layers):
        try:
            n.append(layer.n_out(n[-1]))
        except ValueError as error:
            before = f"layer {l - 1}, {layers[l - 1]!r}, gives" if l else "the input has"
            raise ValueError(f"layer {l}, {layer!r}, does not fit what comes before it: {before} "
                             f"the shape {n[-1]}; {error}") from None
    return tuple(n)


def vector(kind: str, n_in: int | tuple[int, ...]) -> int:
    """The size of an input that must be a vector; raises a ValueError for an array."""
    if not isinstance(n_in, int):
        raise ValueError(f"{kind} takes a vector, got an array of shape {n_in}; put flatten() "
                         "before it")
    return n_in


def sequence(kind: str, n_in: int | tuple[int, ...]) -> tuple[int, int]:
    """The shape of an input that must be a sequence, (time, width); else raises a ValueError."""
    if isinstance(n_in, int) or len(n_in) != 2:
        got = f"a vector of {n_in} entries" if isinstance(n_in, int) else f"the shape {n_in}"
        raise ValueError(f"{kind} takes a sequence of shape (time, width), got {got}; put an "
                         "embedding or a reshape such as reshape((28, 28)) before it")
    return n_in


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

    Returns `(deltas, factors, cotangent)`: the tuple (δ¹, …, δᴸ), the factors of the chain, which
    are a tuple of errors and one of inputs with an entry per layer, and ∂L/∂a⁰, (n_in,).
    """
    deltas, factors = [], []
    for l in reversed(range(len(layers))):
        cotangent, factor = layers[l].backward(params[l], tape[l].saved, delta)  # (Wˡ)ᵀδˡ
        deltas.insert(0, delta)
        factors.insert(0, factor)
        if l > 0:  # BP2: δˡ⁻¹ = (Wˡ)ᵀδˡ ⊙ σ′(zˡ⁻¹)
            delta = layers[l - 1].activation.pullback(tape[l - 1].z, cotangent)
    return tuple(deltas), _paired(factors), cotangent


def _paired(factors: Sequence) -> tuple[tuple, tuple]:
    """The factors of a chain: the errors of all layers, and their inputs."""
    errors, inputs = zip(*factors, strict=True)
    return errors, inputs


def forward_tangent(layers: Sequence[Layer], params, tape, d_params, d_a=None):
    """R applied to the forward pass of one example: R{zˡ}, and R{aˡ} = σ′(zˡ) R{zˡ}.

    For a dense layer R{zˡ} = R{Wˡ} aˡ⁻¹ + Wˡ R{aˡ⁻¹} + R{bˡ}.

    Args:
      layers, params, tape: as for `backward`.
      d_params: the direction R{parameters}, a tuple with one entry per layer.
      d_a: R{a⁰}, (n_in,); None where the input does not change.

    Returns `(R{aᴸ}, R{tape})`.
    """
    d_tape = []
    for layer, p, step, d_p in zip(layers, params, tape, d_params, strict=True):
        d_z, d_saved = layer.forward_tangent(p, step.saved, d_p, d_a)
        d_a = along(partial(layer.activation.pullback, step.z), d_z)  # J is symmetric: J = Jᵀ
        d_tape.append(Step(d_z, d_saved))
    return d_a, tuple(d_tape)


def backward_tangent(layers: Sequence[Layer], params, tape, delta, d_params, d_tape, d_delta):
    """The backward pass of one example, and R applied to it (Pearlmutter, 1994).

    Differentiating BP2, δˡ⁻¹ = σ′(zˡ⁻¹) ⊙ c with c = (Wˡ)ᵀδˡ, gives

        R{δˡ⁻¹} = σ′(zˡ⁻¹) ⊙ R{c} + σ″(zˡ⁻¹) ⊙ R{zˡ⁻¹} ⊙ c,  R{c} = (R{Wˡ})ᵀδˡ + (Wˡ)ᵀ R{δˡ}

    Args:
      layers, params, tape, delta: as for `backward`.
      d_params, d_tape: the direction, and R{tape} as `forward_tangent` returns it.
      d_delta: R{δᴸ}, (n_out,).

    Returns `((cotangent, factors), (R{cotangent}, R{factors}))`.
    """
    factors, d_factors = [], []
    for l in reversed(range(len(layers))):
        (cotangent, factor), (d_cotangent, d_factor) = layers[l].backward_tangent(
            params[l], tape[l].saved, delta, d_params[l], d_tape[l].saved, d_delta)
        factors.insert(0, factor)
        d_factors.insert(0, d_factor)
        if l > 0:
            delta, d_delta = bent(
                layers[l - 1].activation, tape[l - 1].z, cotangent, d_tape[l - 1].z, d_cotangent)
    return (cotangent, _paired(factors)), (d_cotangent, _paired(d_factors))


def bent(activation: Activation, z, v, d_z, d_v):
    """The product J(z) v with an activation's Jacobian, and its R: J(z) R{v} + R{J(z)} v."""
    return activation.pullback(z, v), plus(
        activation.pullback(z, d_v), along(lambda d_z: activation.bend(z, d_z, v), d_z))
