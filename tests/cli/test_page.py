"""report.html is one file that tells of a run what its records have."""

import html
import json
import re

import numpy as np
import pytest

from functional_nn.cli import page
from functional_nn.cli.config import Config
from functional_nn.cli.job import assemble
from functional_nn.data import load
from functional_nn.metrics import METRICS
from tests.cli.runs import LINE, done

pytestmark = pytest.mark.usefixtures("compiled_once")


def text_of(run):
    return html.unescape((run / page.REPORT).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["trees", "line"])
def test_the_page_has_the_scores_the_options_the_columns_and_the_commands(name, work):
    told = text_of(work / name)
    record = json.loads((work / name / "summary.json").read_text())
    for value in record["test"].values():
        assert f">{value:.4g}</td>" in told
    assert record["stopped"] in told and "and is kept" in told
    for part in (f"{name}.csv", "--hidden", "functional-nn predict RUN new_rows.csv",
                 "functional-nn train --from RUN", "functional-nn evaluate RUN labelled_rows.csv",
                 record["versions"]["jax"], "dense(6, relu)",
                 *load(f"{name}.csv").feature_names):
        assert part in told, part
    assert told.count("data:image/png;base64,") == 1 and "<figure class=\"curves\">" in told and not re.search(r"https?:(?!//www.w3.org)", told)
    assert not re.search(r"/(private/)?tmp/(?!.*\.csv)", told)  # no path but that of the data


def test_a_regression_says_what_its_numbers_are_measured_in(line, capsys):
    assert "mae and rmse are in the unit of y; the cost is the mse of y scaled to" in text_of(line)
    said = done(capsys, *LINE, "--epochs", "2", "--out", "again").out
    assert "units    mae and rmse are in the unit of y; the cost is the mse of y scaled" in said


def test_the_guess_is_that_of_the_training_rows(work):
    data = load("line.csv")
    scores, told = page.guess(assemble(Config(data="line.csv")))
    mean = np.full(len(data.y_test), data.y_train.mean())
    assert scores == {name: pytest.approx(METRICS[name](data.y_test, mean), rel=1e-6, abs=1e-9)
                      for name in ("r2", "mae", "rmse")}
    assert told.startswith("always 49") or told.startswith("always 50")
    data = load("trees.csv")
    scores, told = page.guess(assemble(Config(data="trees.csv")))
    common = np.bincount(data.y_train).argmax()
    assert scores["accuracy"] == np.mean(data.y_test == common)
    assert repr(data.class_names[common]) in told
