"""Heat maps: wrong leaves come first, and equal and broken entries have colours of their own."""

import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from functional_nn import plots
from functional_nn.plots import heat
from functional_nn.verify.report import blocks_of
from tests.plots.readable import legend


def leaf(shape, kind="right", size=1.0):
    """A leaf whose manual gradient has one kind of mistake."""
    reference = size * np.random.default_rng(0).normal(size=shape)
    manual = {"right": reference * (1 + 2e-16), "exact": reference, "scaled": 2 * reference,
              "nan": np.full(shape, np.nan), "entry": reference.copy()}[kind]
    if kind == "entry":
        manual[(-1,) * manual.ndim] += 1
    error = np.linalg.norm(manual - reference) / np.linalg.norm(reference)
    return {"blocks": blocks_of(manual, reference), "shape": shape, "error": float(error),
            "right": bool(error < 1e-12)}


KINDS = ("right", "scaled", "entry", "nan", "exact")
LEAVES = {
    "six": {f"[{i // 2}]['{'Wb'[i % 2]}']":
            leaf((30, 784) if i % 2 == 0 else (30,), KINDS[i % 5]) for i in range(6)},
    "thirty with long paths": {
        f"['encoder']['blocks'][{i}]['attention']['query$']['kernel_重']":
        leaf((3, 3, 8, 16) if i % 3 else (70,), KINDS[i % 5]) for i in range(30)},
    "a number": {"": leaf((), "scaled")},
    "right": {"['w']": leaf((4, 5))},
    "exact": {"['w']": leaf((4, 5), "exact")},
    "NaN": {"['w']": leaf((4, 5), "nan")},
    "huge and tiny": {"a": leaf((9, 2), "scaled", 1e150), "b": leaf((9, 2), "scaled", 1e-150)},
    "as large as can be": {
        "a": {"blocks": np.full((1, 2), 1.7e308), "shape": (2,), "error": 1.0, "right": False}},
    "subnormal": {
        "a": {"blocks": np.full((1, 2), 5e-324), "shape": (2,), "error": 1.0, "right": False}},
}


def words(figure):
    """The titles, the legend and the colour bar's words, each with its box in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [figure._suptitle, *(axes.title for axes in figure.axes if axes.get_visible())]
    texts += [axes.yaxis.label for axes in figure.axes]
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    return [(text.get_text(), text.get_window_extent(renderer))
            for text in texts if text.get_text()]


@pytest.mark.parametrize("name", LEAVES)
def test_words_can_be_read_and_no_global_state_is_touched(name):
    before = dict(matplotlib.rcParams)
    figure = plots.error_maps(LEAVES[name])
    boxes = words(figure)
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        apart = min(a.x1, b.x1) - max(a.x0, b.x0) < 1 or min(a.y1, b.y1) - max(a.y0, b.y0) < 1
        assert apart, (one, other)
    for text, box in boxes:
        assert min(box.x0, box.y0) >= -1, text
        assert box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1, text
    assert dict(matplotlib.rcParams) == before


def panels(figure):
    return [axes for axes in figure.axes if axes.images and axes.get_visible()]


def test_wrong_leaves_come_first_and_those_not_drawn_are_counted():
    figure = plots.error_maps(LEAVES["thirty with long paths"])
    titles = [axes.get_title() for axes in panels(figure)]
    assert len(titles) == heat.DRAWN == len(set(titles))  # what tells the paths apart is kept
    wrong = ["WRONG" in title for title in titles]
    assert sum(wrong) == 18 and wrong == sorted(wrong, reverse=True)
    assert figure.get_suptitle() == "18 of 30 leaves wrong\n(the 24 worst are drawn, 6 are not)"
    assert "100% of the blocks not finite" in titles[0]


def test_the_darker_the_further_apart_and_broken_or_equal_entries_stand_out():
    blocks = np.array([[0.0, 1e-9, 1e-3, 1.0, np.inf, np.nan]])
    broken = {"blocks": blocks, "shape": (6,), "error": np.inf, "right": False}
    figure = plots.error_maps({"w": broken})
    (axes,) = panels(figure)
    shown = axes.images[0].get_array()[0, :, :3]
    lightness = shown @ (0.3, 0.6, 0.1)
    assert (shown[0] == 1).all() and (np.diff(lightness[:4]) < -0.05).all()
    assert (shown[4] == shown[5]).all() and shown[4, 0] - shown[4, 2] > 0.5  # orange among blues
    assert legend(figure) == ["exactly equal", "NaN or infinite"]


def test_a_panel_has_the_indices_of_its_leaf():
    (axes,) = panels(plots.error_maps({"w": leaf((3, 50, 784), "entry")}))
    assert axes.get_xlim() == (-0.5, 783.5) and axes.get_ylim() == (149.5, -0.5)


@pytest.mark.parametrize(("leaves", "says"), [
    ({}, "at least one entry"),
    ({"w": {**leaf((3,)), "blocks": np.ones((0, 3)), "shape": (0, 3)}}, "at least one entry"),
    ({"w": {**leaf((3,)), "blocks": np.ones(3)}}, r"leaves\['w'\]\['blocks'\] must be a matrix"),
    ({"w": {**leaf((3,)), "blocks": -np.ones((1, 3))}},
     "must be a matrix of numbers of at least 0")])
def test_what_cannot_be_drawn_is_named(leaves, says):
    with pytest.raises(ValueError, match=says):
        plots.error_maps(leaves)
