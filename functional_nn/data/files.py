"""Opening the file that a user names, with an error that says what exists instead."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from functional_nn.writing import printable


def existing(path: Path) -> Path:
    """`path` itself, if it is a regular file.

    Raises a FileNotFoundError with the nearest name if there is none, and a ValueError for a
    folder, device, pipe or socket.

    >>> existing(Path("no_such_folder/trees.csv"))
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no file 'no_such_folder/trees.csv', nor a folder 'no_such_folder'
    """
    if path.is_file():
        return path
    if path.is_dir():
        raise ValueError(
            f"the path must be a file, got the folder {str(path)!r}; name a file in it")
    if path.exists():
        raise ValueError(
            f"the path must be a plain file, got {str(path)!r}, which is a device, "
            "a pipe or a socket")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"there is no file {str(path)!r}, nor a folder {str(path.parent)!r}")
    near = difflib.get_close_matches(
        path.name, [other.name for other in path.parent.iterdir()], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise FileNotFoundError(f"there is no file {path.name!r} in {str(path.parent)!r}{hint}")


def name_of(path: Path) -> str:
    """The name of a file in words: what is not printable in it is escaped."""
    return printable(path.name)


def listed(names: Iterable[str], most: int = 20) -> str:
    """The first `most` names, separated by commas; names that cannot be printed are quoted.

    >>> listed(["elm", "o\\nk", "ash"], most=2)
    "elm, 'o\\\\nk', …"
    """
    names = list(names)
    shown = [name if name.isprintable() else repr(name) for name in names[:most]]
    return ", ".join(shown + ["…"] * (len(names) > most))


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file. Raises the errors of `existing`."""
    return existing(path).read_bytes()
