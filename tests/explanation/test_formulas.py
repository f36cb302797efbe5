"""What is written out, and what is left out."""

import functional_nn as fnn
from functional_nn.explanation.formulas import Plan, gradient_formula, sections, z_formula
from functional_nn.explanation.notation import Symbol
from functional_nn.objective import objective


def plan(shown, **options):
    return Plan(objective(fnn.mlp((3, 4, 2), hidden="tanh"), "mse"), shown, **options)


def symbols(formula):
    return [part for part in formula.parts if isinstance(part, Symbol)]


def test_what_is_left_out_of_a_sum_is_one_symbol():
    whole, part = plan(((0, 1, 2), (0, 1, 2, 3), (0, 1))), plan(((0, 2), (1,), (0, 1)))
    assert len(symbols(z_formula(whole, 2, (1,)))) == 7
    assert symbols(z_formula(part, 2, (1,)))[-2:] == [Symbol("more z", 2, (1,)), Symbol("b", 2, (1,))]
    assert [s.index for s in symbols(z_formula(part, 2, (1,))) if s.letter == "w"] == [(1, 0), (1, 2)]


def test_every_node_and_weight_is_there_once():
    found = [formula.symbol for section in sections(plan(((0, 1, 2), (0, 1, 2, 3), (0, 1))))
             for formula in section.formulas]
    assert len(found) == len(set(found))
    for letter, count in {"z": 6, "a": 6, "δ": 6, "∂w": 20, "∂b": 6, "w+": 20, "b+": 6}.items():
        assert sum(symbol.letter == letter for symbol in found) == count


def test_the_gradient_of_a_batch_has_a_term_for_each_example():
    formula = gradient_formula(plan(((0, 1, 2), (0, 1, 2, 3), (0, 1)), examples=3), "w", 2, (0,), (1,))
    assert [part.example for part in symbols(formula)] == [0, 0, 1, 1, 2, 2]
    assert formula.parts[-1] == ") / 3"
