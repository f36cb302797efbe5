"""The numbers of a network's working: what the library computes on some examples.

Everything here comes from the hand-written passes: `layers.forward`, `layers.backward`
and `backprop.value_and_grad`.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import backprop, layers
from functional_nn.explanation.backwards import leaf_letters
from functional_nn.explanation.notation import Symbol
from functional_nn.explanation.plan import node_counts
from functional_nn.objective import Objective

__all__ = ["Numbers", "chosen", "influence", "numbers", "of_example", "rests", "value"]

Numbers = Mapping[tuple[str, int], Any]
"""(letter, layer) -> an array; that of a quantity of single examples has an axis of examples."""
SHARED = {"w", "b", "∂w", "∂b", "w+", "b+", "γ", "C"}


def of_example(problem: Objective, params, x, y, key=None) -> tuple[dict, tuple]:
    """The z, a, σ′, δ and ∂L/∂a of every layer, and the loss, of ONE checked example.

    Args:
      problem: the network and the loss.
      params: the parameters.
      x: (n_in,).
      y: (n_out,).
      key: a key for dropout, or None.

    Returns `(found, factors)`: (letter, layer) -> a vector, also of a layer whose output is an
    array with more axes; the input is a¹; and the factors
    of every layer's gradient.
    """
    net, last = problem.net, len(problem.net.sizes)
    _, tape = layers.forward(net.layers, params, x, key)
    deltas, factors, _ = layers.backward(
        net.layers, params, tape, problem.head.delta(tape[-1].z, y))
    found = {("a", 1): x, ("y", last): y, ("L", 0): problem.head.value(tape[-1].z, y)}
    for l, (layer, step, delta) in enumerate(
            zip(net.layers, tape, deltas, strict=True), start=2):
        a = layer.activation(step.z)
        found |= {("z", l): step.z.ravel(), ("a", l): a.ravel(), ("δ", l): delta.ravel()}
        if layer.activation.elementwise:
            found["σ′", l] = layer.activation.derivative(step.z).ravel()
        found["∂a", l] = (
            problem.loss.gradient(a, y) if l == last else
            net.layers[l - 1].backward(params[l - 1], tape[l - 1].saved, deltas[l - 1])[0].ravel())
    return found, factors


def numbers(problem: Objective, params, X, Y, rate: float) -> dict[tuple[str, int], Any]:
    """All numbers of the working of a batch, and of one step of gradient descent.

    Args:
      problem: the network, the loss and the reduction.
      params: the parameters.
      X, Y: the checked examples, (B, n_in) and (B, n_out).
      rate: the learning rate γ.
    """
    @jax.jit
    def computed(params, X, Y):
        every, _ = jax.vmap(lambda x, y: of_example(problem, params, x, y))(X, Y)
        gradient = backprop.value_and_grad(problem.net, problem.loss, problem.reduction)
        return every, gradient(params, X, Y)

    every, (cost, grads) = computed(params, X, Y)
    found = {key: np.asarray(array) for key, array in every.items()}
    found |= {("γ", 0): np.asarray(rate), ("C", 0): np.asarray(cost)}
    for l, (layer, p, g) in enumerate(zip(problem.net.layers, params, grads, strict=True), 2):
        found |= {(letter, l): float(np.linalg.norm(np.ravel(leaf))) for letter, leaf in zip(
            leaf_letters(problem.net, l), jax.tree.leaves(g), strict=True)}
        if layer.equations.affine:
            for leaf in ("w", "b"):
                now, slope = np.asarray(p[leaf]), np.asarray(g[leaf])
                found |= {(leaf, l): now, (f"∂{leaf}", l): slope,
                          (f"{leaf}+", l): now - rate * slope}
    return found


def rests(problem: Objective, found: Numbers, shown) -> dict[tuple[str, int], Any]:
    """The sums of the terms that are left out of zˡ, and of (Wˡ⁺¹)ᵀ δˡ⁺¹, for the nodes `shown`."""
    rest = {}
    for l, layer in enumerate(problem.net.layers, start=2):
        if layer.equations.affine:
            into, out = np.array(shown[l - 2]), np.array(shown[l - 1])
            w, a, delta = found["w", l], found["a", l - 1], found["δ", l]
            told = a[..., into] @ w[:, into].T
            rest["more z", l] = found["z", l] - found["b", l][None] - told
            if ("∂a", l - 1) in found:
                told = delta[..., out] @ w[out]
                rest["more δ", l - 1] = found["∂a", l - 1] - told
    return rest


def influence(problem: Objective, found: Numbers, l: int) -> np.ndarray:
    """How much each node of layer l takes part, on a scale of its own, (n_l,).

    It is |a| times the norm of the weights that lead on; for the last layer, |δ|.
    """
    nodes = np.abs(found["a" if l < len(problem.net.sizes) else "δ", l])
    size = nodes.reshape(-1, nodes.shape[-1]).mean(axis=0)
    if ("w", l + 1) in found:
        onward = np.linalg.norm(found["w", l + 1], axis=-2)
        size = size * onward.reshape(-1, onward.shape[-1]).mean(axis=0)
    return size


def chosen(problem: Objective, found: Numbers, most: int) -> tuple[tuple[int, ...], ...]:
    """The nodes of each layer to be written out: all, or the `most` of the largest influence."""
    picked = []
    for l, n in enumerate(node_counts(problem.net), start=1):
        order = np.argsort(-influence(problem, found, l), kind="stable")[:most] if n > most else (
            np.arange(n))
        picked.append(tuple(sorted(map(int, order))))
    return tuple(picked)


def value(found: Numbers, symbol: Symbol) -> Any:
    """The number of a symbol, or the array of a whole vector or matrix."""
    letter, layer, index, example = symbol
    if letter in ("wᵀ", "aᵀ"):
        array = np.asarray(value(found, symbol._replace(letter=letter[0])))
        return array.T if letter == "wᵀ" else array[None]
    array = found[letter, layer]
    if letter.startswith("‖"):
        return array
    return array[index] if letter in SHARED else array[(example, *index)]


def as_float64(tree) -> Any:
    """The tree with arrays of float64; call it in 64-bit mode."""
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, np.float64)), tree)
