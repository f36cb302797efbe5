"""Ctrl-C that ends the epoch cleanly; a second one goes through at once."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator

__all__ = ["after_the_epoch"]


@contextlib.contextmanager
def after_the_epoch() -> Iterator[Callable[[], bool]]:
    """A context that gives `asked()`: whether Ctrl-C was pressed; it says so on stderr, and a second one raises.

    It does nothing where another handler has been put in place, and outside the main thread, where none can be.
    """
    pressed = []
    if threading.current_thread() is not threading.main_thread() or (
            signal.getsignal(signal.SIGINT) is not signal.default_int_handler):
        yield lambda: False
        return

    def note(number, frame):
        pressed.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nstopping at the end of this epoch; press Ctrl-C again to stop at once", file=sys.stderr, flush=True)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
