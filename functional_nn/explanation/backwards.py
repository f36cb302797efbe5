"""The formulas of the backward pass and of one update (N13, N14)."""

import jax

from functional_nn.explanation.forwards import (
    CORNERS,
    left_out,
    loss_term,
    mean_over_outputs,
    told,
)
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
from functional_nn.losses import FUSED

__all__ = ["error_formulas", "errors", "gradient_formula", "gradients", "leaf_letters",
           "slope_formula", "step_formula", "update"]


def errors(plan: Plan, l: int) -> Section:
    """The section of δˡ, after the factors that it is the product of (BP1, BP2)."""
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
        first = [Formula(above, (told(layer.equations.cotangent, layer),), words=True)]
    if not activation.elementwise:
        return [*first, Formula(delta, (f"J(z)ᵀ ∂L/∂a, J of {activation.name}",), words=True)]
    times = " ⊙ " if plan.whole else "·"
    back = (above,) if first else _back(plan, l, j, e)
    return [*first, slope_formula(plan, l, j, e), Formula(delta, (*back, times, slope))]


def slope_formula(plan: Plan, l: int, j: tuple[int, ...], e: int = 0) -> Formula:
    """σ′(zˡⱼ), as the activation writes it."""
    activation = plan.layer(l).activation
    text = activation.slope_formula or f"{activation.name}′({{z}})"
    symbols = {"z": Symbol("z", l, j, e), "a": Symbol("a", l, j, e)}
    parts = filled(text, symbols, activation.parameters, plan, (l, e))
    return Formula(Symbol("σ′", l, j, e), parts, words=plan.whole)


def _loss_slope(plan: Plan, j: tuple[int, ...], e: int) -> Formula:
    """∂L/∂aⱼ of the last layer, as the loss writes it."""
    loss = plan.problem.loss
    parts = loss_term(plan, loss.slope_formula or f"{loss.name}′({{a}}, {{y}})", j, e)
    return Formula(Symbol("∂a", plan.last, j, e), mean_over_outputs(plan, parts),
                   words=plan.whole and not loss.slope_formula)


def _back(plan: Plan, l: int, k: tuple[int, ...], e: int) -> tuple[Part, ...]:
    """((Wˡ⁺¹)ᵀ δˡ⁺¹)ₖ, in brackets where it is a sum."""
    if plan.whole:
        return ("(", Symbol("wᵀ", l + 1), "·", Symbol("δ", l + 1, (), e), ")")
    terms = [(Symbol("w", l + 1, j + k), "·", Symbol("δ", l + 1, j, e)) for j in plan.nodes(l + 1)]
    more = plan.cut(l + 1) and Symbol("more δ", l, k, e)
    parts = summed(terms, more)
    return parts if len(terms) == 1 and not more else ("(", *parts, ")")


def gradients(plan: Plan, l: int) -> Section:
    """The section of ∂C/∂Wˡ and ∂C/∂bˡ, or of the norms of another layer's gradient (BP3, BP4)."""
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
        return left_out(plan, l)
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

    total = summed([term(e) for e in range(plan.examples)], False)
    return Formula(Symbol(f"∂{leaf}", l, j + k), over_examples(total, plan))


def update(plan: Plan) -> Section:
    """The section of one step of gradient descent."""
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
