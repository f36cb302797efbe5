"""Ctrl-C during training: the first one ends the run after its epoch, the second one at once."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from functional_nn.console import print

__all__ = ["after_the_epoch"]


@contextlib.contextmanager
def after_the_epoch() -> Iterator[Callable[[], bool]]:
    """A context manager whose value is the function `asked`: () -> whether Ctrl-C was pressed.

    The first Ctrl-C prints a notice on standard error. The second one raises a KeyboardInterrupt,
    as Python does by default. If the program has its own handler of SIGINT, or outside of the main
    thread, where Python allows no handler, nothing is changed and `asked()` is always False.
    """
    pressed = []
    if threading.current_thread() is not threading.main_thread() or (
            signal.getsignal(signal.SIGINT) is not signal.default_int_handler):
        yield lambda: False
        return

    def note(number, frame):
        pressed.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nstopping at the end of this epoch; press Ctrl-C again to stop at once",
              file=sys.stderr, flush=True)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
