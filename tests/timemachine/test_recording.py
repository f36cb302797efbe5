"""A recorded run is the run of `fit`, bit for bit, and its record is what the library computes."""

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.timemachine import recording
from functional_nn.timemachine.agreement import AGREES
from functional_nn.timemachine.recording import _due, _spans
from tests.slow import few
from tests.timemachine.conftest import ASKED, small

pytestmark = pytest.mark.usefixtures("unchecked")
RUNS = {
    "plain": {},
    "everything": {"net": fnn.sequential(3, fnn.layers.dense(6, "relu"), fnn.layers.dropout(0.3),
                                         fnn.layers.dense(2, "softmax")),
                   "optimizer": fnn.optimizers.adam(0.05), "penalty": fnn.penalties.l2(0.1),
                   "class_weights": "balanced", "validation": 0.3, "batch_size": 3},
}


def same(left, right):
    return all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), left, right)))


@pytest.mark.parametrize(("name", "steps"), few([(name, steps) for name in RUNS for steps in (3, 200)], 0))
def test_the_run_is_that_of_fit_to_the_bit(name, steps):
    """In how many calls an epoch is taken does not matter."""
    given = small(**RUNS[name])
    result = fnn.fit(**given, progress=False)
    [track] = fnn.replay(**given, steps=steps).tracks
    assert same(result.params, track.last)
    np.testing.assert_array_equal(result.history["cost"], track.costs)


@pytest.mark.parametrize("name", few(RUNS))
def test_every_step_is_the_sum_of_its_parts(name):
    [track] = fnn.replay(**small(**RUNS[name])).tracks
    looks = track.looks
    np.testing.assert_allclose(looks.pushes.sum(-1) + looks.others, looks.gradient, atol=1e-6)
    np.testing.assert_allclose(looks.before + looks.step, looks.after, atol=1e-6)
    np.testing.assert_allclose(looks.memory + looks.fresh, looks.step, atol=1e-6)
    np.testing.assert_array_equal(looks.after[:-1], looks.before[1:])  # every step is recorded here


@pytest.mark.slow
def test_the_first_step_is_what_backprop_computes():
    given = small()
    shown = fnn.replay(**given)
    [track], places = shown.tracks, {s: i for i, s in enumerate(shown.layout.passes)}
    start = fnn.fit(**given | {"optimizer": fnn.optimizers.sgd(0.0), "epochs": 1}, progress=False).params
    deltas = fnn.backprop.deltas(given["net"], given["loss"])
    X, Y = given["data"]
    for e, row in enumerate(track.looks.rows[0]):
        for l, delta in enumerate(deltas(start, X[row], Y[row]), start=2):
            got = [track.looks.passes[0, e, i] for s, i in places.items() if s[:2] == ("δ", l)]
            np.testing.assert_allclose(got, delta, rtol=1e-5, atol=1e-7)


def test_a_mistake_parts_from_the_right_run(replayed):
    right, wrong = replayed.tracks
    np.testing.assert_array_equal(right.looks.before[0], wrong.looks.before[0])
    assert not np.allclose(right.looks.gradient[0], wrong.looks.gradient[0])
    assert right.costs[-1] != wrong.costs[-1] and not wrong.verdicts[0].right
    assert len(right.apart) == len(right.numbers) and max(right.apart) < AGREES < min(wrong.apart)


@pytest.mark.slow
def test_the_debugger_names_the_mistake_that_was_planted(monkeypatch):
    monkeypatch.setattr(recording, "_verdict", ASKED)
    right, wrong = fnn.replay(**small(epochs=1), steps=1, mistakes=["sign"]).tracks
    assert right.verdicts[0].right and right.verdicts[0].step == 1
    assert wrong.verdicts[0].text.startswith("WRONG at layer 3, head: sign")


def test_steps_are_spread_evenly_and_stand_alone():
    assert _due(10, 200) == list(range(10)) and _due(101, 3) == [0, 50, 100]
    assert list(_spans(6, [-3, 2, 9])) == [(0, 2), (2, 3), (3, 6)]
    assert list(_spans(3, [0, 1, 2])) == [(0, 1), (1, 2), (2, 3)]
