"""Signals during training: Ctrl-C ends the run after its epoch, SIGTERM and SIGHUP at its step."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator

from functional_nn.console import print

__all__ = ["Asked", "Terminated", "terminable", "watched"]

LEAVE = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(SystemExit):
    """The process was told to end, as a machine is that is taken away.

    It ends the program with the exit code 128 + the number of the signal: 143 for SIGTERM, 129 for
    SIGHUP.

    """

    def __init__(self, number: int):
        super().__init__(128 + number)


class _Terminate:
    """A handler of SIGTERM and SIGHUP that raises a `Terminated` at once."""

    def __init__(self) -> None:
        self.number: int | None = None

    def __call__(self, number: int, frame) -> None:
        self.number = number
        signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
        raise Terminated(number)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """A context in which SIGTERM and SIGHUP raise a `Terminated`, so that the program cleans up.

    Inside of it `watched` still has its own way. A handler of the program and an ignored signal are
    kept, and outside of the main thread nothing is changed. What a handler raises may be lost, if
    Python was amid a callback of its garbage collector; then it is raised at the end.
    """
    terminate = _Terminate()
    own = threading.current_thread() is threading.main_thread()
    numbers = [number for number in LEAVE if own and signal.getsignal(number) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, terminate)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
    if terminate.number is not None:
        raise Terminated(terminate.number)


class Asked:
    """What signals asked of a run.

    Attributes:
      begun: whether a step has been taken. Before, Ctrl-C ends the run at once.
      to_end: whether Ctrl-C asked to end the run after its epoch.
      to_leave: the signal that asked to end the run at its step, or None.
    """

    def __init__(self) -> None:
        self.begun, self.to_end, self.to_leave = False, False, None
        self._at_once = False

    def step_taken(self) -> None:
        """Take note that a step was taken; raises a KeyboardInterrupt if one was asked for before.

        The handler raises it too, but what a handler raises is lost if Python is amid a callback
        of its garbage collector, as it often is during a compilation.
        """
        if self._at_once:
            raise KeyboardInterrupt
        self.begun = True

    def _interrupt(self, number: int, frame) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.to_end, self._at_once = self.begun, not self.begun
        if self._at_once:
            raise KeyboardInterrupt

    def _leave(self, number: int, frame) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
        self.to_leave = number


@contextlib.contextmanager
def watched(*, saves: bool) -> Iterator[Asked]:
    """A context manager whose value is an `Asked`, which tells what signals asked for.

    The first Ctrl-C prints a notice on standard error. The second one raises a KeyboardInterrupt,
    as Python does by default. Before the first step, the first one does so too. Python hears a
    signal only between two of its own operations, so during a compilation the notice comes at once
    and the interrupt afterwards.

    Args:
      saves: whether the run is saved, so that SIGTERM and SIGHUP are to be heard; if not, they end
        the process, as they do by default.

    A handler that the program has set is kept, and so is an ignored signal. Outside of the main
    thread, where Python allows no handler, nothing is changed and nothing is heard.
    """
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    wanted = {signal.SIGINT: asked._interrupt} | {
        number: asked._leave for number in LEAVE if saves}
    usual = {number: signal.getsignal(number) for number in wanted}
    heard = [number for number in wanted
             if usual[number] in (signal.default_int_handler, signal.SIG_DFL)
             or isinstance(usual[number], _Terminate)]
    with _notices(asked, heard):
        for number in heard:
            signal.signal(number, wanted[number])
        try:
            yield asked
        finally:
            for number in heard:
                signal.signal(number, usual[number])


@contextlib.contextmanager
def _notices(asked: Asked, numbers: Iterable[int]) -> Iterator[None]:
    """A context in which a thread says at once on standard error what a signal will do.

    Python writes the number of each signal to a pipe when it arrives, also during a compilation.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    thread = None
    if before == -1:
        thread = threading.Thread(target=_tell, args=(asked, numbers, read), daemon=True)
        thread.start()
    else:  # the program has a loop of its own that hears signals
        signal.set_wakeup_fd(before)
    try:
        yield
    finally:
        if thread is not None:
            signal.set_wakeup_fd(-1)
            os.write(write, b"\0")
            thread.join()
        os.close(read)
        os.close(write)


def _tell(asked: Asked, numbers: Iterable[int], read: int) -> None:
    said = set()
    while (number := os.read(read, 1)[0]) != 0:
        if number in numbers and number not in said:
            said.add(number)
            notice = ("saving at this step" if number != signal.SIGINT
                      else "stopping at the end of this epoch; press Ctrl-C again to stop at once"
                      if asked.begun else "stopping as soon as the compilation is over")
            with contextlib.suppress(OSError):
                print(f"\n{notice}", file=sys.stderr, flush=True)
