"""The first Ctrl-C ends a run after its epoch, the second at once; other handlers are kept."""

import contextlib
import os
import signal
import threading

import pytest

from functional_nn.training.interrupts import after_the_epoch
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
        with after_the_epoch() as asked:
            assert not asked()
            signal.raise_signal(signal.SIGINT)
            assert asked()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            assert asked()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert capsys.readouterr().err.count("press Ctrl-C again") == 1


def test_without_a_press_the_handler_is_pythons_own_again():
    with handled_by(signal.default_int_handler):
        with pytest.raises(ZeroDivisionError), after_the_epoch() as asked:
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
            raise ZeroDivisionError
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler and not asked()


def test_a_handler_of_the_program_is_kept():
    seen = []

    def own(number, frame):
        seen.append(number)

    with handled_by(own):
        with after_the_epoch() as asked:
            assert signal.getsignal(signal.SIGINT) is own
            signal.raise_signal(signal.SIGINT)
            assert seen == [signal.SIGINT] and not asked()
        assert signal.getsignal(signal.SIGINT) is own


def test_outside_of_the_main_thread_no_handler_is_set():
    seen = []

    def aside():
        with after_the_epoch() as asked:
            seen.append((asked(), signal.getsignal(signal.SIGINT)))

    with handled_by(signal.default_int_handler):
        thread = threading.Thread(target=aside)
        thread.start()
        thread.join()
    assert seen == [(False, signal.default_int_handler)]


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
