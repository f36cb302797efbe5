"""A picture of curves has every point where its value says, and the values as they are written."""

import math
import re

import numpy as np
import pytest

from functional_nn.report import Line, Panel, cell
from functional_nn.report.curves import (
    BOTTOM,
    DRAWN,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    drawing,
    ticks,
)

RUNS = [("A", "a"), ("B", "b")]


def panel(*lines, rising=False):
    return Panel("h", "cost", "epoch", lines, RUNS, rising)


def points(line):
    return [tuple(map(float, point.split())) for point in re.split("[ML]", line["path"])[1:]]


@pytest.mark.parametrize("values", [[1.0, 2.0, 1.5], [100.0, 1.0, 10.0], [-3.0, 0.0, 5.0], [2.0, 2.0, 2.0], [1e-9, 1.0, 1e-5]])
def test_points_lie_inside_and_as_their_values_do(values):
    drawn = drawing(panel(Line(0, "training", [1, 2, 3], values)), cell)
    found = points(drawn["lines"][0])
    assert [x for x, _ in found] == [LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT]
    assert all(TOP <= y <= HEIGHT - BOTTOM for _, y in found)
    assert np.array_equal(np.argsort([-y for _, y in found], kind="stable"), np.argsort(values, kind="stable"))
    assert drawn["log"] == (min(values) > 0 and max(values) > 10 * min(values))
    assert drawn["lines"][0]["text"] == [cell(value) for value in values]


@pytest.mark.parametrize("values", [[5e-324, 1.0, 1.7e308], [-1.7e308, 0.0, 1.7e308], [1e-320, 2e-320], [0.0, 5e-324]])
def test_the_largest_and_smallest_floats_are_drawn(values):
    drawn = drawing(panel(Line(0, "training", range(len(values)), values)), cell)
    assert np.isfinite(points(drawn["lines"][0])).all() and drawn["lines"][0]["text"] == [cell(value) for value in values]


def test_a_log_scale_turns_equal_ratios_into_equal_distances():
    (_, a), (_, b), (_, c) = points(drawing(panel(Line(0, "training", [1, 2, 3], [1, 10, 100])), cell)["lines"][0])
    assert a - b == pytest.approx(b - c, abs=0.11)


def test_a_value_that_is_not_finite_breaks_the_line_and_has_no_mark():
    drawn = drawing(panel(Line(0, "training", [1, 2, 3, 4], [3.0, None, math.inf, 1.0], best=2)), cell)
    [line] = drawn["lines"]
    assert line["path"].count("M") == 2 and line["y"][1:3] == [None, None] and line["best"] is None
    assert line["text"] == ["3", "–", "inf", "1"]
    assert drawn["rows"][0]["best"] == "1 (4)"
    nothing = drawing(panel(Line(0, "training", [1], [None])), cell)
    assert nothing["lines"][0]["path"] == "" and nothing["rows"][0]["best"] == "–"


def test_the_best_is_marked_and_told_of_the_validation():
    lines = Line(0, "training", [1, 2, 3], [3, 2, 1]), Line(0, "validation", [1, 2, 3], [3, 2, 4], best=2)
    drawn = drawing(panel(*lines), cell)
    assert drawn["lines"][1]["best"] == points(drawn["lines"][1])[1] and drawn["lines"][0]["best"] is None
    assert drawn["rows"] == [{"run": 0, "name": "A a", "colour": 0, "last": {"training": "1", "validation": "4"}, "best": "2 (2)"}]
    assert drawing(panel(*lines, rising=True), cell)["rows"][0]["best"] == "4 (3)"
    assert drawing(panel(*lines, rising=None), cell)["rows"][0]["best"] == "–"


def test_of_a_long_run_the_first_the_last_and_the_best_are_drawn():
    x = list(range(1, 10_001))
    [line] = drawing(panel(Line(0, "training", x, [1 / i for i in x], best=4321)), cell)["lines"]
    assert len(line["x"]) <= DRAWN + 1 and {1, 4321, 10_000} <= set(line["x"])
    assert line["text"] == [cell(1 / i) for i in line["x"]]


def test_letters_keep_clear_of_one_another_and_one_run_has_none():
    lines = [Line(run, "training", [1, 2], [1, 1]) for run in range(2)]
    (_, first, _, _), (_, second, _, _) = drawing(panel(*lines), cell)["letters"]
    assert abs(first - second) >= 12
    assert drawing(Panel("h", "c", "epoch", lines[:1], [("", "a")]), cell)["letters"] == []


@pytest.mark.parametrize(("low", "high", "log"), [
    (0, 1, False), (-5, 7, False), (0.97, 0.972, False), (1e-12, 3e-12, False), (3, 3, False), (1e-8, 4, True), (3, 98, True)])
def test_ticks_are_round_and_inside(low, high, log):
    found = ticks(low, high, log)
    assert all(low - 1e-9 * abs(low) <= tick <= high * (1 + 1e-9) + 1e-300 for tick in found) and len(found) <= 8
    assert found == sorted(found) and (len(found) >= 2 or low == high)
