"""Which nodes are written out, and how the parts of formulas are put together."""

from functional_nn.explanation.notation import Symbol
from functional_nn.explanation.plan import filled, over_examples, summed
from tests.explanation.planned import WHOLE, plan


def test_a_layer_is_cut_where_nodes_are_left_out():
    part = plan(((0, 2), (1,), (0, 1)), examples=2)
    assert [part.cut(l) for l in (1, 2, 3)] == [True, True, False] and part.sizes == (3, 4, 2)
    assert list(part.each(3)) == [(0, (0,)), (0, (1,)), (1, (0,)), (1, (1,))]
    assert plan(WHOLE, whole=True).nodes(2) == [()]


def test_parts_are_summed_divided_and_filled_in():
    a, more = Symbol("a", 2, (0,)), Symbol("more z", 2, (1,))
    assert summed([(a,), ("2·", a)], more) == (a, " + ", "2·", a, " + ", more)
    assert over_examples((a,), plan(WHOLE)) == (a,) and over_examples((a,), plan(WHOLE, examples=2)) == ("(", a, ") / 2")
    assert filled("{slope}·{z}", {"z": a}, {"slope": 0.5}, plan(WHOLE), (2, 0)) == ("0.5", "·", a)
