"""The diagram of a network: a line a weight, wider where it is larger, and the numbers in the circles."""

import numpy as np
import pytest

from functional_nn import plots
from functional_nn.plots.diagrams import NEGATIVE, POSITIVE
from tests.plots.readable import assert_readable, words

WEIGHTS = [np.array([[4.0, -1.0], [0.5, 2.0], [1.0, 1.0]]), np.array([[1.0, -3.0, 2.0]])]
VALUES = [[0.25, -1.5], [123.456, 0.001, 7], [12]]


def draw(sizes=(2, 3, 1), **options):
    figure, [axes] = plots.panels(1, width=4.6, height=3.8)
    plots.draw_network(axes, sizes, **options)
    return figure


@pytest.mark.parametrize("options", [
    {"weights": WEIGHTS, "values": VALUES, "names": ("x", "a²", "ŷ")}, {}, {"sizes": (40, 12, 3)}])
def test_all_words_can_be_read_and_no_global_state_is_touched(options):
    assert_readable(lambda: draw(**options))


def test_a_weight_is_a_line_and_its_size_and_sign_can_be_seen():
    lines = draw(weights=WEIGHTS).axes[0].lines
    weights = np.concatenate([np.ravel(w) for w in WEIGHTS])
    assert len(lines) == len(weights)
    widths = [line.get_linewidth() for line in lines]
    assert list(np.argsort(np.abs(weights), kind="stable")) == list(np.argsort(widths, kind="stable"))
    for line, weight in zip(lines, weights, strict=True):
        assert line.get_color() == (POSITIVE if weight > 0 else NEGATIVE)


def test_the_numbers_are_written_and_a_large_layer_says_how_large_it_is():
    said = [text for text, _ in words(draw(values=VALUES))]
    assert {"0.25", "−1.5", "123", "0.001", "7", "12"} <= set(said)
    assert [text for text, _ in words(draw(sizes=(40, 2)))] == ["… of 40"]


@pytest.mark.parametrize(("options", "said"), [
    ({"weights": WEIGHTS[:1]}, "weights must have the shapes"),
    ({"values": [[1], [2], [3]]}, r"values must hold \(2, 3, 1\) numbers")])
def test_names_the_mistake(options, said):
    with pytest.raises(ValueError, match=said):
        draw(**options)
