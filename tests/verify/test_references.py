"""References: how likely random directions miss an error, and how a wrong entry is found among many."""

import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.verify import check_gradients
from functional_nn.verify.leaves import wrong_entry
from functional_nn.verify.limits import COVERED
from functional_nn.verify.noise import moves_in_steps
from functional_nn.verify.references import directions_for

SIGNS = np.array(list(itertools.product((-1.0, 1.0), repeat=12)))


def passes(error, threshold):
    """P(|d·e| ≤ τ) over all ±1 vectors d, exactly."""
    return float(np.mean(np.abs(SIGNS[:, :len(error)] @ error) <= threshold * (1 + 1e-9)))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(error=st.lists(st.floats(-1, 1), min_size=2, max_size=12).filter(lambda e: np.linalg.norm(e) > 1e-3))
def test_no_error_of_four_thresholds_passes_a_direction_more_often_than_every_other_time(error):
    error = np.array(error)
    assert passes(error, np.linalg.norm(error) / COVERED) <= 0.5


@pytest.mark.parametrize(("error", "chance"), [
    ([1.0], 0.0), ([1.0, -1.0], 0.5), ([1.0] * 4, 6 / 16), ([2.0, 1.0, 1.0], 0.25), ([4.0, 1.0], 0.0)])
def test_the_bound_is_met_by_two_equal_errors_and_never_by_one(error, chance):
    assert passes(np.array(error), np.linalg.norm(error) / COVERED) == chance


@pytest.mark.parametrize("ratio", [5.0, 10.0, 30.0])
def test_a_dense_error_is_missed_as_the_normal_law_says(ratio):
    error = np.random.default_rng(0).normal(size=500)
    directions = np.random.default_rng(1).choice([-1.0, 1.0], size=(20000, 500))
    missed = np.mean(np.abs(directions @ error) <= np.linalg.norm(error) / ratio)
    assert missed == pytest.approx(math.erf(1 / (ratio * math.sqrt(2))), rel=0.1)


@settings(max_examples=100, derandomize=True)
@given(miss=st.floats(1e-300, 0.999))
def test_the_directions_keep_what_they_promise(miss):
    count = directions_for(miss)
    assert count >= 16 and 2.0**-count <= miss and (count == 16 or 2.0 ** -(count - 1) > miss)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(size=st.integers(1, 3000), wrong=st.sets(st.integers(0, 10**6), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_halving_finds_a_wrong_entry_with_two_derivatives_a_halving(size, wrong, seed):
    random, calls = np.random.default_rng(seed), []
    true = random.normal(size=size)
    manual = true.copy()
    manual[[place % size for place in wrong]] += random.uniform(1, 2, len(wrong))
    direction = random.choice([-1.0, 1.0], size)
    if abs(direction @ (manual - true)) < 0.1:
        return  # a direction that sees nothing

    def along(params, d):
        calls.append(0)
        return float(d @ true)

    place, expected = wrong_entry(along, np.zeros(size), 0, manual, direction)
    assert len(calls) <= 2 * math.ceil(math.log2(size)) if size > 1 else not calls
    if size > 1:
        assert manual[place] != true[place] and expected == pytest.approx(true[place], abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("reference", ["forward", "fd", "complex"])
def test_a_large_leaf_says_how_likely_it_was_missed_and_where_it_is_wrong(reference):
    def f(w):
        return jnp.sum(jnp.sin(w)) if reference != "complex" else np.sum(np.sin(w))

    params = np.random.default_rng(0).normal(size=(73, 61))
    for miss, count in ((1e-9, 30), (1e-3, 16), (1e-20, 67)):
        report = check_gradients(f, np.cos, params, reference=reference, miss=miss)
        assert report and report.missed == 2.0**-count <= miss and report.leaves[0].probed[reference] == f"{count} directions"
        assert f"params probed along {count} random directions: an error of 4 times the bound" in report.notes[-1]
    for places in ([(70, 3)], [(70, 3), (0, 0)], [(i, 7) for i in range(73)]):
        def manual(w, places=places):
            g = np.array(np.cos(w))
            for n, place in enumerate(places):
                g[place] += 0.1 * (1 + n)
            return g

        (fault,) = check_gradients(f, manual, params, reference=reference).faults
        assert fault.index in places and fault.given == pytest.approx(manual(params)[fault.index])
        assert fault.expected == pytest.approx(math.cos(params[fault.index]), rel=1e-5)
        assert fault.cause == ("single entry" if len(places) == 1 else "unexplained")
        assert f"wrong at params{list(fault.index)}: manual" in fault.message
    for factor, cause in ((-1.0, "sign"), (2.5, "factor"), (0.0, "zero")):
        (fault,) = check_gradients(f, lambda w, c=factor: c * np.cos(w), params, reference=reference).faults
        assert fault.cause == cause
    (fault,) = check_gradients(f, lambda w: np.cos(w) + 0.01 * w, params, reference=reference).faults
    assert fault.cause == "penalty added" and fault.value == "0.01 * p"
    (fault,) = check_gradients(f, lambda w: np.clip(np.cos(w), -0.5, 0.5), params, reference=reference).faults
    assert fault.cause == "unexplained"


def test_where_every_entry_is_compared_nothing_is_missed():
    report = check_gradients(lambda w: jnp.sum(w**2), lambda w: 2 * w, np.ones((80, 80)))
    assert report and report.missed == 0.0 and report.notes == ()


W32 = np.random.default_rng(3).normal(size=(4, 3))


def in_float32(w):
    return float(np.sum(np.tanh(np.asarray(w, np.float32) @ np.float32([0.3, -0.2, 1.1])) ** 2))


def slope_in_float32(w, times=1.0):
    t = np.tanh(np.asarray(w, np.float32) @ np.float32([0.3, -0.2, 1.1]))
    return times * np.outer(2 * t * (1 - t**2), np.float32([0.3, -0.2, 1.1]))


def test_float32_behind_a_python_float_shows_in_how_f_moves():
    """Differences of float64's step would be noise; a mistake of a hundredth is still seen."""
    report = check_gradients(in_float32, slope_in_float32, W32)
    assert report and any("as if computed in float32" in note for note in report.notes)
    assert not check_gradients(in_float32, lambda w: slope_in_float32(w, 1.01), W32)


@pytest.mark.parametrize("f", [
    lambda w: np.sum(np.abs(w)), lambda w: np.sum(np.maximum(w - W32, 0)) + 1, lambda w: float(np.sum(w**4)), lambda w: 3.0,
    lambda w: np.sum(np.exp(9 * w)), lambda w: np.sum(w) * 1e-30, lambda w: np.sum(np.sin(50 * w))])
def test_no_kink_or_bend_in_float64_is_taken_for_steps(f):
    assert moves_in_steps(f, W32, float(f(W32))) is None
    assert moves_in_steps(f, 0 * W32, float(f(0 * W32))) is None
