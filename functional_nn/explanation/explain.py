"""`explain`: the working of a small network on an example, number by number (N6, N8, N9, N13–N15).

>>> import functional_nn as fnn, jax.numpy as jnp
>>> params = ({"w": jnp.array([[3.0, 4.0]]), "b": jnp.array([1.0])},)
>>> explained = explain(fnn.mlp((2, 1)), "quadratic", params, [1.0, 2.0], 10.0)
>>> for line in str(explained).splitlines():
...     if line.startswith(("z =", "a =", "L =", "δ =", "∂L/∂w₂")):
...         print(line)
z = w₁·x₁ + w₂·x₂ + b = 3·1 + 4·2 + 1 = 12
a = z = 12
L = ½·(a − y)² = ½·(12 − 10)² = 2
δ = ∂L/∂a·σ′(z) = 2·1 = 2
∂L/∂w₂ = δ·x₂ = 2·2 = 4
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import numpy as np

from functional_nn import autodiff, backprop, checks
from functional_nn.explanation import markup, rendering
from functional_nn.explanation.backwards import leaf_letters
from functional_nn.explanation.formulas import sections
from functional_nn.explanation.notation import Notation, Symbol
from functional_nn.explanation.numbers import Numbers, as_float64, chosen, numbers, rests, value
from functional_nn.explanation.plan import Plan, Section
from functional_nn.objective import REDUCTIONS, objective

__all__ = ["Explanation", "explain"]

MOST_EXAMPLES = 16


@dataclasses.dataclass(frozen=True)
class Explanation:
    """The working of a network on one example or a few: every quantity with its formula.

    `str()`, `to_markdown()` and `to_html()` write the same formulas and numbers.

    Attributes:
      sections: the formulas, forwards, backwards, and of one update.
      numbers: (letter, layer) -> the array with the values of these symbols, in float64.
      notation: the names of the symbols.
      plan: what is written out.
      agreement: (letter, layer) -> the largest difference from `jax.grad`, relative to the largest
        entry.
      digits: the number of significant digits that are printed.
      title: the heading.
    """

    AGREES: ClassVar[float] = 1e-9  # relative; right ones in float64 differ by about 1e-15

    sections: tuple[Section, ...]
    numbers: Numbers
    notation: Notation
    plan: Plan
    agreement: Mapping[tuple[str, int], float]
    digits: int = 4
    title: str = ""

    def value(self, symbol: Symbol) -> Any:
        """The number of a symbol, or the array of a whole vector or matrix."""
        return value(self.numbers, symbol)

    @property
    def right(self) -> bool:
        """Whether every error and gradient agrees with `jax.grad`."""
        return all(error <= self.AGREES for error in self.agreement.values())

    def text(self, width: int = 72) -> str:
        """The working as text in lines of at most `width` columns, as far as a number allows."""
        return rendering.text(self, width)

    def to_markdown(self) -> str:
        """The working as Markdown, with the formulas in LaTeX between dollar signs."""
        return markup.markdown(self)

    def to_html(self) -> str:
        """The working as an HTML page that loads nothing else."""
        return markup.page([self])

    def __str__(self) -> str:
        return self.text()


def explain(
    net, loss, params, x, y, *, reduction: str = "mean", learning_rate: float = 0.1,
    matrices: bool = False, most: int = 6, digits: int = 4,
    names: Mapping[Symbol, str] | None = None, biases: bool = True, title: str = ""
) -> Explanation:
    """The working of a network: every z, a, δ, ∂W and ∂b with formula, numbers put in, and value.

    It goes forwards, backwards and through one update w ← w − γ ∂L/∂w, and compares each error and
    each gradient with `jax.grad`. It computes in float64 without dropout.

    Args:
      net, loss: as for `backprop.value_and_grad`.
      params: the parameters.
      x: the example, (n_in,), or up to 16 examples, (B, n_in).
      y: the target of the example, or the targets of all.
      reduction: "mean" or "sum" of the losses of several examples.
      learning_rate: γ of the update.
      matrices: whether to write vectors and matrices; else every node is written out.
      most: in a layer with more nodes, so many are shown; those with the largest part in the
        result. The sums of the others stand in the formulas as one number.
      digits: the significant digits that are printed.
      names: names of symbols, such as {Symbol("a", 2, (0,)): "C"}.
      biases: whether the biases are written; if not, they must be 0.
      title: the heading; the network and its loss if not given.

    Returns an `Explanation`. Raises a TypeError or ValueError that names the wrong argument.

    >>> import functional_nn as fnn
    >>> net = fnn.mlp((2, 3, 1))
    >>> explained = explain(net, "mse", net.init(jax.random.key(0)), [0.5, -1.0], 1.0)
    >>> explained.right
    True
    >>> [section.heading for section in explained.sections][-1]
    'One update, gradient descent with the learning rate γ'
    """
    checks.one_of("reduction", reduction, REDUCTIONS)
    for name, count in (("most", most), ("digits", digits)):
        checks.integer(name, count)
    checks.positive("learning_rate", learning_rate)
    problem = objective(net, loss, reduction)
    with jax.enable_x64(True):
        batch, params = _checked(problem, params, x, y)
        found = numbers(problem, params, batch.x, batch.y, float(learning_rate))
        agreement = _agreement(problem, params, batch)
    if not biases and any(np.any(array) for (letter, _), array in found.items() if letter == "b"):
        raise ValueError("biases must be True where a bias is not 0, got False")
    shown = chosen(problem, found, most)
    found |= rests(problem, found, shown)
    plan = Plan(problem, shown, len(batch.x), matrices, biases)
    notation = Notation(plan.sizes, plan.examples, reduction == "mean", dict(names or {}), biases)
    return Explanation(sections(plan), found, notation, plan, agreement, digits,
                       title or f"{net!r} with {problem.loss!r}")


def _checked(problem, params, x, y) -> tuple:
    """The examples as a batch of float64, and the parameters likewise."""
    x, y = np.asarray(checks.floating("x", np.asarray(x, float))), np.asarray(checks.real("y", y))
    problem.net.check_params(params)
    several = x.ndim == 2
    if several and len(x) > MOST_EXAMPLES:
        raise ValueError(f"x must hold at most {MOST_EXAMPLES} examples, got {len(x)}; pass "
                         f"x[:{MOST_EXAMPLES}] and y[:{MOST_EXAMPLES}]")
    params = as_float64(params)
    whole = y if y.dtype.kind in "iu" else y.astype(np.float64)
    return (problem.batch if several else problem.example)(params, x, whole), params


def _agreement(problem, params, batch) -> dict[tuple[str, int], float]:
    """The largest relative difference of each δ and gradient from `jax.grad`'s."""
    def both(way):
        deltas = jax.vmap(way.deltas(problem.net, problem.loss), in_axes=(None, 0, 0))
        gradient = way.value_and_grad(problem.net, problem.loss, problem.reduction)
        return jax.jit(lambda *of: (deltas(*of), gradient(*of)[1]))(params, batch.x, batch.y)

    errors, grads = zip(both(backprop), both(autodiff), strict=True)
    agreement = {}
    for l, layer in enumerate(problem.net.layers, start=2):
        letters = [letter.replace("‖", "∂") if layer.equations.affine else letter
                   for letter in leaf_letters(problem.net, l)]
        agreement["δ", l] = _difference(*(deltas[l - 2] for deltas in errors))
        leaves = zip(*(jax.tree.leaves(gradient[l - 2]) for gradient in grads), strict=True)
        agreement |= {(letter, l): _difference(*pair)
                      for letter, pair in zip(letters, leaves, strict=True)}
    return agreement


def _difference(given, wanted) -> float:
    given, wanted = np.asarray(given), np.asarray(wanted)
    scale = np.abs(wanted).max(initial=0.0)
    error = np.abs(given - wanted).max(initial=0.0)
    return float(error / scale) if scale else float(error)
