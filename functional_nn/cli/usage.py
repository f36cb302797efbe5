"""What the commands share: exit codes, and mistakes that are said in a sentence."""

import traceback
from pathlib import Path

LIBRARY = Path(__file__).parents[1]
RIGHT, WRONG, UNUSABLE, INTERRUPTED = 0, 1, 2, 130


class Unusable(Exception):
    """What cannot be done, in a sentence."""


def sentence(error: Exception) -> str | None:
    """What to tell the user of `error`, if it is a mistake of theirs: raised by this library on purpose, or about a file."""
    if isinstance(error, Unusable):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    ours = Path(frame.filename).is_relative_to(LIBRARY)
    expected = isinstance(error, ValueError | TypeError | OSError | ModuleNotFoundError)
    return str(error) if expected and ours and (frame.line or "").startswith("raise ") else None
