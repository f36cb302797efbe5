"""Exit codes, and the errors that the commands report in a sentence."""

import contextlib
import dis
import os
import shlex
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from functional_nn.console import print

LIBRARY = Path(__file__).parents[1]
RIGHT, WRONG, UNUSABLE, INTERRUPTED, CLOSED = 0, 1, 2, 130, 141


def command(name: str, *paths: str | os.PathLike) -> str:
    """The command `functional-nn name paths…` as it can be typed into a shell.

    >>> print(command("resume", "runs/my run") + "\\n" + command("resume", "-x"))
    functional-nn resume 'runs/my run'
    functional-nn resume ./-x
    """
    paths = (f"./{path}" if str(path).startswith("-") else path for path in paths)
    return " ".join(["functional-nn", name, *map(quoted, paths)])


def quoted(text: str | os.PathLike) -> str:
    """`text` as one word of a shell; what is not printable is written as bash reads it, $'\\x1b'.

    >>> print(quoted("my run"), quoted("caf\\udce9"))
    'my run' $'caf\\xe9'
    """
    text = os.fspath(text)
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(
        f"\\{c}" if c in "'\\" else c if c.isprintable() else
        "".join(f"\\x{byte:02x}" for byte in os.fsencode(c)) for c in text) + "'"


class Unusable(Exception):
    """An input that cannot be used; the message is a sentence for the user.

    Attributes:
      lines: what to paste into a file, printed after the sentence; "" for nothing.
    """

    def __init__(self, message: str = "", lines: str = ""):
        super().__init__(message)
        self.lines = lines


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
    expected = isinstance(error, ValueError | TypeError | OSError | ModuleNotFoundError)
    if not (expected and _raised_here(error)):
        return None
    return getattr(error, "on_command_line", str(error))


def _raised_here(error: Exception) -> bool:
    """Whether a `raise` statement of this library made `error`, and no expression that failed.

    The compiled program says so: its text may have changed since the command was started.
    """
    last = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    code = last.tb_frame.f_code
    return (Path(code.co_filename).is_relative_to(LIBRARY)
            and code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"])


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
