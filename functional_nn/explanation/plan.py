"""What is written out of a network's working, and the parts that formulas are made of."""

import dataclasses
import itertools
import math
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from functional_nn.explanation.notation import Symbol, number
from functional_nn.objective import Objective

__all__ = ["Formula", "Part", "Plan", "Section", "filled", "node_counts", "over_examples", "summed"]

Part = str | Symbol


class Formula(NamedTuple):
    """A quantity and what it is computed from.

    Attributes:
      symbol: the quantity.
      parts: text and symbols in turn; numbers can be put in for the symbols.
      relation: "=", or "←" for a step.
      words: whether `parts` describe the formula only, and no numbers are put in.
    """

    symbol: Symbol
    parts: tuple[Part, ...]
    relation: str = "="
    words: bool = False


class Section(NamedTuple):
    """Formulas of one layer in one direction.

    Attributes:
      heading: what is computed.
      formulas: the formulas, in the order in which they are computed.
      equation: the equation of the notes that they follow, or "".
      note: what is left out, or "".
      checks: the quantities, (letter, layer), that are compared with automatic differentiation.
    """

    heading: str
    formulas: tuple[Formula, ...]
    equation: str = ""
    note: str = ""
    checks: tuple[tuple[str, int], ...] = ()


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is written out, and how.

    Attributes:
      problem: the network, the loss and the reduction.
      shown: the nodes of each layer that are written out, the input's first.
      examples: the number of examples.
      whole: whether vectors and matrices are written, not their entries.
      biases: whether the biases are written.
    """

    problem: Objective
    shown: tuple[tuple[int, ...], ...]
    examples: int = 1
    whole: bool = False
    biases: bool = True

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of the layers, the input's first."""
        return node_counts(self.problem.net)

    @property
    def last(self) -> int:
        """The number of the last layer; the input is layer 1."""
        return len(self.sizes)

    def layer(self, l: int) -> Any:
        """The record of layer l, from 2."""
        return self.problem.net.layers[l - 2]

    def nodes(self, l: int) -> list[tuple[int, ...]]:
        """The indices of the nodes of layer l that are written out."""
        return [()] if self.whole else [(j,) for j in self.shown[l - 1]]

    def cut(self, l: int) -> bool:
        """Whether some nodes of layer l are left out."""
        return len(self.shown[l - 1]) < self.sizes[l - 1]

    def each(self, l: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The pairs of an example and a node of layer l."""
        return itertools.product(range(self.examples), self.nodes(l))


def node_counts(net) -> tuple[int, ...]:
    """The numbers of nodes of the layers, the input's first; an image has one for each entry."""
    return tuple(size if isinstance(size, int) else math.prod(size) for size in net.sizes)


def summed(terms: Sequence[tuple[Part, ...]], more: Symbol | bool) -> tuple[Part, ...]:
    """The terms with + between them, and the symbol of the sum of the terms left out, if any."""
    every = [*terms, (more,)] if more else terms
    parts = list(every[0])
    for term in every[1:]:
        parts += [" + ", *term]
    return tuple(parts)


def filled(text: str, symbols: Mapping[str, Symbol], settings: Mapping[str, Any], plan: Plan,
            where: tuple[int, int]) -> tuple[Part, ...]:
    """A formula of a record, with symbols for its {fields}; `where` is (layer, example)."""
    parts: list[Part] = []
    if plan.whole:  # a product of vectors, entry by entry
        text = re.sub(r"(\{[ayz]\}\)?)·", r"\1 ⊙ ", text)
    for words, field, _, _ in string.Formatter().parse(text):
        parts.append(words)
        if field is None:
            continue
        if field.startswith("Σ"):
            before, after = field.removeprefix("Σ ").split("[z]")
            l, e = where
            parts += summed([(before, Symbol("z", l, (k,), e), after)
                           for k in range(plan.sizes[l - 1])], False)
        else:
            parts.append(symbols[field] if field in symbols else number(float(settings[field])))
    return tuple(part for part in parts if part)


def over_examples(total: tuple[Part, ...], plan: Plan) -> tuple[Part, ...]:
    """A sum over the examples, divided by their number where the cost is the mean."""
    mean = plan.examples > 1 and plan.problem.reduction == "mean"
    return ("(", *total, f") / {plan.examples}") if mean else total
