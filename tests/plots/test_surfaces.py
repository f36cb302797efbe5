"""The cost surface: a path is drawn step by step, and what is not finite is left out."""

import numpy as np
import pytest

from functional_nn import plots
from tests.plots.readable import assert_readable

GRID = np.linspace(-2, 2, 31)
COST = GRID**2 + 9 * GRID[:, None]**2
PATH = np.array([[1.5, 1.5], [1.0, 0.5], [0.5, 0.1], [np.inf, np.nan]])


def draw(cost=COST, path=PATH):
    figure, [axes] = plots.panels(1)
    plots.draw_surface(axes, GRID, GRID, cost, {"descent": path, "uphill": -path})
    axes.set(xlabel="weight", ylabel="bias")
    return figure


def test_all_words_can_be_read_and_no_global_state_is_touched():
    assert_readable(draw)


def test_a_path_is_its_finite_steps():
    descent, _ = draw().axes[0].lines
    np.testing.assert_array_equal(descent.get_xydata(), PATH[:3])


@pytest.mark.parametrize(("wrong", "words"), [
    ({"cost": COST[1:]}, r"cost must have shape \(31, 31\)"),
    ({"path": PATH.T}, r"paths\['descent'\] must have shape \(steps, 2\)")])
def test_names_the_mistake(wrong, words):
    with pytest.raises(ValueError, match=words):
        draw(**wrong)
