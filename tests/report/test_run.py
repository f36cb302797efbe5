"""The page of a run shows each part of its record, escaped, and loads nothing."""

import numpy as np

from functional_nn import plots
from functional_nn.report import Picture, RunRecord, run_page

RECORD = RunRecord(
    name="<trees>", said="trees: 9 rows", ended="epochs are over", scores={"f1": 0.25, "r2": -1.5},
    guess=({"f1": 0.125}, "always 'oak'"), notes=("A note & more.",),
    pictures=(Picture("Curves", plots.png(plots.functions({"a": (np.arange(3.0), np.arange(3.0), np.ones(3))})
                                          ), "a curve"),),
    commands=(("predict", "functional-nn predict RUN <rows>"),),
    tables=(("Columns", ("name", "mean"), [(f"column {i}", i / 7) for i in range(300)]),),
    network="layer  size\ndense    30", options=(("--l2", 0.5, False), ("--l1", 0.0, True)),
    versions={"jax": "1.2.3"})


def test_every_part_is_there_and_nothing_is_cut():
    html = run_page(RECORD)
    for part in ("&lt;trees&gt;: f1 0.25 on the test rows", "trees: 9 rows", "epochs are over",
                 "A note &amp; more.", ">0.125<", ">-1.5<", "always &#39;oak&#39;",
                 "# predict\nfunctional-nn predict RUN &lt;rows&gt;", "layer  size\ndense    30",
                 "--l2", "changed", "1.2.3", "column 299", 'alt="a curve"'):
        assert part in html, part
    assert html.count("changed") == 1 and "<trees>" not in html and "://" not in html


def test_a_score_that_the_guess_lacks_is_a_dash():
    assert ">–<" in run_page(RECORD)


def test_a_run_without_scores_has_its_name_as_title():
    assert "<h1>&lt;trees&gt;</h1>" in run_page(RECORD._replace(scores={}))
