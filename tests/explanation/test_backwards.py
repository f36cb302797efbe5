"""The formulas of the backward pass."""

from functional_nn.explanation.backwards import gradient_formula
from tests.explanation.planned import WHOLE, plan, symbols


def test_the_gradient_of_a_batch_has_a_term_for_each_example():
    formula = gradient_formula(plan(WHOLE, examples=3), "w", 2, (0,), (1,))
    assert [part.example for part in symbols(formula)] == [0, 0, 1, 1, 2, 2]
    assert formula.parts[-1] == ") / 3"
