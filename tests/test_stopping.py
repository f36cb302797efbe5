"""The stopping rule stops where nothing is gained, and nowhere else."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.stopping import Stop, until_converged

repeatable = settings(derandomize=True, deadline=None, max_examples=200)
costs = st.lists(st.floats(-1e6, 1e6), max_size=30)


@repeatable
@given(costs, st.floats(0, 1), st.integers(1, 8))
def test_is_the_equation(history, tolerance, patience):
    expected = False
    if len(history) > patience:
        best, recent = min(history[:-patience]), min(history[-patience:])
        expected = best - recent <= tolerance * abs(best)
    assert until_converged(tolerance, patience)(history) is expected


@repeatable
@given(costs, st.integers(-20, 20))
def test_does_not_depend_on_the_unit_of_the_cost(history, exponent):
    rule, unit = until_converged(0.01, 3), 2.0**exponent
    assert rule([unit * cost for cost in history]) == rule(history)


@repeatable
@given(costs, st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_larger_tolerance_never_stops_later(history, tolerance, more):
    assert until_converged(tolerance, 3)(history) <= until_converged(tolerance + more, 3)(history)


def first_stop(rule, history):
    return next((epochs for epochs in range(len(history) + 1) if rule(history[:epochs])), None)


@pytest.mark.parametrize("patience", [1, 3, 7])
def test_a_flat_cost_stops_after_patience_and_a_falling_one_does_not(patience):
    for flat in (2.0, 0.0, -2.0):
        assert first_stop(until_converged(0.0, patience), [flat] * 20) == patience + 1
    assert first_stop(until_converged(1e-4, patience), [0.9**epoch for epoch in range(200)]) is None
    assert first_stop(until_converged(1e-4, patience), [-(1.1**epoch) for epoch in range(200)]) is None


def test_slow_progress_counts_for_what_it_adds_up_to():
    slow = [0.994**epoch for epoch in range(50)]  # 0.6% an epoch
    assert first_stop(until_converged(0.01, patience=1), slow) == 2
    assert first_stop(until_converged(0.01, patience=2), slow) is None


def test_a_diverged_run_is_stopped_and_one_that_recovers_is_not():
    rule = until_converged(1e-4, patience=2)
    assert rule([3.0, 2.0, math.nan, math.inf])
    assert rule([math.nan] * 3)
    assert not rule([math.nan, math.inf, 2.0, 1.0])
    assert not rule([3.0, math.nan, 2.0])


@pytest.mark.parametrize("as_type", [list, tuple, np.asarray, lambda costs: np.asarray(costs, np.float32)])
def test_reads_any_sequence_and_gives_a_bool(as_type):
    history = as_type([1.0, 1.0, 1.0])
    assert until_converged(patience=2)(history) is True
    assert until_converged(patience=5)(history) is False


@pytest.mark.parametrize(("arguments", "kind", "words"), [
    ({"tolerance": -1e-4}, ValueError, "tolerance must be a finite number of at least 0, got -0.0001"),
    ({"tolerance": math.nan}, ValueError, "tolerance must be a finite number of at least 0, got nan"),
    ({"tolerance": "1%"}, TypeError, "tolerance must be a finite number of at least 0, got '1%'"),
    ({"patience": 0}, ValueError, "patience must be an integer of at least 1, got 0"),
    ({"patience": 2.5}, TypeError, "patience must be an integer of at least 1, got 2.5"),
])
def test_names_the_bad_argument(arguments, kind, words):
    with pytest.raises(kind) as error:
        until_converged(**arguments)
    assert str(error.value) == words


def test_a_stop_is_its_sentence_and_carries_its_parts():
    stop = Stop("diverged", 3, 7, "diverged at step 7 of epoch 3: the cost is inf")
    for same in (stop, copy.deepcopy(stop), pickle.loads(pickle.dumps(stop))):
        assert same == "diverged at step 7 of epoch 3: the cost is inf" == same.text == str(same)
        assert (same.reason, same.epoch, same.step) == ("diverged", 3, 7)
    assert json.loads(json.dumps({"stopped": stop})) == {"stopped": stop.text}
    with pytest.raises(ValueError, match="unknown reason 'epoch'; did you mean 'epochs'"):
        Stop("epoch", 3, None, "epochs are over")
