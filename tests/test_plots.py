"""Every picture shows all it was given, in words that do not overlap, from records of any size; no state is touched."""

import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from functional_nn import plots


def history(epochs, rate=0.3, **changes):
    epoch = np.arange(1, epochs + 1)
    cost = 2.3 * np.exp(-rate * epoch) + 0.02
    return {"epoch": epoch, "cost": cost, "validation_cost": cost + 0.1,
            "validation_accuracy": 0.97 - 0.6 * np.exp(-rate * epoch)} | changes


FOUR = {f"{gradients}, {steps}": history(30) for gradients in ("hand-written gradients", "jax.grad")
        for steps in ("our adam", "optax.adam")}
Z = np.linspace(-3, 3, 121)
CURVES = {"tanh": (Z, np.tanh(Z), 1 - np.tanh(Z) ** 2), "step": (Z, 1.0 * (Z > 0), 0 * Z), "square": (Z, Z**2, 2 * Z)}
DIGITS = [str(digit) for digit in range(10)]
CLOTHES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
RIGHT = np.diag(np.arange(30, 40))
MISREAD = {"misread_true": np.arange(30) % 10, "misread_predicted": (np.arange(30) + 1) % 10}
WRONG = RIGHT + 3 * np.eye(10, k=1, dtype=int) + 3 * np.eye(10, k=-9, dtype=int)
IMAGES = np.random.default_rng(0).random((30, 64))
PATHS = [f"encoder/blocks/{block}/attention/query_projection/kernel_weights" for block in range(70)]

PICTURES = {
    "one run": lambda: plots.learning_curves({"sgd": history(30)}),
    "one epoch": lambda: plots.learning_curves({"sgd": history(1)}),
    "four coincide": lambda: plots.learning_curves(FOUR),
    "four coincide, one epoch": lambda: plots.learning_curves({label: history(1) for label in FOUR}),
    "cost alone": lambda: plots.learning_curves({"sgd": {"epoch": [0, 1, 2], "cost": [3.0, 2.0, 1.5]}}, title="A run"),
    "thirty runs": lambda: plots.learning_curves({f"seed {seed}": history(9, 0.1 + 0.02 * seed) for seed in range(30)}),
    "all right": lambda: plots.confusion(RIGHT, DIGITS, np.zeros((0, 64))),
    "no examples": lambda: plots.confusion(0 * RIGHT, DIGITS),
    "thirty misread": lambda: plots.confusion(WRONG, DIGITS, IMAGES, **MISREAD),
    "long class names": lambda: plots.confusion(1000 * WRONG, CLOTHES, IMAGES, **MISREAD),
    "many classes": lambda: plots.confusion(np.eye(47, dtype=int), [f"class {index}" for index in range(47)]),
    "functions": lambda: plots.functions(CURVES),
    "eleven functions": lambda: plots.functions({f"function {index}": CURVES["tanh"] for index in range(11)}),
    "one function": lambda: plots.functions({"tanh": CURVES["tanh"]}),
    "losses": lambda: plots.losses(CURVES),
    "leaves": lambda: plots.error_bars_by_leaf(
        {"0.w": {"jax.grad": 0.0, "central differences": 1e-10}, "0.b": {"jax.grad": 2e-16}}, 1e-8),
    "long leaves": lambda: plots.error_bars_by_leaf(
        {path: {"jax.grad": 10.0 ** -(index % 17), "forward mode": np.nan} for index, path in enumerate(PATHS)}, 1e-8),
}


def words(figure):
    """Every text that is drawn, with the box it takes in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    ticks = set()
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        shown = axis.axes.get_visible() and axis.get_visible()
        ticks |= {label for tick in axis.get_major_ticks() + axis.get_minor_ticks()
                  for label in (tick.label1, tick.label2) if not (shown and low <= tick.get_loc() <= high)}
    for axes in figure.axes:
        if not axes.get_visible():
            ticks |= set(axes.findobj(Text))
    return [(text.get_text(), text.get_window_extent(renderer)) for text in figure.findobj(Text)
            if text.get_text().strip() and text.get_visible() and text not in ticks]


def unreadable(figure):
    """The words that lie on others or outside the picture."""
    boxes, found = words(figure), []
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        if min(a.x1, b.x1) - max(a.x0, b.x0) >= 1 and min(a.y1, b.y1) - max(a.y0, b.y0) >= 1:
            found.append(f"{one!r} and {other!r} overlap")
    for text, box in boxes:
        if min(box.x0, box.y0) < -1 or box.x1 > figure.bbox.x1 + 1 or box.y1 > figure.bbox.y1 + 1:
            found.append(f"{text!r} is cut off")
    return found


@pytest.mark.parametrize("name", PICTURES)
def test_all_words_can_be_read_and_no_global_state_is_touched(name):
    before = dict(matplotlib.rcParams)
    assert unreadable(PICTURES[name]()) == []
    assert dict(matplotlib.rcParams) == before


def test_words_that_cannot_be_read_are_noticed():
    figure = Figure()
    figure.text(0.5, 0.5, "one")
    figure.text(0.51, 0.5, "other")
    figure.text(0.99, 0.1, "a long text")
    assert unreadable(figure) == ["'one' and 'other' overlap", "'a long text' is cut off"]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_runs_that_coincide_are_drawn_thick_to_thin_and_the_legend_says_so():
    figure = plots.learning_curves(FOUR)
    widths = [line.get_linewidth() for line in figure.axes[0].lines[::2]]
    assert widths == sorted(widths, reverse=True) and len(set(widths)) == 4
    assert legend(figure)[:4] == list(FOUR)
    assert figure.legends[0].get_title().get_text() == (
        "Thick to thin: runs that lie on one another (training costs are equal)")
    near = plots.learning_curves({"a": history(5), "b": history(5, cost=history(5)["cost"] * (1 + 3e-5))})
    assert "differ by at most 0.003%" in near.legends[0].get_title().get_text()


def test_runs_that_differ_are_drawn_alike():
    figure = plots.learning_curves({"a": history(30, 0.1), "b": history(30, 0.3)})
    assert len({line.get_linewidth() for line in figure.axes[0].lines}) == 1
    assert figure.legends[0].get_title().get_text() == ""
    assert figure.axes[0].get_title() == "Training cost: lowest 0.0203 (b)"


def test_every_run_has_its_own_colour_or_marker():
    lines = plots.learning_curves({f"run {index}": history(30, 0.1 * index) for index in range(35)}).axes[1].lines
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 35


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 30, 1000])
def test_epochs_are_ticked_at_whole_numbers(epochs):
    figure = plots.learning_curves({"sgd": history(epochs)})
    low, high = figure.axes[0].get_xlim()
    ticks = [tick for tick in figure.axes[0].get_xticks() if low <= tick <= high]
    assert ticks and all(tick == round(tick) for tick in ticks)


def test_the_cost_axis_is_logarithmic_only_where_it_helps():
    assert plots.learning_curves({"a": history(30)}).axes[0].get_yscale() == "log"
    assert plots.learning_curves({"a": history(2)}).axes[0].get_yscale() == "linear"
    assert plots.learning_curves({"a": {"epoch": [1, 2], "cost": [1.0, 0.0]}}).axes[0].get_yscale() == "linear"


def test_a_run_that_diverges_says_when():
    figure = plots.learning_curves({"fast": history(3, cost=np.array([1.0, np.nan, np.inf])), "slow": history(3)})
    assert legend(figure)[0] == "fast (not finite from epoch 2)"
    assert "nan" not in figure.axes[0].get_title()
    alone = plots.learning_curves({"fast": {"epoch": [1], "cost": [np.inf]}})
    assert alone.axes[0].get_title() == "Training cost: not finite at the end"
    plots.png(alone)


@pytest.mark.parametrize(("histories", "says"), [
    ({}, "at least one run"),
    ({"sgd": {"epoch": [1]}}, "history of 'sgd' must hold 'cost', got epoch"),
    ({"sgd": {"epoch": [1, 2], "cost": [1.0]}}, "arrays of one shape"),
    ({"sgd": {"epoch": [], "cost": []}}, "arrays of one shape"),
])
def test_histories_that_cannot_be_drawn_are_named(histories, says):
    with pytest.raises(ValueError, match=says):
        plots.learning_curves(histories)


def test_confusion_shows_every_count_and_the_worst_mistake():
    axes = plots.confusion(WRONG, DIGITS).axes[0]
    assert sorted(int(text.get_text()) for text in axes.texts) == sorted(WRONG[WRONG > 0])
    assert axes.get_title() == "345 of 375 right (92%);\nmost often 0 read as 1 (3)"


def test_confusion_colours_errors_on_their_own_scale():
    matrix = np.array([[1000, 1], [2, 1000]])
    shown = plots.confusion(matrix, "ab").axes[0].images[0].get_array()
    assert shown[1, 0, 0] - shown[1, 0, 2] > 0.4 > 0 > shown[0, 0, 0] - shown[0, 0, 2]  # orange, and blue
    assert shown[0, 1].sum() > shown[1, 0].sum()  # one error is paler than two


def test_at_most_twenty_misread_digits_are_drawn_each_with_its_reading():
    figure = plots.confusion(WRONG, DIGITS, IMAGES, **MISREAD)
    titles = [axes.get_title() for axes in figure.axes[1:] if axes.get_visible()]
    assert titles == [f"{index % 10} read as {(index + 1) % 10}" for index in range(20)]
    assert figure.subfigs[1].get_suptitle() == "20 of the 30 misread"


@pytest.mark.parametrize("images", [None, np.zeros((0, 64)), np.zeros((30, 4)), np.zeros((30, 13))])
def test_what_is_no_picture_is_left_out(images):
    assert len(plots.confusion(WRONG, DIGITS, images, **MISREAD).axes) == 1


def test_confusion_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"matrix must be of shape \(3, 3\) for 3 class_names, got \(10, 10\)"):
        plots.confusion(RIGHT, "abc")
    with pytest.raises(ValueError, match="one length, got 30, 0 and 0"):
        plots.confusion(WRONG, DIGITS, IMAGES)


@pytest.mark.parametrize("draw", [plots.functions, plots.losses])
def test_each_function_has_a_panel_and_its_steepest_slope(draw):
    figure = draw(CURVES)
    assert [axes.get_title() for axes in figure.axes] == [
        "tanh: |slope| ≤ 1", "step: |slope| ≤ 0", "square: |slope| ≤ 6"]
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


def test_exact_leaves_stand_at_the_left_edge_and_those_above_the_bound_are_marked():
    figure = plots.error_bars_by_leaf({"0.w": {"jax.grad": 0.0}, "0.b": {"jax.grad": 1e-3}}, 1e-8)
    axes, = figure.axes
    assert axes.get_title() == "1 of 2 leaves above the bound\nlargest error 0.001 (0.b, jax.grad)"
    labels = dict(zip((label.get_text() for label in axes.get_xticklabels()), axes.get_xticks(), strict=True))
    assert axes.lines[1].get_xdata()[0] == labels["exact"] == min(labels.values())
    assert [label.get_fontweight() for label in axes.get_yticklabels()] == ["normal", "bold"]
    assert legend(figure) == ["against jax.grad", "machine epsilon 2.2e-16", "bound 1e-08"]


def test_an_error_that_is_not_a_number_is_above_every_bound():
    axes, = plots.error_bars_by_leaf({"0.w": {"jax.grad": np.nan}, "0.b": {"jax.grad": 1e-17}}, 1e-8).axes
    assert axes.get_title() == "1 of 2 leaves above the bound\nlargest error not finite (0.w, jax.grad)"
    assert axes.get_xticklabels()[-1].get_text() == "not finite"


@pytest.mark.parametrize(("errors", "bound"), [
    ({}, 1.0), ({"w": {}}, 1.0), ({"w": {"a": -1.0}}, 1.0), ({"w": {"a": 1.0}}, 0)])
def test_errors_that_cannot_be_drawn_are_refused(errors, bound):
    with pytest.raises(ValueError, match="errors must hold"):
        plots.error_bars_by_leaf(errors, bound)


def test_save_is_repeatable_and_whole_or_absent(tmp_path):
    figure = plots.functions({"tanh": CURVES["tanh"]})
    one, two = plots.save(figure, tmp_path / "one.png"), plots.save(figure, str(tmp_path / "two.png"))
    assert one.read_bytes() == two.read_bytes() == plots.png(figure)
    assert plots.save(figure, tmp_path / "three.svg").read_text(encoding="utf-8").startswith("<?xml")
    with pytest.raises(ValueError, match=r"got 'picture.docx'; try picture.png"):
        plots.save(figure, tmp_path / "picture.docx")
    with pytest.raises(FileNotFoundError):
        plots.save(figure, tmp_path / "missing" / "one.png")
    figure.axes[0].set_title("$\\broken$")
    with pytest.raises(ValueError, match="broken"):
        plots.save(figure, one)
    assert one.read_bytes() == two.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "three.svg", "two.png"]
