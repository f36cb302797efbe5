"""Exit codes, and the errors that the commands report in a sentence."""

import contextlib
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

LIBRARY = Path(__file__).parents[1]
RIGHT, WRONG, UNUSABLE, INTERRUPTED = 0, 1, 2, 130


class Unusable(Exception):
    """An input that cannot be used; the message is a sentence for the user."""


def sentence(error: Exception) -> str | None:
    """The message for the user if `error` is a mistake of theirs; None if it is one of the program.

    A mistake of the user is an `Unusable`, an OSError of the system, such as a full disk, or a
    ValueError, TypeError, OSError or ModuleNotFoundError that comes from a `raise` statement of
    this library.
    """
    if isinstance(error, Unusable):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    ours = Path(frame.filename).is_relative_to(LIBRARY)
    expected = isinstance(error, ValueError | TypeError | OSError | ModuleNotFoundError)
    if not (expected and ours and (frame.line or "").startswith("raise ")):
        return None
    return getattr(error, "on_command_line", str(error))


@contextlib.contextmanager
def notices() -> Iterator[None]:
    """A context in which the notices of the library are lines on standard error."""
    from functional_nn.records import Notice  # here, as it imports JAX, and --help does not need it

    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message, category, *args, **more):
            if issubclass(category, Notice):
                print(f"note: {message}", file=sys.stderr)
            else:
                others(message, category, *args, **more)

        warnings.filterwarnings("always", category=Notice)
        warnings.showwarning = show
        yield
