"""Curves with bands and rows of dots: each label once, the mean where it is said to be, words that can be read."""

import numpy as np
import pytest

from functional_nn import plots
from tests.plots.readable import assert_readable

X = np.arange(1, 9)
BANDS = {f"run {i}": (i + 1 / X, i + 0.9 / X, i + 1.1 / X) for i in range(5)}
GROUPS = {"plain": ([0.1, 0.2, 0.6], (0.3, 0.1, 0.5)),
          "with a very long name that has to be shortened": ([0.2], (0.2, 0.2, 0.2))}


def bands():
    figure, [axes] = plots.panels(1)
    plots.draw_bands(axes, X, BANDS, marked=True)
    axes.set(xlabel="epoch", ylabel="cost")
    return figure


def groups():
    figure, [axes] = plots.panels(1, width=5)
    plots.draw_groups(axes, GROUPS)
    return figure


@pytest.mark.parametrize("draw", [bands, groups])
def test_all_words_can_be_read_and_no_global_state_is_touched(draw):
    assert_readable(draw)


def test_a_curve_is_its_mean_and_the_band_its_interval():
    axes = bands().axes[0]
    for line, fill, (mean, low, high) in zip(axes.lines, axes.collections, BANDS.values(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), mean)
        corners = fill.get_paths()[0].vertices[:, 1]
        assert corners.min() == pytest.approx(low.min()) and corners.max() == pytest.approx(high.max())
    styles = {(line.get_color(), str(line.get_linestyle())) for line in axes.lines}
    assert len(styles) == len(BANDS)


def test_every_run_of_a_group_is_a_dot_and_the_first_group_is_on_top():
    axes = groups().axes[0]
    dots, interval, mean = axes.lines[:3]
    assert sorted(dots.get_xdata()) == [0.1, 0.2, 0.6] and list(interval.get_xdata()) == [0.1, 0.5]
    assert list(mean.get_xdata()) == [0.3] and axes.get_ylim()[0] > axes.get_ylim()[1]


@pytest.mark.parametrize(("draw", "curves"), [
    (plots.draw_curves, {"a": X[1:]}), (plots.draw_bands, {"a": (X, X, X[1:])})])
def test_another_length_is_named(draw, curves):
    _, [axes] = plots.panels(1)
    with pytest.raises(ValueError, match=r"curves\['a'\] must .* x's shape \(8,\)"):
        draw(axes, X, curves)
