"""An epoch in pieces = the epoch in one; resumed = uninterrupted; callbacks may end a run."""

import pytest

import functional_nn as fnn
from functional_nn.training.loop import Pace
from tests.training.memory import Memory
from tests.training.runs import MOMENTUM, NET, NOISY, X, Y, fit, same


@pytest.mark.exact
@pytest.mark.parametrize("every", [1, 3, 4, 7, 100])
def test_an_epoch_cut_in_pieces_is_the_epoch_in_one(every):
    """Four steps an epoch, the last of one example; with dropout, whose keys hang on the step."""
    whole, cut = (fit(NOISY, optimizer=MOMENTUM, every=n) for n in (None, every))
    same(cut.params, whole.params)
    same(cut.history, whole.history)


@pytest.mark.exact
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


def test_a_call_lasts_about_a_second():
    """A call of one step takes 0.02 s; the first one takes a compilation of 7 s too."""
    pace, calls = Pace(), []
    for _ in range(12):
        calls.append(pace.steps)
        pace.note(pace.steps, 0.02 * pace.steps + 7 * (len(calls) == 1))
    assert calls[0] == 64 and calls[-1] == 50 and max(calls[1:]) <= 64
    pace.note(3, 0.06)  # the last call of an epoch is shorter, and says nothing
    assert pace.steps == 50
    pace.note(3, 30.0)
    assert pace.steps == 1
