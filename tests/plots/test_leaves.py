"""The errors of a gradient, a row a leaf: exact ones, those above the bound, and broken ones."""

import numpy as np
import pytest

from functional_nn import plots
from tests.plots.readable import assert_readable, legend

PATHS = [f"encoder/blocks/{block}/attention/query_projection/kernel_weights"
         for block in range(70)]
PICTURES = {
    "leaves": lambda: plots.error_bars_by_leaf(
        {"0.w": {"jax.grad": 0.0, "central differences": 1e-10}, "0.b": {"jax.grad": 2e-16}},
        1e-8),
    "long leaves": lambda: plots.error_bars_by_leaf(
        {path: {"jax.grad": 10.0 ** -(index % 17), "forward mode": np.nan}
         for index, path in enumerate(PATHS)}, 1e-8),
}


@pytest.mark.parametrize("name", PICTURES)
def test_all_words_can_be_read_and_no_global_state_is_touched(name):
    assert_readable(PICTURES[name])


def test_exact_leaves_stand_at_the_left_edge_and_those_above_the_bound_are_marked():
    figure = plots.error_bars_by_leaf({"0.w": {"jax.grad": 0.0}, "0.b": {"jax.grad": 1e-3}}, 1e-8)
    axes, = figure.axes
    assert axes.get_title() == (
        "1 of 2 leaves above the bound\nlargest error 0.001 (0.b, jax.grad)")
    names = (label.get_text() for label in axes.get_xticklabels())
    labels = dict(zip(names, axes.get_xticks(), strict=True))
    assert axes.lines[1].get_xdata()[0] == labels["exact"] == min(labels.values())
    assert [label.get_fontweight() for label in axes.get_yticklabels()] == ["normal", "bold"]
    assert legend(figure) == ["against jax.grad", "machine epsilon 2.2e−16", "bound 1e−08"]


def test_an_error_that_is_not_a_number_is_above_every_bound():
    axes, = plots.error_bars_by_leaf(
        {"0.w": {"jax.grad": np.nan}, "0.b": {"jax.grad": 1e-17}}, 1e-8).axes
    assert axes.get_title() == (
        "1 of 2 leaves above the bound\nlargest error not finite (0.w, jax.grad)")
    assert axes.get_xticklabels()[-1].get_text() == "not finite"


@pytest.mark.parametrize(("errors", "bound"), [
    ({}, 1.0), ({"w": {}}, 1.0), ({"w": {"a": -1.0}}, 1.0), ({"w": {"a": 1.0}}, 0)])
def test_errors_that_cannot_be_drawn_are_refused(errors, bound):
    with pytest.raises(ValueError, match="errors must hold"):
        plots.error_bars_by_leaf(errors, bound)
