"""An epoch in pieces = the epoch in one; resumed = uninterrupted; Ctrl-C, callbacks and rules end a run where they say."""

import copy
import dataclasses
import os
import signal

import jax
import numpy as np
import pytest

import functional_nn as fnn
from tests.training.runs import MOMENTUM, NET, NOISY, N, X, Y, fit, same


@pytest.mark.parametrize("every", [1, 3, 4, 7, 100])
def test_an_epoch_cut_in_pieces_is_the_epoch_in_one(every):
    """Four steps an epoch, the last of one example; with dropout, whose keys hang on the step."""
    whole, cut = (fit(NOISY, optimizer=MOMENTUM, every=n) for n in (None, every))
    same(cut.params, whole.params)
    same(cut.history, whole.history)


@pytest.mark.parametrize("chunk_bytes", [1, 200, 10**6])
def test_a_stream_is_trained_on_as_arrays_are(chunk_bytes):
    data = fnn.data.stream(X, Y, chunk_bytes=chunk_bytes)
    streamed, whole = fit(NOISY, data=data, validation=(X, Y)), fit(NOISY, validation=(X, Y))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), streamed.params, whole.params)
    same(fit(NOISY, data=data, every=3).params, streamed.params)


@pytest.mark.parametrize("options", [
    {}, {"validation": 0.25, "restore_best": True, "monitor": True, "penalty": fnn.penalties.l2(0.01), "metrics": ["f1"]},
    {"shuffle": False, "batch_size": None, "stop": fnn.until_converged(tolerance=0, patience=3)}])
def test_a_run_that_goes_on_is_the_run_that_never_stopped(options):
    whole = fit(NOISY, optimizer=MOMENTUM, epochs=6, **options)
    first = fit(NOISY, optimizer=MOMENTUM, epochs=2, **options)
    rest = fit(NOISY, optimizer=MOMENTUM, epochs=6, resume=first, **options)
    assert whole.history["epoch"].tolist() == [1, 2, 3, 4, 5, 6] and len(first.history["cost"]) == 2
    same(rest, whole)


def test_a_finished_run_does_not_go_on():
    done = fit(epochs=3)
    same(fit(epochs=3, resume=done), done)
    assert fit(epochs=2, resume=done).stopped == "epochs are over"


def test_the_best_epoch_is_restored():
    """A rate that overshoots: the cost goes up again after an early epoch."""
    result = fit(optimizer=fnn.optimizers.sgd(6.0), epochs=12, validation=(X[:5] * 2, Y[:5]), restore_best=True)
    costs = result.history["validation_cost"]
    assert result.best_epoch == 1 + costs.argmin() < 12
    best = float(fnn.cost(NET, "cross_entropy")(result.params, X[:5] * 2, Y[:5]))
    last = float(fnn.cost(NET, "cross_entropy")(result.last, X[:5] * 2, Y[:5]))
    assert best == pytest.approx(costs.min(), rel=1e-5) and last == pytest.approx(costs[-1], rel=1e-5)
    again = fit(optimizer=fnn.optimizers.sgd(6.0), epochs=12, validation=(X[:5] * 2, Y[:5]))
    same(again.params, result.last)
    assert again.best_epoch == result.best_epoch


def test_callbacks_see_every_epoch_and_every_so_many_steps():
    """13 examples by 4: four steps an epoch; every 3 steps, but at an epoch's end with its record."""
    moments = []
    result = fit(epochs=3, every=3, callbacks=[moments.append])
    assert [(m.epoch, m.step, m.record is not None) for m in moments] == [
        (1, 3, False), (1, 4, True), (2, 6, False), (2, 8, True), (3, 9, False), (3, 12, True)]
    assert [m.record["cost"] for m in moments if m.record] == result.history["cost"].tolist()
    same(moments[-1].params, result.params)
    same(moments[1].params, fit(epochs=1).params)


@pytest.mark.parametrize(("step", "words", "epochs"), [
    (6, "a callback ended the run at step 2 of epoch 2", 1), (8, "a callback ended the run after epoch 2", 2)])
def test_a_callback_may_end_the_run_and_it_can_go_on(step, words, epochs):
    ended = fit(every=3, epochs=4, callbacks=[lambda moment: moment.step == step])
    assert ended.stopped == words and len(ended.history["epoch"]) == epochs
    if step == 8:
        same(fit(epochs=4, resume=ended).params, fit(epochs=4).params)
    else:
        with pytest.raises(ValueError, match="resume must be a run that ended with an epoch, got one of which"):
            fit(epochs=4, resume=ended)
        store = Memory()
        fit(every=3, epochs=4, checkpoints=store, callbacks=[lambda moment: moment.step == step])
        same(fit(every=3, epochs=4, checkpoints=store).params, fit(epochs=4).params)


def press(moment):
    if moment.epoch == 2 and moment.record is None:
        os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_ends_the_epoch_and_the_run_can_go_on(capsys):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        stopped = fit(epochs=5, every=3, callbacks=[press])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert stopped.stopped == "interrupted after epoch 2; fit(…, resume=result) goes on from there"
    assert "stopping at the end of this epoch; press Ctrl-C again to stop at once" in capsys.readouterr().err
    same(fit(epochs=5, every=3, resume=stopped).params, fit(epochs=5, every=3).params)


def test_a_second_interrupt_goes_through_at_once():
    seen = []

    def twice(moment):
        seen.append(moment.step)
        press(moment)
        press(moment)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(epochs=5, every=3, callbacks=[twice])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [3, 4, 6]


@pytest.mark.parametrize("progress", [True, False])
def test_an_interrupt_from_within_goes_through(progress):
    def interrupted(costs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(stop=interrupted, progress=progress)


class Memory:
    """Checkpoints in memory."""

    @dataclasses.dataclass
    class Saved:
        step: int
        state: object
        record: dict

    def __init__(self):
        self.all, self.scores = [], []

    def save(self, step, state, record, score=None):
        assert step not in [saved.step for saved in self.all]
        self.all.append(Memory.Saved(step, state, copy.deepcopy(record)))
        self.scores.append(score)

    def restore(self, like):
        return self.all[-1] if self.all else None


OPTIONS = {"net": NOISY, "optimizer": MOMENTUM, "epochs": 4, "validation": 0.25, "restore_best": True, "monitor": True}


@pytest.mark.parametrize("every", [None, 2, 5])
def test_a_run_goes_on_from_every_one_of_its_checkpoints(every):
    store = Memory()
    whole = fit(every=every, checkpoints=store, **OPTIONS)
    steps = [saved.step for saved in store.all]
    per_epoch = 3  # of 9 examples by 4
    assert steps == sorted(set(steps)) and steps[-1] == 4 * per_epoch
    assert set(range(every or per_epoch, 4 * per_epoch, every or per_epoch)) <= set(steps)
    assert np.nanargmin(np.array(store.scores, float)) == steps.index(whole.best_epoch * per_epoch)
    for kept in range(1, len(store.all) + 1):
        half = Memory()
        half.all = store.all[:kept]
        same(fit(every=every, checkpoints=half, **OPTIONS), whole)


@pytest.mark.parametrize(("change", "words"), [
    ({"key": jax.random.key(1)}, "key is [0, 0], not [0, 1]"), ({"batch_size": 3}, "batch_size is 4, not 3"),
    ({"data": (X + 1, Y)}, "data is"), ({"shuffle": False}, "shuffle is True, not False"),
    ({"net": NET}, "network is Network(3 -> dense(5, tanh) -> dropout(0.3) -> dense(3, softmax)), not Network(3 ->")])
def test_checkpoints_of_another_run_are_refused(change, words):
    store = Memory()
    fit(NOISY, checkpoints=store, epochs=1)
    with pytest.raises(ValueError, match="checkpoints must be of this run, got one whose") as error:
        fit(**{"net": NOISY, "checkpoints": store, "epochs": 1, **change})
    assert words in str(error.value) and len(store.all) == 1


@pytest.mark.parametrize(("options", "words"), [
    ({"callbacks": [3]}, "callbacks[0] must be a function of a Moment, got 3"),
    ({"every": 0}, "every must be an integer of at least 1, got 0"),
    ({"penalty": 0.1}, "penalty must be one of fnn.penalties such as fnn.penalties.l2(1e-4), got 0.1"),
    ({"resume": 3}, "resume must be the Result of a run, got int"),
    ({"metrics": ["f1"]}, "metrics are of validation data, got ['f1'] without any; pass validation=0.1 or (X, Y)"),
    ({"metrics": ["r2"], "validation": (X, Y)}, "metrics must be of classes here, got 'r2', which is of values"),
    ({"metrics": ["f3"], "validation": (X, Y)}, "unknown metric 'f3'"),
    ({"validation": 1.5}, "validation must be a pair (X, Y), or the share of the examples to keep for it, between 0 and 1"),
    ({"validation": 0.01}, "validation=0.01 leaves too few of 13 examples on one side"),
    ({"data": fnn.data.stream(X, Y), "validation": 0.2}, "validation must be a pair (X, Y) where data is a stream, got 0.2"),
    ({"data": fnn.data.stream(X, Y), "class_weights": "balanced"}, "class_weights must be left out where data is a stream"),
    ({"sample_weights": np.ones(3, np.float32)}, "sample_weights must have one weight for each of the 13 examples"),
    ({"sample_weights": -np.ones(N, np.float32)}, "sample_weights must be at least 0 and not all 0"),
    ({"class_weights": "even"}, "unknown class_weights 'even'"), ({"class_weights": 3}, "class_weights must be 'balanced' or"),
    ({"class_weights": {0: -1}}, "class_weights[0] must be a finite number of at least 0, got -1"),
    ({"class_weights": {0: 0, 1: 0, 2: 0}}, "class_weights must leave some example a weight above 0"),
    ({"data": (X, np.eye(3)[Y]), "class_weights": "balanced"}, "class_weights needs Y to hold integer classes")])
def test_what_cannot_be_meant_is_said(options, words):
    with pytest.raises((TypeError, ValueError)) as error:
        fit(**options)
    assert words in str(error.value)


def test_what_cannot_go_on_is_said():
    done = fit(epochs=1)
    diverged = done._replace(stopped=fnn.Stop("diverged", 1, 1, "diverged at step 1"))
    for options, words in (({"params": done.params}, "resume goes on from a result"),
                           ({"optimizer": fnn.optimizers.adam(0.1)}, "resume must be of the same network and optimiser"),
                           ({"resume": diverged}, "resume must be a run that ended well")):
        with pytest.raises(ValueError, match=words):
            fit(**{"resume": done, **options})
