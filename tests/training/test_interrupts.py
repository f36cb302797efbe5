"""Ctrl-C ends a run after its epoch, SIGTERM and SIGHUP at its step; other handlers are kept."""

import contextlib
import gc
import os
import signal
import threading

import pytest

from functional_nn.training import loop
from functional_nn.training.interrupts import Terminated, terminable, watched
from tests.training.memory import Memory
from tests.training.runs import fit, same


@contextlib.contextmanager
def handled_by(handler):
    """SIGINT has this handler inside, and its own again afterwards."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_first_press_is_noted_and_the_second_one_raises(capsys):
    with handled_by(signal.default_int_handler):
        with watched(saves=False) as asked:
            asked.step_taken()
            signal.raise_signal(signal.SIGINT)
            assert asked.to_end and asked.to_leave is None
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            assert asked.to_end
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert capsys.readouterr().err == "\nstopping at the end of this epoch; press Ctrl-C again to stop at once\n"


def test_before_the_first_step_the_first_press_raises(capsys):
    """As during a compilation, in which the notice comes at once and the interrupt afterwards."""
    with handled_by(signal.default_int_handler):
        with pytest.raises(KeyboardInterrupt), watched(saves=True):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert capsys.readouterr().err == "\nstopping as soon as the compilation is over\n"


class Collected:
    """A callback of the garbage collector, in which a signal arrives: what its handler raises is lost."""

    def __init__(self, number):
        self.number = number

    def __enter__(self):
        gc.callbacks.append(self)

    def __exit__(self, *error):
        gc.callbacks.remove(self)

    def __call__(self, phase, info):
        if phase == "stop":
            signal.raise_signal(self.number)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_loses_is_obeyed_after_the_first_step():
    with handled_by(signal.default_int_handler), watched(saves=False) as asked:
        with Collected(signal.SIGINT):
            gc.collect()
        with pytest.raises(KeyboardInterrupt):
            asked.step_taken()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_end_that_python_loses_is_obeyed_later():
    with pytest.raises(Terminated) as ended, terminable(), Collected(signal.SIGTERM):
        gc.collect()
    assert ended.value.code == 143


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("before", [signal.SIG_DFL, "terminate"])
def test_the_end_of_the_process_is_noted_where_the_run_is_saved(number, before, capsys):
    with terminable() if before == "terminate" else contextlib.nullcontext():
        usual = signal.getsignal(number)
        with watched(saves=False):
            assert signal.getsignal(number) is usual
        with watched(saves=True) as asked:
            signal.raise_signal(number)
            assert asked.to_leave == number and not asked.to_end
            assert signal.getsignal(number) is signal.SIG_DFL  # a second one ends the process
        assert signal.getsignal(number) is usual
    assert signal.getsignal(number) is signal.SIG_DFL
    assert capsys.readouterr().err == "\nsaving at this step\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_program_that_is_told_to_end_cleans_up(number, code):
    cleaned = []
    with pytest.raises(SystemExit) as ended, terminable():
        try:
            signal.raise_signal(number)
        finally:
            cleaned.append(True)
    assert ended.value.code == code and cleaned and signal.getsignal(number) is signal.SIG_DFL


def test_without_a_press_the_handlers_are_as_before():
    with handled_by(signal.default_int_handler):
        threads = threading.active_count()
        with pytest.raises(ZeroDivisionError), watched(saves=True) as asked:
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
            raise ZeroDivisionError
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert not asked.to_end and threading.active_count() == threads and signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("ignored", [True, False])
def test_a_handler_of_the_program_is_kept(number, ignored, capsys):
    """`nohup` ignores SIGHUP."""
    seen = []

    def own(number, frame):
        seen.append(number)

    before = signal.signal(number, signal.SIG_IGN if ignored else own)
    try:
        with terminable(), watched(saves=True) as asked:
            signal.raise_signal(number)
            assert not asked.to_end and asked.to_leave is None
        assert signal.getsignal(number) is (signal.SIG_IGN if ignored else own) and seen == [number] * (not ignored)
    finally:
        signal.signal(number, before)
    assert capsys.readouterr().err == ""


def test_a_program_that_hears_signals_by_a_pipe_keeps_it():
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    try:
        with handled_by(signal.default_int_handler), watched(saves=False) as asked:
            asked.step_taken()
            signal.raise_signal(signal.SIGINT)
            assert asked.to_end
        assert signal.set_wakeup_fd(-1) == write and os.read(read, 9) == bytes([signal.SIGINT])
    finally:
        signal.set_wakeup_fd(-1)
        os.close(read), os.close(write)


def test_outside_of_the_main_thread_no_handler_is_set():
    seen = []

    def aside():
        with terminable(), watched(saves=True) as asked:
            seen.append((asked.to_end, signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)))

    with handled_by(signal.default_int_handler):
        thread = threading.Thread(target=aside)
        thread.start()
        thread.join()
    assert seen == [(False, signal.default_int_handler, signal.SIG_DFL)]


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
    assert ("stopping at the end of this epoch; press Ctrl-C again to stop at once"
            in capsys.readouterr().err)
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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize(("step", "where"), [
    (6, "at step 2 of epoch 2"), (8, "after epoch 2"), (20, "after epoch 5")])
def test_a_machine_that_is_taken_away_saves_at_its_step(number, code, step, where, capsys):
    """The run goes on to the same end, also where the step is no one at which it would be saved."""
    store = Memory()

    def told(moment):
        if moment.step == step:
            signal.raise_signal(number)

    with pytest.raises(Terminated) as ended:
        fit(epochs=5, every=2, checkpoints=store, callbacks=[told])
    assert ended.value.code == code and store.all[-1].step == step and store.waited
    assert sorted(capsys.readouterr().err.split("\n")) == [
        "", "", f"saved {where}, from where the same call goes on", "saving at this step"]  # a thread says one of them
    same(fit(epochs=5, every=2, checkpoints=store).params, fit(epochs=5, every=2).params)


def test_a_step_amid_an_epoch_in_one_call_is_saved(monkeypatch):
    """Without `every` an epoch is one call, or as many as last a second: a signal is heard between them."""
    monkeypatch.setattr(loop.Pace, "note", lambda pace, steps, seconds: setattr(pace, "steps", 1))
    monkeypatch.setattr(loop.Pace, "__init__", lambda pace: setattr(pace, "steps", 1))
    store, judged = Memory(), loop.Pace.note

    def note(pace, steps, seconds):
        judged(pace, steps, seconds)
        if store.all and not store.waited:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(loop.Pace, "note", note)
    with pytest.raises(Terminated):
        fit(epochs=3, checkpoints=store)
    assert [saved.step for saved in store.all] == [4, 5]
    same(fit(epochs=3, checkpoints=store).params, fit(epochs=3).params)
