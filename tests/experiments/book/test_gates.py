"""What a gate lets through, and what it does not."""

import numpy as np
import pytest

from experiments.book import gates

PUBLISHED = {"cost": np.array([1.0, 0.5, 0.4])}


def ours(*values):
    return {"cost": np.array([values])}


@pytest.mark.parametrize(("gate", "values", "met"), [
    (gates.within("cost", 1e-3), (1.0009, 0.5, 0.4), True),
    (gates.within("cost", 1e-3), (1.0, 0.5, 0.402), False),
    (gates.within("cost", 1e-3, first=2), (1.0, 0.5, 9.0), True),
    (gates.within("cost", 1e-3, first=2), (1.0, 0.6, 0.4), False),
    (gates.within("cost", 1e-3, last=1), (9.0, 9.0, 0.4), True),
    (gates.within("cost", 1e-3, last=1), (1.0, 0.5, 0.5), False),
    (gates.within("cost", 1e-3), (np.nan, 0.5, 0.4), False),
    (gates.in_range("cost"), (0.9, 0.45, 0.5), True),
    (gates.in_range("cost"), (0.9, 0.3, 0.5), False)])
def test_a_gate_is_met_or_not(gate, values, met):
    assert gate.judge(PUBLISHED, ours(*values)).met is met


def test_the_worst_epoch_is_shown():
    verdict = gates.within("cost", 1e-3, " points").judge(PUBLISHED, ours(1.0, 0.53, 0.41))
    assert (verdict.published, verdict.ours, verdict.found) == (0.5, 0.53, "0.03 points")


def test_too_few_epochs_are_compared_as_far_as_they_go():
    assert gates.within("cost", 1e-3).judge(PUBLISHED, ours(1.0, 0.5)).met


@pytest.mark.parametrize(("inside", "met"), [(95, True), (94, False)])
def test_a_band_must_hold_95_of_100_seeds(inside, met):
    last = np.where(np.arange(100) < inside, 5.0, 50.0)[:, None]
    gate = gates.in_band("first", "last", 3.7, 6.9)
    verdict = gate.judge({"first": np.ones(1), "last": np.full(1, 4.7)}, {"first": np.ones((100, 1)), "last": last})
    assert verdict.met is met and verdict.found == f"{inside} of 100 seeds" and verdict.published == 4.7
