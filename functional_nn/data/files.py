"""Opening what a user names: a plain file that is there, or a sentence that says what is."""

import difflib
from collections.abc import Iterable
from pathlib import Path


def existing(path: Path) -> Path:
    """`path` itself when it is a plain file; otherwise a FileNotFoundError with the nearest name, or a ValueError.

    >>> existing(Path("no_such_folder/trees.csv"))
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is no file 'no_such_folder/trees.csv', nor a folder 'no_such_folder'
    """
    if path.is_file():
        return path
    if path.is_dir():
        raise ValueError(f"the path must be a file, got the folder {str(path)!r}; name a file in it")
    if path.exists():
        raise ValueError(f"the path must be a plain file, got {str(path)!r}, which is a device, a pipe or a socket")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no file {str(path)!r}, nor a folder {str(path.parent)!r}")
    near = difflib.get_close_matches(path.name, [other.name for other in path.parent.iterdir()], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise FileNotFoundError(f"there is no file {path.name!r} in {str(path.parent)!r}{hint}")


def listed(names: Iterable[str], most: int = 20) -> str:
    """The names in a line, at most so many, in quotes where they hold what cannot be printed.

    >>> listed(["elm", "o\\nk", "ash"], most=2)
    "elm, 'o\\\\nk', …"
    """
    names = list(names)
    shown = [name if name.isprintable() else repr(name) for name in names[:most]]
    return ", ".join(shown + ["…"] * (len(names) > most))


def read_bytes(path: Path) -> bytes:
    """All of a plain file; see `existing` for what is refused."""
    return existing(path).read_bytes()
