"""A report prints in bounded, aligned, harmless lines whatever it holds; its JSON is strict and gives it back."""

import dataclasses
import io
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from functional_nn.verify import TITLES, Fault, GradientError, Leaf, Report, printing
from functional_nn.verify.report import BLOCKS, blocks_of

INF = float("inf")
LINES = 110  # that a report may take at most
SIX = tuple(Leaf(f"[{i // 2}]['{'Wb'[i % 2]}']", (30, 100) if i % 2 == 0 else (30,), {"autodiff": 0.6 if i < 4 else 2e-16},
                 {"autodiff": i >= 4}, worst=((12, 7), 0.0133, 0.0033) if i == 2 else None) for i in range(6))
FAULT = Fault("pullback", 1, "[1]['W']", (12, 7), "missing derivative", 2e-16, "the old sentence",
              where="pullback z3 -> z2, given your own cotangent at z3", what="missing activation derivative",
              yours="d3 @ W3.T", wanted="(d3 @ W3.T) * sigma'(z2)", runner_up=0.6)
REPORT = Report((FAULT,), SIX, {"autodiff": 1e-12}, "float64",
                hence="[0]['W'] [0]['b'] wrong; correct once this step is replaced",
                clear=("loss head", "d[2]", "z2 -> z1", "batch mean"),
                cleared=("rounding (4e5 x bound)", "kink (min |z| 3e-3)"),
                notes=("relu'(0) = 1 at 3 units, a convention",), examples=7, seed=0, missed=1e-9)
PRINTED = """\
WRONG  2 of 6 leaves agree, 1 fault; relative errors in float64, B = 7, seed 0
 where  pullback z3 -> z2, given your own cotangent at z3
 what   missing activation derivative   residual 2e-16 (runner-up 6e-1)
        yours  d3 @ W3.T      expected  (d3 @ W3.T) * sigma'(z2)
 worst  [1]['W'][12,7]  manual 0.0133  reference 0.0033
 hence  [0]['W'] [0]['b'] wrong; correct once this step is replaced
 clear  loss head, d[2], z2 -> z1, batch mean
 not    rounding (4e5 x bound), kink (min |z| 3e-3)
 note   relu'(0) = 1 at 3 units, a convention
 note   a wrong leaf passes with probability 1e-9
leaf      shape       jax.grad
[0]['W']  (30, 100)  6.0e-01 !
[0]['b']  (30,)      6.0e-01 !
[1]['W']  (30, 100)  6.0e-01 !
[1]['b']  (30,)      6.0e-01 !
[2]['W']  (30, 100)  2.0e-16
[2]['b']  (30,)      2.0e-16
allowed                1e-12"""

number = st.floats(allow_nan=True, allow_infinity=True)
odd = st.text(st.sampled_from("aβ重\u0301é\x1b\n\r\t\u202e\u200d\ud800<&$'[ -"), max_size=300) | st.text(max_size=300)
index = st.none() | st.lists(st.integers(0, 10**6), max_size=5).map(tuple)
faults = st.builds(Fault, st.none() | odd, st.none() | st.integers(0, 99), odd, index, odd, number, odd, where=odd, what=odd,
                   yours=odd, wanted=odd, value=odd, runner_up=number, given=st.none() | number, expected=st.none() | number)


@st.composite
def reports(draw):
    known, unknown = st.lists(st.sampled_from(list(TITLES)), unique=True, max_size=4), st.lists(odd, max_size=1)
    bounds = list(dict.fromkeys(draw(known) + draw(unknown)))
    leaf = st.builds(Leaf, odd, st.lists(st.integers(0, 10**6), max_size=6).map(tuple),
                     st.fixed_dictionaries({name: number for name in bounds}),
                     st.fixed_dictionaries({name: st.booleans() for name in bounds}),
                     st.fixed_dictionaries({name: odd for name in bounds}), st.none() | st.tuples(index, number, number))
    leaves = draw(st.lists(leaf, max_size=4)) * draw(st.sampled_from([1, 1, 30]))
    found = draw(st.lists(faults, max_size=3)) * draw(st.sampled_from([1, 1, 100]))
    words = st.lists(odd, max_size=9).map(tuple)
    dtype = draw(st.sampled_from(["float64", "bfloat16"]))
    return Report(tuple(found), tuple(leaves), {name: draw(number) for name in bounds}, dtype, draw(odd), draw(words),
                  draw(words), draw(words), draw(st.none() | st.integers(0, 10**9)),
                  draw(st.none() | st.integers()), draw(st.floats(0, 1)))


def test_the_printed_report_reads_from_the_verdict_to_the_leaves():
    assert str(REPORT) == PRINTED == REPORT.text(80)
    right = Report((), SIX[4:], {"autodiff": 1e-12}, "float64")
    assert str(right).splitlines()[0] == "RIGHT  2 of 2 leaves agree; relative errors in float64"


@given(report=reports(), width=st.integers(40, 100))
@settings(derandomize=True, max_examples=40, deadline=None)
def test_any_report_fits_the_columns_and_harms_no_terminal(report, width):
    for text, most in ((report.text(width), width), (str(report), 100)):
        written = text.split("\n")
        assert len(written) <= LINES and all(printing.columns(line) <= most for line in written)
        assert all(character.isprintable() for line in written for character in line)
        assert written[0].startswith("WRONG  " if report.faults else "RIGHT  ")
        assert all(line == line.rstrip() for line in written)


@pytest.mark.parametrize("count", [2, 4, 5, 8, 9, 300])
def test_many_faults_are_numbered_and_counted(count):
    text = str(dataclasses.replace(REPORT, faults=(FAULT,) * count))
    shown = min(count, 8)
    assert all(f"\n{number} " in text for number in range(1, shown + 1)) and f"\n{shown + 1} " not in text
    assert (f"… and {count - 8} more faults" in text) == (count > 8)
    assert text.count("missing activation derivative") == shown
    assert len(text.splitlines()) <= 50


def test_many_leaves_keep_the_wrong_ones():
    fine = [Leaf(f"['{i}']", (2,), {"fd": 1e-9}, {"fd": True}) for i in range(100)]
    bad = dataclasses.replace(fine[77], errors={"fd": INF}, right={"fd": False})
    text = str(Report((FAULT,), (*fine[:77], bad, *fine[78:]), {"fd": 1e-6}, "float64"))
    assert "['77']   (2,)" in text and "inf !" in text and "… 62 more, all right" in text
    text = str(Report((FAULT,), (bad,) * 100, {"fd": 1e-6}, "float64"))
    assert "… 62 more, 62 of them wrong" in text


def test_a_fault_without_where_and_what_prints_its_message():
    old = Fault("head", 1, "[1]['b']", (0,), "unexplained", 0.5, "the head: unexplained, " + "and so on " * 20)
    text = str(Report((old,), SIX, {"autodiff": 1e-12}, "float64"))
    assert "\nthe head: unexplained, and so on" in text and "\n  and so on" in text.replace("\n  so on", "\n  and so on")
    assert " where" not in text and " worst" not in text


def test_the_worst_entry_is_the_faults_own_or_its_leafs_and_its_values_differ_as_printed():
    def said(**changes):
        fault = dataclasses.replace(FAULT, **changes)
        return [line for line in str(dataclasses.replace(REPORT, faults=(fault,))).splitlines() if line.startswith(" worst")]

    assert said(given=1.0, expected=1.0 + 1e-10, index=(0, 1)) == [" worst  [1]['W'][0,1]  manual 1  reference 1.0000000001"]
    assert said(given=1.0, expected=2.0, leaf="", index=()) == [" worst  params  manual 1  reference 2"]
    assert said(index=None) == [" worst  [1]['W'][12,7]  manual 0.0133  reference 0.0033"]
    assert said(index=None, given=1.0, expected=2.0) == said(index=None)  # of a step, not of the leaf
    assert said(index=None, given=1.0, expected=2.0, leaf="[2]['b']") == [" worst  manual 1  reference 2"]
    assert said(index=(0, 0)) == said(leaf="[2]['b']") == []
    assert said(given=math.nan, expected=0.5) == [" worst  [1]['W'][12,7]  manual nan  reference 0.5"]


def test_formulas_stand_beside_one_another_or_one_above_the_other():
    long = dataclasses.replace(FAULT, yours="W1.T @ d1 " * 4, wanted="(W1.T @ d1) " * 4)
    written = str(dataclasses.replace(REPORT, faults=(long,))).splitlines()
    assert written[3].startswith("        yours     W1.T") and written[4].startswith("        expected  (W1.T")


@given(report=reports())
@settings(derandomize=True, max_examples=40, deadline=None)
def test_json_is_strict_and_gives_the_report_back(report):
    def refuse(token):
        raise AssertionError(f"{token} is no JSON")

    text = report.to_json()
    told = json.loads(text, parse_constant=refuse)
    assert text.isascii() and told == report.to_dict()
    assert told["format"] == 1 and told["right"] == (not report.faults) and len(told["leaves"]) == len(report.leaves)
    again = Report.from_json(text)
    assert again.to_dict() == told and str(again) == str(report)
    assert list(map(type, again.faults)) == [Fault] * len(report.faults)
    assert [leaf.path for leaf in again.leaves] == [leaf.path for leaf in report.leaves]


def test_json_says_what_it_is_not_a_number_and_takes_numpy():
    leaf = Leaf("['w']", (2,), {"fd": np.float64(np.inf)}, {"fd": np.bool_(False)},
                worst=((np.int64(1),), np.float32(-np.inf), np.nan), blocks=np.ones((1, 2)))
    told = json.loads(Report((FAULT,), (leaf,), {"fd": 1e-6}, "float64").to_json())
    assert told["leaves"] == [{"path": "['w']", "shape": [2], "errors": {"fd": "inf"}, "right": {"fd": False}, "probed": {},
                               "worst": [[1], "-inf", "nan"]}]
    assert Report.from_json(REPORT.to_json()) == REPORT
    for text in ("[]", '{"format": 99}', "{}"):
        with pytest.raises(ValueError, match="must be a report in format 1"):
            Report.from_json(text)


def printed_by_rich(report, **options):
    console = Console(file=io.StringIO(), **options)
    console.print(report)
    return console.file.getvalue()


def test_rich_colours_a_terminal_and_nothing_else(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = printed_by_rich(REPORT, force_terminal=True, color_system="standard", width=80)
    assert "\x1b[1;31mWRONG\x1b[0m" in coloured and "\x1b[1;31m" in coloured.split("(30, 100)")[1]
    assert "\x1b[1;32mRIGHT" in printed_by_rich(dataclasses.replace(REPORT, faults=()), force_terminal=True,
                                               color_system="standard", width=80)
    assert printed_by_rich(REPORT, width=80) == PRINTED + "\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in printed_by_rich(REPORT, force_terminal=True, color_system="standard", width=80)


@given(report=reports())
@settings(derandomize=True, max_examples=20, deadline=None)
def test_notebooks_get_escaped_text(report):
    html = report._repr_html_()
    bare = re.sub(r'</?(pre|span)( style="[^"<>]*")?>', "", html)
    assert html.startswith("<pre>") and "<" not in bare and ">" not in bare



@given(st.lists(st.integers(0, 200), max_size=3).filter(lambda shape: math.prod(shape) < 1e5), st.integers(0, 9))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_blocks_hold_the_largest_error_of_every_entry(shape, seed):
    random = np.random.default_rng(seed)
    manual, reference = random.normal(size=(2, *shape))
    blocks = blocks_of(manual, reference)
    gap = np.abs(manual - reference)
    assert blocks.dtype == np.float64 and blocks.ndim == 2 and max(blocks.shape) <= BLOCKS
    assert (blocks.size == 0) == (gap.size == 0)
    if gap.size:
        assert blocks.max() == gap.max() and blocks.min() >= gap.min()
        if gap.size <= BLOCKS and gap.ndim <= 1:
            assert np.array_equal(blocks.ravel(), gap.ravel())
        spoilt = np.array(manual)
        where = tuple(random.integers(n) for n in shape)
        spoilt[where] = random.choice([np.nan, np.inf, -np.inf])
        assert np.isinf(blocks_of(spoilt, reference)).sum() == 1
        assert np.isinf(blocks_of(spoilt, spoilt)).sum() == 1


def test_a_gradient_error_prints_the_report_and_carries_it():
    error = GradientError(REPORT)
    assert str(error) == PRINTED and error.report is REPORT and isinstance(error, AssertionError)
