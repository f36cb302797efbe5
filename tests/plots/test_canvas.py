"""What all pictures share: files written whole, shortened names, and words that can be read."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from functional_nn import plots
from functional_nn.plots.canvas import blank, finite, short
from tests.plots.readable import unreadable

Z = np.linspace(-3, 3, 121)


def test_words_that_cannot_be_read_are_noticed():
    figure = Figure()
    figure.text(0.5, 0.5, "one")
    figure.text(0.51, 0.5, "other")
    figure.text(0.99, 0.1, "a long text")
    assert unreadable(figure) == ["'one' and 'other' overlap", "'a long text' is cut off"]


def test_save_is_repeatable_and_whole_or_absent(tmp_path):
    figure = plots.functions({"tanh": (Z, np.tanh(Z), 1 - np.tanh(Z) ** 2)})
    one = plots.save(figure, tmp_path / "one.png")
    two = plots.save(figure, str(tmp_path / "two.png"))
    assert one.read_bytes() == two.read_bytes() == plots.png(figure)
    svg = plots.save(figure, tmp_path / "three.svg").read_text(encoding="utf-8")
    assert svg.startswith("<?xml")
    with pytest.raises(ValueError, match=r"got 'picture.docx'; try picture.png"):
        plots.save(figure, tmp_path / "picture.docx")
    with pytest.raises(FileNotFoundError):
        plots.save(figure, tmp_path / "missing" / "one.png")
    figure.axes[0].set_title("$\\broken$")
    with pytest.raises(ValueError, match="broken"):
        plots.save(figure, one)
    assert one.read_bytes() == two.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "three.svg", "two.png"]


@pytest.mark.parametrize("most", range(1, 12))
def test_a_short_name_has_the_length_asked_for_and_keeps_both_ends(most):
    name = "abcdefghij"
    shown = short(name, most)
    if most >= len(name):
        assert shown == name
    else:
        start, end = shown.split("…")
        assert len(shown) == most and name.startswith(start) and name.endswith(end)
        assert 0 <= len(start) - len(end) <= 1


def test_finite_keeps_the_numbers_in_their_order_and_always_holds_one():
    values = np.array([[2.0, np.nan], [-np.inf, -1.0]])
    assert finite(values).tolist() == [2.0, -1.0]
    for none in (np.array([]), np.array([np.nan, np.inf])):
        assert finite(none).tolist() == [0.0]


def test_a_png_has_the_size_of_its_figure_in_dots():
    for dpi, size in ((50, (100, 150)), (100, (200, 300))):
        header = plots.png(blank(2, 3), dpi=dpi)[16:24]
        assert (int.from_bytes(header[:4]), int.from_bytes(header[4:])) == size


def test_panels_are_as_many_as_asked_for():
    figure, axes = plots.panels(5, columns=3, width=2, height=1.5, sharey=True)
    assert len(axes) == len(figure.axes) == 5 and figure.get_size_inches().tolist() == [6, 3]
