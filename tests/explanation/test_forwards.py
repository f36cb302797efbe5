"""What is left out of a formula is one number in it."""

from functional_nn.explanation.forwards import z_formula
from functional_nn.explanation.notation import Symbol
from tests.explanation.planned import WHOLE, plan, symbols


def test_what_is_left_out_of_a_sum_is_one_symbol():
    whole, part = plan(WHOLE), plan(((0, 2), (1,), (0, 1)))
    assert len(symbols(z_formula(whole, 2, (1,)))) == 7
    assert symbols(z_formula(part, 2, (1,)))[-2:] == [Symbol("more z", 2, (1,)), Symbol("b", 2, (1,))]
    assert [s.index for s in symbols(z_formula(part, 2, (1,))) if s.letter == "w"] == [(1, 0), (1, 2)]
