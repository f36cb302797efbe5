"""What is written out."""

from functional_nn.explanation.formulas import sections
from tests.explanation.planned import WHOLE, plan


def test_every_node_and_weight_is_there_once():
    found = [formula.symbol for section in sections(plan(WHOLE))
             for formula in section.formulas]
    assert len(found) == len(set(found))
    for letter, count in {"z": 6, "a": 6, "δ": 6, "∂w": 20, "∂b": 6, "w+": 20, "b+": 6}.items():
        assert sum(symbol.letter == letter for symbol in found) == count
