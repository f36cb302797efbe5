"""The page of a checked gradient: one file, escaped, complete, the worst first."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn.report import gradient_page
from functional_nn.verify import Fault, Leaf, Report, check_gradients

EVIL = "<script>alert(1)</script>"
LEAF = Leaf(f"['{EVIL}']", (2, 3), {"autodiff": 0.5}, {"autodiff": False}, {}, ((0, 1), 2.0, 1.0), np.eye(2, 3))
FAULT = Fault("weight", 0, LEAF.path, (0, 1), EVIL, 1e-16, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL)
REPORT = Report((FAULT,), (LEAF,), {"autodiff": 1e-12}, "float64", EVIL, (EVIL,), (EVIL,), (EVIL,), 7, 3, 1e-9)


def without_pictures(html):
    return re.sub(r"base64,[\w+/=]+", "", html)


@pytest.mark.parametrize("count", [1, 2, 300])
def test_text_is_escaped_and_nothing_is_fetched(count):
    html = without_pictures(gradient_page(Report((FAULT,) * count, (LEAF,), *list(vars(REPORT).values())[2:])))
    assert "<script" not in html and "&lt;script&gt;" in html and not re.search(r"https?:|//\w", html)
    assert html.count("<h2>Fault") == min(count, 8) and (f"{count - 8} more faults" in html) == (count > 8)


def test_the_page_says_what_the_printed_report_says():
    fault = Fault("pullback", 1, "[1]['W']", (12, 7), "missing derivative", 2e-16, "", "the pullback to d2",
                  "missing derivative", "d3 @ W3.T", "(d3 @ W3.T) * g", runner_up=0.6, given=0.25, expected=0.5)
    html = gradient_page(Report((fault,), (LEAF,), {"autodiff": 1e-12}, "float64", "right once replaced", ("head",),
                                ("rounding",), ("kink",), 7, 3))
    for words in ("WRONG: 1 fault, 0 of 1 leaves agree", "Where: the pullback to d2", "residual 2e-16 (runner-up 6e-1)",
                  "Yours: d3 @ W3.T", "Expected: (d3 @ W3.T) * g", "[12,7]  manual 0.25  reference 0.5",
                  "Hence: right once replaced", "Not the reason: rounding", "Note: kink", "1 of 1 leaf wrong", "5.0e-01 !"):
        assert words.replace("'", "&#39;") in html, words
    assert len(re.findall(r"<img", html)) == 1


def test_a_report_without_leaves_or_blocks_is_a_whole_page():
    right = gradient_page(Report((), (), {"autodiff": 1e-12}, "float64"))
    assert "RIGHT: no leaf was compared" in right and "<img" not in right
    wrong = gradient_page(Report((Fault("structure", None, "['b']", None, "unexplained", np.inf, "no gradient at ['b']"),), (),
                                 {"autodiff": 1e-12}, "float64"))
    assert "no gradient at" in wrong and "WRONG: 1 fault, no leaf was compared" in wrong


def test_a_real_check_has_a_page():
    report = check_gradients(lambda p: jnp.sum(p["w"] ** 2), lambda p: {"w": p["w"]}, {"w": np.ones((2, 3))})
    html = gradient_page(report)
    assert "WRONG: 1 fault, 0 of 1 leaves agree" in html and "jax.grad" in html
