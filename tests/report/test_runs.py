"""The page of runs: each part is there, escaped, equal to the record, and side by side as alone."""

import dataclasses
import html
import re

import numpy as np
import pytest

from functional_nn import plots
from functional_nn.report import Picture, Run, Verdict, cell, runs_page
from functional_nn.report.runs import shown
from tests.webpage.browser import CHROMIUM, chromium

needs_chromium = [pytest.mark.slow, pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium; Debian's package is called chromium")]
PNG = plots.png(plots.functions({"a": (np.arange(3.0), np.arange(3.0), np.ones(3))}))


def made(seed, epochs, **more):
    rng = np.random.default_rng(seed)
    cost = (rng.uniform(0.5, 1, epochs) / np.arange(1, epochs + 1)).tolist()
    history = {"epoch": list(range(1, epochs + 1)), "cost": cost, "validation_cost": [1.1 * c for c in cost],
               "validation_accuracy": rng.uniform(0.5, 1, epochs).tolist()}
    options = {"DATA": "<trees>", "--epochs": epochs, "--seed": seed, "--l2": 0.5, "--hidden": (8, 4)}
    known = {"data": "<trees>", "said": "trees & more", "ended": "epochs are over", "loss": "cross_entropy",
             "history": history, "best_epoch": 1 + int(np.argmin(cost)), "seconds": 1.25, "scores": {"f1": 0.123456, "r2": None},
             "gradient": Verdict(True, "RIGHT: 4 of 4"), "options": options, "defaults": {**options, "--epochs": 30},
             "versions": {"jax": f"0.{seed}", "numpy": "2"}, "network": "layer <1>", "notes": ("A note & more.",)}
    return Run(f"<run {seed}>", **{**known, **more})


A, B = made(0, 5), made(1, 9)
ALONE = dataclasses.replace(
    A, guess=({"f1": 0.125}, "always 'oak'"), pictures=(Picture("Seen", PNG, "a curve"),),
    commands=(("predict", "functional-nn predict RUN <rows>"),),
    tables=(("Columns", ("name", "mean"), [(f"column {i}", i / 7) for i in range(300)]),))


def test_a_run_alone_has_every_part_and_nothing_is_cut():
    page = runs_page([ALONE])
    for part in ("&lt;trees&gt;: f1 0.1235 on the test rows", "trees &amp; more", "epochs are over", "A note &amp; more.",
                 ">0.125<", "always &#39;oak&#39;", "# predict\nfunctional-nn predict RUN &lt;rows&gt;", "layer &lt;1&gt;",
                 "--l2", "changed", "✓ right", "RIGHT: 4 of 4", "column 299", 'alt="a curve"', ">8,4<", ">–<"):
        assert part in page, part
    assert page.count("changed") == 1 and "<trees>" not in page and "<run" not in page
    assert not re.search(r"https?:(?!//www.w3.org/2000/svg)", page)


def test_a_run_alone_is_not_called_by_its_folder_which_may_be_moved():
    assert runs_page([A]) == runs_page([dataclasses.replace(A, name="elsewhere", seconds=3.0)])


def test_a_run_of_which_little_is_known_has_a_page():
    page = runs_page([Run("<x>")])
    assert "<h1>&lt;x&gt;</h1>" in page and "not checked" in page and "<script" not in page
    with pytest.raises(ValueError, match="at least one run"):
        runs_page([])


def tables(page):
    """The rows of every table, each a list of texts."""
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.S)
    return [[html.unescape(re.sub("<[^>]*>", "", each)).strip() for each in re.findall(r"<t[hd].*?</t[hd]>", row, re.S)]
            for row in rows]


def curves(page, name):
    """What the tables below the pictures say of a run."""
    return [[row[1:] for row in tables(figure) if row[0] == name]
            for figure in re.findall(r'<figure class="curves">.*?</figure>', page, re.S)]


def test_side_by_side_each_run_has_the_numbers_that_it_has_alone():
    both = runs_page([A, B])
    for letter, run in (("A", A), ("B", B)):
        alone = curves(runs_page([run]), run.data)
        assert len(alone) == 2 and alone == curves(both, f"{letter} {run.name}")
        values = run.history["validation_cost"]
        at = int(np.argmin(values))
        assert alone[0] == [[cell(run.history["cost"][-1]), cell(values[-1]), f"{cell(values[at])} ({at + 1})"]]


def test_what_differs_is_marked_and_what_is_equal_is_folded():
    page = runs_page([A, B, made(0, 5)])
    differ = page.split("The options that differ")[-1].split("</section>")[0]
    assert [row[0] for row in tables(differ)[1:]] == ["--epochs", "--seed"]
    assert re.findall(r'class="number marked">(.*?)<', differ) == ["9", "1"]
    same = page.split("The options that are the same</h2>")[1].split("</section>")[0]
    assert "<details><summary>show 3 options" in same and [row[0] for row in tables(same)[1:]] == ["DATA", "--l2", "--hidden"]
    assert "The versions that differ" in page


def test_options_are_compared_among_runs_that_have_the_same_ones():
    page = runs_page([A, B, Run("c", options={"keys": 3})])
    assert "The options of A, B that differ" in page and "The options of C</h2>" in page


def test_an_option_that_an_older_run_lacks_is_a_dash_and_marked():
    older = Run("old", options={name: value for name, value in A.options.items() if name != "--l2"})
    page = runs_page([A, B, older])
    differ = page.split("The options that differ")[-1].split("</section>")[0]
    assert ["--l2", *2 * [shown(A.options["--l2"])], "–"] in tables(differ)
    assert "The options of" not in page


def test_the_best_run_stands_first_and_is_marked_and_runs_without_validation_last():
    none = dataclasses.replace(A, name="n", history={"epoch": [1], "cost": [1e-9]})
    page = runs_page([none, A, B])
    results = page.split("Results on &lt;trees&gt;</h2>")[1].split("</section>")[0]
    best = [max(run.history["validation_accuracy"]) for run in (A, B)]
    order = ["B", "C"] if best[0] > best[1] else ["C", "B"]
    rows = tables(results)[1:]
    assert [row[0].lstrip("★ ")[0] for row in rows] == [*order, "A"]
    assert rows[0][0].startswith("★") and rows[0][1] == cell(max(best)) and rows[2][1] == "–"


def test_one_run_that_is_a_number_better_only_in_its_cost_is_the_best():
    worse = dataclasses.replace(A, name="w", history={**A.history, "validation_cost": [2 * c for c in A.history["validation_cost"]]})
    assert "★ B &lt;run 0&gt;" in runs_page([worse, A]) and "★ A" not in runs_page([worse, A])


@pytest.mark.parametrize(("value", "text"), [((), "–"), ([64, 32], "64,32"), (None, "–"), (True, "yes"), (0.1, "0.1"), ("a", "a")])
def test_options_as_they_are_written(value, text):
    assert shown(value) == text


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    steps = Run("steps", history={"step": [10, 20, 40], "cost": [3.0, 2.0, 1.0]})
    path.write_text(runs_page([A, B, dataclasses.replace(ALONE, name="c"), steps]), encoding="utf-8")
    with chromium() as browser:
        browser.open(path)
        yield browser, path


def readout(browser, figure=0):
    return browser.run(f"[...document.querySelectorAll('figure.curves')[{figure}].querySelectorAll('tbody tr')].map(row =>"
                       " [...row.querySelectorAll('td[data-run]')].map(cell => cell.textContent))")


@pytest.mark.parametrize("width", [pytest.param(width, marks=needs_chromium) for width in (1280, 390)])
def test_it_says_nothing_to_the_console_asks_for_nothing_and_fits(opened, width):
    browser, path = opened
    browser.size(width, 800, phone=width < 500)
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert browser.complaints == []
    assert {request for request in browser.requests if not request.startswith("data:")} == {f"file://{path}"}


@pytest.mark.parametrize("epoch", [pytest.param(epoch, marks=needs_chromium) for epoch in (1, 4, 8)])
def test_the_pointer_shows_the_values_of_the_record(opened, epoch):
    browser, _ = opened
    browser.size(1280, 900)
    browser.run("document.querySelector('figure.curves').scrollIntoView()")
    x, y = browser.run(
        "(() => { const svg = document.querySelector('figure.curves svg'), box = svg.getBoundingClientRect();"
        f" return [box.left + across(panels[0].data, {epoch}) * box.width / svg.viewBox.baseVal.width, box.top + 40]; }})()")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert browser.run("document.querySelector('figure.curves caption').textContent") == f"at epoch {epoch}"
    for run, row in zip((A, B, A), readout(browser), strict=True):
        there = epoch <= len(run.history["epoch"])
        assert row == [cell(run.history[name][epoch - 1]) if there else "–" for name in ("cost", "validation_cost")]
    assert browser.run("panels[0].at === panels[2].at && panels[1].at !== panels[0].at")  # those of epochs move together
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    assert browser.run("document.querySelector('figure.curves caption').textContent") == "at the end of each run"


@pytest.mark.parametrize("name", [pytest.param("", marks=needs_chromium)])
def test_arrow_keys_move_the_cursor_and_escape_leaves_it(opened, name):
    browser, _ = opened
    browser.run("document.querySelector('.plot').focus()")
    said = []
    for key in ("Home", "ArrowRight", "End", "ArrowLeft", "ArrowRight", "ArrowRight"):
        browser.key(key)
        said.append(browser.run("panels[0].at"))
    assert said == [1, 2, 9, 8, 9, 9]
    assert "at epoch 9" in browser.run("document.activeElement.getAttribute('aria-valuetext')")
    browser.key("Escape")
    assert browser.run("panels[0].group.getAttribute('visibility')") == "hidden" and browser.complaints == []
