"""The formulas of the forward pass and of the loss (N8)."""

from functional_nn.explanation.notation import Symbol
from functional_nn.explanation.plan import (
    Formula,
    Part,
    Plan,
    Section,
    filled,
    over_examples,
    summed,
)

__all__ = ["CORNERS", "a_formula", "forwards", "left_out", "loss_section", "loss_term",
           "mean_over_outputs", "told", "z_formula"]

CORNERS = "only the first and the last entries of large vectors and matrices are shown"
WRITTEN_OUT = 12  # a sum over all nodes of a layer is written out for at most so many


def forwards(plan: Plan, l: int) -> Section:
    """The section of zˡ and aˡ of every node that is written out."""
    formulas = []
    for e, j in plan.each(l):
        formulas += [z_formula(plan, l, j, e), a_formula(plan, l, j, e)]
    layer = plan.layer(l)
    equation = (f"zˡ = {'Wˡ aˡ⁻¹' + ' + bˡ' * plan.biases}, aˡ = σ(zˡ), σ = {layer.activation}"
                if layer.equations.affine else f"z = {told(layer.equations.z, layer)}")
    return Section(f"Forwards, layer {l}: {layer!r}", tuple(formulas), equation, left_out(plan, l))


def left_out(plan: Plan, l: int) -> str:
    """What is left out of layer l, in words; "" for nothing."""
    if plan.whole:
        return CORNERS * (plan.cut(l) or plan.cut(l - 1))
    told = []
    if plan.cut(l):
        told.append(f"{len(plan.shown[l - 1])} of the {plan.sizes[l - 1]} nodes are shown")
    if plan.cut(l - 1) and plan.layer(l).equations.affine:
        told.append(f"{len(plan.shown[l - 2])} of the {plan.sizes[l - 2]} inputs, with the sum of "
                    "the others as one number")
    return ", ".join(told)


def told(equation: str, layer) -> str:
    """The equation of a layer that is not affine, as its record has it."""
    return equation or f"what {layer.kind} computes"


def z_formula(plan: Plan, l: int, j: tuple[int, ...], e: int = 0) -> Formula:
    """zˡⱼ = Σₖ wˡⱼₖ aˡ⁻¹ₖ + bˡⱼ, or in the words of a layer that is not affine."""
    layer, z = plan.layer(l), Symbol("z", l, j, e)
    if not layer.equations.affine:
        return Formula(z, (told(layer.equations.z, layer),), words=True)
    bias = (" + ", Symbol("b", l, j)) if plan.biases else ()
    terms = [(Symbol("w", l, j + k), "·", Symbol("a", l - 1, k, e)) for k in plan.nodes(l - 1)]
    more = not plan.whole and plan.cut(l - 1) and Symbol("more z", l, j, e)
    return Formula(z, (*summed(terms, more), *bias))


def a_formula(plan: Plan, l: int, j: tuple[int, ...], e: int = 0) -> Formula:
    """aˡⱼ = σ(zˡⱼ), as the activation writes it."""
    activation = plan.layer(l).activation
    text = activation.formula or f"{activation.name}({{z}})"
    called = not activation.elementwise and (plan.whole or plan.sizes[l - 1] > WRITTEN_OUT)
    z = Symbol("z", l, () if called else j, e)
    text = f"{activation.name}({{z}})" if called else text
    parts = filled(text, {"z": z}, activation.parameters, plan, (l, e))
    return Formula(Symbol("a", l, j, e), parts, words=plan.whole or called)


def loss_section(plan: Plan) -> Section:
    """The section of the loss of every example, and of their cost if there are several."""
    loss, L = plan.problem.loss, plan.last
    formulas = [Formula(Symbol("L", example=e), *_loss_parts(plan, e))
                for e in range(plan.examples)]
    if plan.examples > 1:
        total = summed([(Symbol("L", example=e),) for e in range(plan.examples)], False)
        formulas.append(Formula(Symbol("C"), over_examples(total, plan)))
    return Section(f"The loss, {loss!r}", tuple(formulas), note=_left_out_of_loss(plan, L))


def _left_out_of_loss(plan: Plan, l: int) -> str:
    return "" if plan.sizes[l - 1] <= WRITTEN_OUT else "the sum over the outputs is not written out"


def _loss_parts(plan: Plan, e: int) -> tuple[tuple[Part, ...], str, bool]:
    """The parts of the loss of an example, its relation, and whether they are words only."""
    loss, n = plan.problem.loss, plan.sizes[-1]
    if n > WRITTEN_OUT or plan.whole:
        return _loss_of_vectors(plan, e), "=", not (plan.whole and loss.formula)
    text = loss.formula or f"{loss.name}({{a}}, {{y}})"
    terms = [loss_term(plan, text, (j,), e) for j in range(n)]
    parts, plus = list(terms[0]), " + "
    for term in terms[1:]:
        if str(term[0]).startswith("−"):  # a + −b is written a − b
            term, plus = (term[0][1:], *term[1:]), " − "
        parts += [plus, *term]
    return mean_over_outputs(plan, tuple(parts)), "=", False


def _loss_of_vectors(plan: Plan, e: int) -> tuple[Part, ...]:
    """The loss of vectors a and y: Σ before the formula of an output, whose minus goes in front."""
    loss = plan.problem.loss
    if not loss.formula:
        return loss_term(plan, f"{loss.name}({{a}}, {{y}})", (), e)
    minus, sign = loss.formula.startswith("−"), "Σ " * (plan.sizes[-1] > 1)
    text = "−" * minus + sign + loss.formula[minus:]
    return mean_over_outputs(plan, loss_term(plan, text, (), e))


def loss_term(plan: Plan, text: str, j: tuple[int, ...], e: int) -> tuple[Part, ...]:
    """The term of output j in the loss, or in its slope, of example e."""
    L = plan.last
    symbols = {"a": Symbol("a", L, j, e), "y": Symbol("y", L, j, e)}
    return filled(text, symbols, plan.problem.loss.parameters, plan, (L, e))


def mean_over_outputs(plan: Plan, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """A sum over the outputs, divided by their number where the loss is their mean."""
    n = plan.sizes[-1]
    return parts if plan.problem.loss.sums or n == 1 else ("(", *parts, f") / {n}")
