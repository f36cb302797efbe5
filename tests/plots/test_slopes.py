"""Activations and losses beside their derivatives: a panel each, and circles that show a fault."""

import numpy as np
import pytest

from functional_nn import plots
from tests.plots.readable import assert_readable

Z = np.linspace(-3, 3, 121)
CURVES = {"tanh": (Z, np.tanh(Z), 1 - np.tanh(Z) ** 2), "step": (Z, 1.0 * (Z > 0), 0 * Z),
          "square": (Z, Z**2, 2 * Z)}
PICTURES = {
    "functions": lambda: plots.functions(CURVES),
    "eleven functions": lambda: plots.functions(
        {f"function {index}": CURVES["tanh"] for index in range(11)}),
    "one function": lambda: plots.functions({"tanh": CURVES["tanh"]}),
    "losses": lambda: plots.losses(CURVES),
}


@pytest.mark.parametrize("name", PICTURES)
def test_all_words_can_be_read_and_no_global_state_is_touched(name):
    assert_readable(PICTURES[name])


@pytest.mark.parametrize("draw", [plots.functions, plots.losses])
def test_each_function_has_a_panel_and_its_steepest_slope(draw):
    figure = draw(CURVES)
    assert [axes.get_title() for axes in figure.axes] == [
        "tanh: |slope| up to 1", "step: |slope| up to 0", "square: |slope| up to 6"]
    with pytest.raises(ValueError, match="at least one"):
        draw({})
    with pytest.raises(ValueError, match="pairs\\['tanh'\\] must be three arrays of one shape"):
        draw({"tanh": (Z, Z, Z[1:])})


def test_the_circles_lie_on_a_derivative_that_is_right_and_off_one_that_is_wrong():
    figure = plots.functions({"right": CURVES["tanh"], "wrong": (Z, np.tanh(Z), np.tanh(Z))})
    far = []
    for axes in figure.axes:
        (z, slope), (at, difference) = (line.get_data() for line in axes.lines[1:])
        far.append(np.max(np.abs(np.interp(at, z, slope) - difference)))
    assert far[0] < 1e-2 < 0.5 < far[1]
