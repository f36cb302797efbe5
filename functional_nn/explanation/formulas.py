"""The formulas of a network's working: what every quantity is computed from (N8, N13, N14).

A `Formula` is made of symbols and holds no number. `numbers` gives the symbols their values, and
`rendering` writes a formula with its symbols and once more with their values put in. The same
formulas serve one example, a batch, and every step of a recorded run.
"""

import dataclasses
import itertools
import math
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from functional_nn.explanation.notation import Symbol, number
from functional_nn.losses import FUSED
from functional_nn.objective import Objective

__all__ = ["Formula", "Plan", "Section", "sections"]

Part = str | Symbol
CORNERS = "only the first and the last entries of large vectors and matrices are shown"
WRITTEN_OUT = 12  # a sum over all nodes of a layer is written out for at most so many


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


def sections(plan: Plan) -> tuple[Section, ...]:
    """The sections of the working: forwards, the loss, backwards, and one update."""
    layers = range(2, plan.last + 1)
    return (*(_forwards(plan, l) for l in layers), _loss(plan),
            *itertools.chain.from_iterable(
                (_errors(plan, l), _gradients(plan, l)) for l in reversed(layers)),
            _update(plan))


def _forwards(plan: Plan, l: int) -> Section:
    formulas = []
    for e, j in plan.each(l):
        formulas += [z_formula(plan, l, j, e), a_formula(plan, l, j, e)]
    layer = plan.layer(l)
    equation = (f"zˡ = {'Wˡ aˡ⁻¹' + ' + bˡ' * plan.biases}, aˡ = σ(zˡ), σ = {layer.activation}"
                if layer.equations.affine else f"z = {_told(layer.equations.z, layer)}")
    return Section(f"Forwards, layer {l}: {layer!r}", tuple(formulas), equation, _left_out(plan, l))


def _left_out(plan: Plan, l: int) -> str:
    if plan.whole:
        return CORNERS * (plan.cut(l) or plan.cut(l - 1))
    told = []
    if plan.cut(l):
        told.append(f"{len(plan.shown[l - 1])} of the {plan.sizes[l - 1]} nodes are shown")
    if plan.cut(l - 1) and plan.layer(l).equations.affine:
        told.append(f"{len(plan.shown[l - 2])} of the {plan.sizes[l - 2]} inputs, with the sum of "
                    "the others as one number")
    return ", ".join(told)


def _told(equation: str, layer) -> str:
    return equation or f"what {layer.kind} computes"


def z_formula(plan: Plan, l: int, j: tuple[int, ...], e: int = 0) -> Formula:
    """zˡⱼ = Σₖ wˡⱼₖ aˡ⁻¹ₖ + bˡⱼ, or in the words of a layer that is not affine."""
    layer, z = plan.layer(l), Symbol("z", l, j, e)
    if not layer.equations.affine:
        return Formula(z, (_told(layer.equations.z, layer),), words=True)
    bias = (" + ", Symbol("b", l, j)) if plan.biases else ()
    terms = [(Symbol("w", l, j + k), "·", Symbol("a", l - 1, k, e)) for k in plan.nodes(l - 1)]
    more = not plan.whole and plan.cut(l - 1) and Symbol("more z", l, j, e)
    return Formula(z, (*_sum(terms, more), *bias))


def _sum(terms: Sequence[tuple[Part, ...]], more: Symbol | bool) -> tuple[Part, ...]:
    """The terms with + between them, and the symbol of the sum of the terms left out, if any."""
    every = [*terms, (more,)] if more else terms
    parts = list(every[0])
    for term in every[1:]:
        parts += [" + ", *term]
    return tuple(parts)


def a_formula(plan: Plan, l: int, j: tuple[int, ...], e: int = 0) -> Formula:
    """aˡⱼ = σ(zˡⱼ), as the activation writes it."""
    activation = plan.layer(l).activation
    text = activation.formula or f"{activation.name}({{z}})"
    called = not activation.elementwise and (plan.whole or plan.sizes[l - 1] > WRITTEN_OUT)
    z = Symbol("z", l, () if called else j, e)
    text = f"{activation.name}({{z}})" if called else text
    parts = _filled(text, {"z": z}, activation.parameters, plan, (l, e))
    return Formula(Symbol("a", l, j, e), parts, words=plan.whole or called)


def slope_formula(plan: Plan, l: int, j: tuple[int, ...], e: int = 0) -> Formula:
    """σ′(zˡⱼ), as the activation writes it."""
    activation = plan.layer(l).activation
    text = activation.slope_formula or f"{activation.name}′({{z}})"
    symbols = {"z": Symbol("z", l, j, e), "a": Symbol("a", l, j, e)}
    parts = _filled(text, symbols, activation.parameters, plan, (l, e))
    return Formula(Symbol("σ′", l, j, e), parts, words=plan.whole)


def _filled(text: str, symbols: Mapping[str, Symbol], settings: Mapping[str, Any], plan: Plan,
            where: tuple[int, int]) -> tuple[Part, ...]:
    """A formula of a record, with symbols for its {fields}; `where` is (layer, example)."""
    parts: list[Part] = []
    for words, field, _, _ in string.Formatter().parse(text):
        parts.append(words)
        if field is None:
            continue
        if field.startswith("Σ"):
            before, after = field.removeprefix("Σ ").split("[z]")
            l, e = where
            parts += _sum([(before, Symbol("z", l, (k,), e), after)
                           for k in range(plan.sizes[l - 1])], False)
        else:
            parts.append(symbols[field] if field in symbols else number(float(settings[field])))
    return tuple(part for part in parts if part)


def _loss(plan: Plan) -> Section:
    loss, L = plan.problem.loss, plan.last
    formulas = [Formula(Symbol("L", example=e), *_loss_parts(plan, e))
                for e in range(plan.examples)]
    if plan.examples > 1:
        total = _sum([(Symbol("L", example=e),) for e in range(plan.examples)], False)
        formulas.append(Formula(Symbol("C"), _over(total, plan)))
    return Section(f"The loss, {loss!r}", tuple(formulas), note=_left_out_of_loss(plan, L))


def _left_out_of_loss(plan: Plan, l: int) -> str:
    return "" if plan.sizes[l - 1] <= WRITTEN_OUT else "the sum over the outputs is not written out"


def _loss_parts(plan: Plan, e: int) -> tuple[tuple[Part, ...], str, bool]:
    """The parts of the loss of an example, its relation, and whether they are words only."""
    loss, L, n = plan.problem.loss, plan.last, plan.sizes[-1]
    if n > WRITTEN_OUT or plan.whole:
        parts = (f"{loss.name}(", Symbol("a", L, (), e), ", ", Symbol("y", L, (), e), ")")
        return parts, "=", True
    text = loss.formula or f"{loss.name}({{a}}, {{y}})"
    terms = [_term(plan, text, (j,), e) for j in range(n)]
    parts, plus = list(terms[0]), " + "
    for term in terms[1:]:
        if str(term[0]).startswith("−"):  # a + −b is written a − b
            term, plus = (term[0][1:], *term[1:]), " − "
        parts += [plus, *term]
    return _mean_over_outputs(plan, tuple(parts)), "=", False


def _term(plan: Plan, text: str, j: tuple[int, ...], e: int) -> tuple[Part, ...]:
    L = plan.last
    symbols = {"a": Symbol("a", L, j, e), "y": Symbol("y", L, j, e)}
    return _filled(text, symbols, plan.problem.loss.parameters, plan, (L, e))


def _mean_over_outputs(plan: Plan, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    n = plan.sizes[-1]
    return parts if plan.problem.loss.sums or n == 1 else ("(", *parts, f") / {n}")


def _over(total: tuple[Part, ...], plan: Plan) -> tuple[Part, ...]:
    """A sum over the examples, divided by their number where the cost is the mean."""
    mean = plan.examples > 1 and plan.problem.reduction == "mean"
    return ("(", *total, f") / {plan.examples}") if mean else total


def _errors(plan: Plan, l: int) -> Section:
    formulas: list[Formula] = []
    for e, j in plan.each(l):
        formulas += error_formulas(plan, l, j, e)
    note = CORNERS * (plan.whole and plan.cut(l))
    if not plan.whole and l < plan.last and plan.layer(l + 1).equations.affine and plan.cut(l + 1):
        note = (f"{len(plan.shown[l])} of the {plan.sizes[l]} nodes above, with the sum of the "
                "others as one number")
    return Section(f"Backwards, the error δ of layer {l}", tuple(formulas),
                   _error_equation(plan, l), note, (("δ", l),))


def _error_equation(plan: Plan, l: int) -> str:
    """BP1 or BP2 as it stands for the layer."""
    activation = plan.layer(l).activation
    through = "{} ⊙ σ′({})" if activation.elementwise else "J({1})ᵀ {0}"
    if l < plan.last:
        above = plan.layer(l + 1).equations
        back = "(Wˡ⁺¹)ᵀ δˡ⁺¹" if above.affine else "∂L/∂aˡ"
        return f"BP2: δˡ = {through.format(back, 'zˡ')}"
    equation = f"BP1: δᴸ = {through.format('∂L/∂aᴸ', 'zᴸ')}"
    return equation + (f", which is a − y for {activation} with "
                       + plan.problem.loss.name.replace("_", " ")) * _is_fused(plan)


def _is_fused(plan: Plan) -> bool:
    return (plan.layer(plan.last).activation.name, plan.problem.loss.name) in FUSED


def error_formulas(plan: Plan, l: int, j: tuple[int, ...], e: int = 0) -> list[Formula]:
    """δˡⱼ, after the factors that it is the product of."""
    activation, delta = plan.layer(l).activation, Symbol("δ", l, j, e)
    above, slope = Symbol("∂a", l, j, e), Symbol("σ′", l, j, e)
    if l == plan.last:
        if not activation.elementwise and _is_fused(plan):
            parts = (Symbol("a", l, j, e), " − ", Symbol("y", l, j, e))
            return [Formula(delta, parts)]
        first = [_loss_slope(plan, j, e)]
    elif plan.layer(l + 1).equations.affine:
        first = []
    else:
        layer = plan.layer(l + 1)
        first = [Formula(above, (_told(layer.equations.cotangent, layer),), words=True)]
    if not activation.elementwise:
        return [*first, Formula(delta, (f"J(z)ᵀ ∂L/∂a, J of {activation.name}",), words=True)]
    times = " ⊙ " if plan.whole else "·"
    back = (above,) if first else _back(plan, l, j, e)
    return [*first, slope_formula(plan, l, j, e), Formula(delta, (*back, times, slope))]


def _loss_slope(plan: Plan, j: tuple[int, ...], e: int) -> Formula:
    """∂L/∂aⱼ of the last layer, as the loss writes it."""
    loss = plan.problem.loss
    parts = _term(plan, loss.slope_formula or f"{loss.name}′({{a}}, {{y}})", j, e)
    return Formula(Symbol("∂a", plan.last, j, e), _mean_over_outputs(plan, parts),
                   words=plan.whole and not loss.slope_formula)


def _back(plan: Plan, l: int, k: tuple[int, ...], e: int) -> tuple[Part, ...]:
    """((Wˡ⁺¹)ᵀ δˡ⁺¹)ₖ, in brackets where it is a sum."""
    if plan.whole:
        return ("(", Symbol("wᵀ", l + 1), "·", Symbol("δ", l + 1, (), e), ")")
    terms = [(Symbol("w", l + 1, j + k), "·", Symbol("δ", l + 1, j, e)) for j in plan.nodes(l + 1)]
    more = plan.cut(l + 1) and Symbol("more δ", l, k, e)
    parts = _sum(terms, more)
    return parts if len(terms) == 1 and not more else ("(", *parts, ")")


def _gradients(plan: Plan, l: int) -> Section:
    layer = plan.layer(l)
    if not layer.equations.affine:
        leaves = [Symbol(letter, l) for letter in leaf_letters(plan.problem.net, l)]
        return Section(
            f"Backwards, the gradient of layer {l}: {layer!r}",
            tuple(Formula(leaf, ("the norm, the root of the sum of the squares",), words=True)
                  for leaf in leaves),
            "", "" if leaves else f"{layer.kind} has no parameters",
            tuple((leaf.letter, l) for leaf in leaves))
    formulas = []
    for j in plan.nodes(l):
        formulas += [gradient_formula(plan, "w", l, j, k) for k in plan.nodes(l - 1)]
        formulas += [gradient_formula(plan, "b", l, j)] * plan.biases
    C, over = ("L", "") if plan.examples == 1 else ("C", "Σ ")
    over = over if plan.problem.reduction == "sum" or not over else f"1/{plan.examples} Σ "
    equation = f"BP4: ∂{C}/∂Wˡ = {over}δˡ (aˡ⁻¹)ᵀ" + f", BP3: ∂{C}/∂bˡ = {over}δˡ" * plan.biases
    return Section(f"Backwards, the gradient of layer {l}", tuple(formulas), equation,
                   _left_out_of_weights(plan, l), (("∂w", l), *(("∂b", l),) * plan.biases))


def leaf_letters(net, l: int) -> list[str]:
    """The letters of the norms of layer l's gradient, "‖" and the path of the leaf."""
    leaves = jax.tree_util.tree_leaves_with_path(net._shapes[l - 2])
    return ["‖" + jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves]


def _left_out_of_weights(plan: Plan, l: int) -> str:
    if plan.whole:
        return _left_out(plan, l)
    n, m = len(plan.shown[l - 1]), len(plan.shown[l - 2])
    whole = plan.sizes[l - 1] * plan.sizes[l - 2]
    return "" if n * m == whole else f"{n * m} of the {whole:,} weights are shown"


def gradient_formula(
    plan: Plan, leaf: str, l: int, j: tuple[int, ...], k: tuple[int, ...] = ()
) -> Formula:
    """∂L/∂wˡⱼₖ = δˡⱼ aˡ⁻¹ₖ, or ∂L/∂bˡⱼ = δˡⱼ; over several examples, their sum or mean."""
    def term(e: int) -> tuple[Part, ...]:
        delta = Symbol("δ", l, j, e)
        a = Symbol("aᵀ" if plan.whole else "a", l - 1, k, e)
        return (delta, "·", a) if leaf == "w" else (delta,)

    total = _sum([term(e) for e in range(plan.examples)], False)
    return Formula(Symbol(f"∂{leaf}", l, j + k), _over(total, plan))


def _update(plan: Plan) -> Section:
    formulas = []
    for l in range(2, plan.last + 1):
        if not plan.layer(l).equations.affine:
            continue
        for j in plan.nodes(l):
            places = [("w", j + k) for k in plan.nodes(l - 1)] + [("b", j)] * plan.biases
            formulas += [step_formula(leaf, l, place) for leaf, place in places]
    others = [plan.layer(l).kind for l in range(2, plan.last + 1)
              if not plan.layer(l).equations.affine and plan.problem.net._shapes[l - 2]]
    return Section("One update, gradient descent with the learning rate γ", tuple(formulas),
                   "w ← w − γ ∂L/∂w" if plan.examples == 1 else "w ← w − γ ∂C/∂w",
                   f"so do the parameters of {', '.join(dict.fromkeys(others))}"
                   if others else "")


def step_formula(leaf: str, l: int, place: tuple[int, ...]) -> Formula:
    """w ← w − γ ∂L/∂w for one weight or bias, or for the whole matrix."""
    parts = (Symbol(leaf, l, place), " − ", Symbol("γ"), "·", Symbol(f"∂{leaf}", l, place))
    return Formula(Symbol(f"{leaf}+", l, place), parts, "←")
