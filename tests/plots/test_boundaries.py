"""The decision boundary lies where the share crosses a half, and each example is drawn as its class."""

import numpy as np
import pytest

from functional_nn import plots
from tests.plots.readable import assert_readable

GRID = np.linspace(-0.5, 1.5, 21)
SHARES = 1 / (1 + np.exp(-10 * (GRID[None] + GRID[:, None] - 1)))  # the boundary is x + y = 1
POINTS, CLASSES = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.2]]), np.array([0, 1, 1])


def draw(shares=SHARES, points=POINTS):
    figure, [axes] = plots.panels(1)
    plots.draw_boundary(axes, GRID, GRID, shares, points, CLASSES)
    axes.set(xlabel="x", ylabel="y")
    axes.legend()
    return figure


def test_all_words_can_be_read_and_no_global_state_is_touched():
    assert_readable(draw)


def test_the_line_is_where_the_share_is_a_half():
    axes = draw().axes[0]
    [line] = [path for each in axes.collections for path in each.get_paths() if len(path.vertices)]
    np.testing.assert_allclose(line.vertices.sum(axis=1), 1, atol=1e-6)


def test_each_class_has_its_own_mark_and_a_constant_share_has_no_line():
    zero, one = draw().axes[0].lines
    assert zero.get_xydata().tolist() == [[0, 0]] and one.get_xydata().tolist() == [[1, 1], [0, 1.2]]
    assert zero.get_marker() != one.get_marker()
    assert not draw(np.zeros_like(SHARES)).axes[0].collections


@pytest.mark.parametrize("wrong", [{"shares": SHARES[1:]}, {"points": POINTS[:2]}])
def test_names_the_mistake(wrong):
    with pytest.raises(ValueError, match=r"shares must have shape \(21, 21\).*points \(3, 2\)"):
        draw(**wrong)
