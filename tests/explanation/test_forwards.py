"""What is left out of a formula is one number in it."""

import numpy as np

from functional_nn import mlp
from functional_nn.explanation import explain
from functional_nn.explanation.forwards import z_formula
from functional_nn.explanation.notation import Symbol
from tests.explanation.planned import WHOLE, plan, symbols


def test_what_is_left_out_of_a_sum_is_one_symbol():
    whole, part = plan(WHOLE), plan(((0, 2), (1,), (0, 1)))
    assert len(symbols(z_formula(whole, 2, (1,)))) == 7
    assert symbols(z_formula(part, 2, (1,)))[-2:] == [Symbol("more z", 2, (1,)), Symbol("b", 2, (1,))]
    assert [s.index for s in symbols(z_formula(part, 2, (1,))) if s.letter == "w"] == [(1, 0), (1, 2)]


def test_the_loss_of_vectors_is_its_own_formula_with_the_vectors_put_in():
    params = ({"w": np.array([[1.0], [2.0]]), "b": np.zeros(2)},)
    explained = explain(mlp((1, 2)), "mse", params, [1.0], [0.0, 4.0], matrices=True)
    lines = str(explained).splitlines()
    first = lines.index("L = (Σ (a − y)²) / 2")
    assert lines[first + 1:first + 4] == [
        "  = (Σ (⎡1⎤ − ⎡0⎤)²) / 2", "        ⎣2⎦   ⎣4⎦", "  = 2.5"]


def test_a_minus_stands_before_the_sum_and_products_of_vectors_go_entry_by_entry():
    params = ({"w": np.array([[1.0], [2.0]]), "b": np.zeros(2)},)
    explained = explain(mlp((1, 2), output="softmax"), "cross_entropy", params, [1.0], 1,
                        matrices=True)
    assert "L = −Σ y ⊙ ln a" in str(explained).splitlines()
