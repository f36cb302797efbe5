"""Exit codes, and the errors that the commands report in a sentence."""

import traceback
from pathlib import Path

LIBRARY = Path(__file__).parents[1]
RIGHT, WRONG, UNUSABLE, INTERRUPTED = 0, 1, 2, 130


class Unusable(Exception):
    """An input that cannot be used; the message is a sentence for the user."""


def sentence(error: Exception) -> str | None:
    """The message for the user if `error` is a mistake of theirs; None if it is one of the program.

    A mistake of the user is an `Unusable`, an OSError about a file, or a ValueError, TypeError,
    OSError or ModuleNotFoundError that comes from a `raise` statement of this library.
    """
    if isinstance(error, Unusable):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    ours = Path(frame.filename).is_relative_to(LIBRARY)
    expected = isinstance(error, ValueError | TypeError | OSError | ModuleNotFoundError)
    if not (expected and ours and (frame.line or "").startswith("raise ")):
        return None
    return getattr(error, "on_command_line", str(error))
