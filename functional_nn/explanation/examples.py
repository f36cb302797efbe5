"""The examples of the notes, with the notes' own numbers and symbols (N6, N8, N9, N13–N15).

Where the notes give no numbers, as for N6, N8, N14 and N15, the numbers are small ones that a
reader can follow on paper.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from functional_nn import checks
from functional_nn.explanation.explain import Explanation, explain
from functional_nn.explanation.notation import Symbol
from functional_nn.network import mlp

__all__ = ["EXAMPLES", "example"]


class Example(NamedTuple):
    """An example of the notes.

    Attributes:
      says: what it shows, in a line.
      make: the options of `explain` -> its explanation.
    """

    says: str
    make: Callable[..., Explanation]


def _layer(w, b) -> dict[str, np.ndarray]:
    return {"w": np.array(w, float), "b": np.array(b, float)}


def _n6(**options) -> Explanation:
    """Two inputs, two nodes: C = f(x₁w₁ + x₂w₃ + b₀) and D = f(x₂w₄ + x₁w₂ + b₂)."""
    names = {Symbol("a", 2, (0,)): "C", Symbol("a", 2, (1,)): "D",
             Symbol("w", 2, (0, 0)): "w₁", Symbol("w", 2, (0, 1)): "w₃",
             Symbol("w", 2, (1, 0)): "w₂", Symbol("w", 2, (1, 1)): "w₄",
             Symbol("b", 2, (0,)): "b₀", Symbol("b", 2, (1,)): "b₂",
             Symbol("z", 2, (0,)): "zC", Symbol("z", 2, (1,)): "zD"}
    params = (_layer([[2.0, 0.75], [-0.25, 1.25]], [0.1, -0.2]),)
    return explain(mlp((2, 2), output="sigmoid"), "quadratic", params, [0.5, -1.5], [0.0, 1.0],
                   names=names, title="N6: two inputs, two nodes C and D, node by node", **options)


def _n9a(**options) -> Explanation:
    """x = (1, 2), w = (3, 4), b = 1: ŷ = 12."""
    return explain(mlp((2, 1)), "quadratic", (_layer([[3, 4]], [1]),), [1.0, 2.0], 10.0,
                   names={Symbol("a", 2, (0,)): "ŷ", Symbol("a", 2): "ŷ"},
                   title="N9 (a): one linear neuron, 3·1 + 4·2 + 1 = 12", **options)


def _n9b(**options) -> Explanation:
    """x = (1, 2, 3), no biases: h = (15, 23, 18, 13) and ŷ = 163."""
    names = {Symbol("a", 3, (0,)): "ŷ", Symbol("a", 3): "ŷ", Symbol("a", 2): "h"}
    names |= {Symbol("a", 2, (j,)): f"h{mark}" for j, mark in enumerate("₁₂₃₄")}
    W1 = np.array([[4.0, 3, 1, 1], [1, 4, 4, 3], [3, 4, 3, 2]])  # column j feeds hidden neuron j
    params = (_layer(W1.T, np.zeros(4)), _layer([[4, 2, 1, 3]], [0]))
    return explain(mlp((3, 4, 1), hidden="relu"), "quadratic", params, [1.0, 2.0, 3.0], 160.0,
                   names=names, biases=False,
                   title="N9 (b): a hidden layer of four, h = (15, 23, 18, 13) and ŷ = 163",
                   **options)


def _n13(**options) -> Explanation:
    """One neuron with L = ½ (y − a)² and a = z: ∂L/∂w = (a − y) x, ∂L/∂b = a − y."""
    return explain(mlp((2, 1)), "quadratic", (_layer([[3, 4]], [1]),), [1.0, 2.0], 10.0,
                   names={Symbol("σ′", 2, (0,)): "∂a/∂z"},
                   title="N13: local derivatives of one neuron, ∂L/∂w = ∂L/∂a · ∂a/∂z · ∂z/∂w",
                   **options)


def _n15(**options) -> Explanation:
    """Linear regression by hand: C = Σ (w₁x₁ + w₂x₂ + b − y)² over three examples."""
    X, y = [[1.0, 2.0], [-0.5, 3.0], [4.0, 0.25]], [1.0, -2.0, 0.5]
    return explain(mlp((2, 1)), "squared_error", (_layer([[0.5, -1.5]], [0.75]),), X, y,
                   **{"reduction": "sum", "learning_rate": 0.01, **options},
                   title="N15: linear regression by hand, C = Σ (w₁x₁ + w₂x₂ + b − y)²")


def _n8(**options) -> Explanation:
    """The network 2-3-4-1, forwards as in N8 and backwards as in N14."""
    params = (
        _layer([[0.2, -0.4], [0.7, 0.1], [-0.5, 0.9]], [0.1, -0.2, 0.3]),
        _layer([[0.3, -0.6, 0.5], [-0.1, 0.4, 0.8], [0.9, -0.7, 0.2], [0.6, 0.5, -0.3]],
               [0.0, 0.1, -0.1, 0.2]),
        _layer([[0.4, -0.8, 0.6, 1.0]], [-0.3]))
    return explain(mlp((2, 3, 4, 1), hidden="sigmoid", output="sigmoid"), "quadratic", params,
                   [1.0, 0.5], 1.0, title="N8 and N14: the network 2-3-4-1 and the four equations",
                   **options)


EXAMPLES: Mapping[str, Example] = MappingProxyType({
    "n6": Example("two inputs, two nodes C and D, node by node", _n6),
    "n9a": Example("one linear neuron: 12", _n9a),
    "n9b": Example("a hidden layer of four: h = (15, 23, 18, 13) and 163", _n9b),
    "n13": Example("the local derivatives of one neuron", _n13),
    "n15": Example("linear regression by hand, over three examples", _n15),
    "2-3-4-1": Example("the four equations on the notes' own network", _n8),
})
"""The examples by name."""
ALSO = {"n9": ("n9a", "n9b"), "n8": ("2-3-4-1",), "n14": ("2-3-4-1",)}


def example(name: str, **options) -> tuple[Explanation, ...]:
    """The example of that name; n9 has two.

    Args:
      name: a name in `EXAMPLES`, or n8, n9 or n14.
      **options: keyword arguments of `explain`, such as `matrices=True`.

    Raises a ValueError for an unknown name, with the nearest known one.

    >>> [explained.title[:6] for explained in example("n9")]
    ['N9 (a)', 'N9 (b)']
    """
    known = {one: (one,) for one in EXAMPLES} | ALSO
    return tuple(EXAMPLES[part].make(**options)
                 for part in checks.one_of("example", name.lower(), known))
