"""The quantities of the backward pass drawn: one panel each, whatever its shape."""

import numpy as np
import pytest

from functional_nn import plots
from tests.plots.readable import assert_readable

RANDOM = np.random.default_rng(0)
TREE = ({"w": RANDOM.normal(size=(5, 4)) ** 2, "b": np.zeros(5)}, (), {"w": RANDOM.normal(size=(3, 5)), "b": np.ones(3)})
LAYERS = {"mean": np.array([1e-3, -2.0, 0.0]), "zeros": np.array([0.5, 0.0, 0.25])}
DEEP = [[{"gain": np.full(4, 10.0 ** -i), "a_rather_long_name_of_a_leaf": RANDOM.normal(size=9)}] for i in range(30)]
PICTURES = {
    "all": {"norms": RANDOM.exponential(size=200), "variance": TREE, "delta_statistics": LAYERS, "noise_scale": 12.3},
    "one number": {"noise_scale": np.array(3.0)},
    "many leaves": {"ggn_diagonal": DEEP},
    "zeros": {"clipped_sum": ({"w": np.zeros((2, 2)), "b": np.zeros(2)},), "cosines": np.zeros(4)},
    "not finite": {"norms": np.array([1.0, np.nan, np.inf]), "variance": ({"w": np.full((2, 2), np.nan)},)},
    "matrices": {"kronecker": ({"inputs": np.eye(3), "errors": np.eye(2)},)},
}


@pytest.mark.parametrize("name", PICTURES)
def test_all_words_can_be_read_and_no_global_state_is_touched(name):
    assert_readable(lambda: plots.quantities(PICTURES[name]))


def test_every_quantity_has_a_panel_and_a_number_stands_in_the_title():
    figure = plots.quantities(PICTURES["all"])
    assert [axes.get_title().split(":")[0].split(",")[0] for axes in figure.axes] == ["norms", "variance", "delta_statistics"]
    assert figure.get_suptitle() == "noise_scale = 12.3"
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["0.w", "0.b  (100% are 0)", "2.w", "2.b"]
    assert [text.get_text() for text in figure.axes[2].get_legend().get_texts()] == ["mean", "zeros"]


@pytest.mark.parametrize(("values", "words"), [
    ({}, "at least one quantity"), ({"norms": np.array([])}, "must hold numbers"), ({"x": "text"}, r"values\['x'\] must hold"),
    ({"variance": ((), {})}, "must hold numbers, got nothing")])
def test_values_that_cannot_be_drawn_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        plots.quantities(values)
