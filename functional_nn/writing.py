"""Files and folders that are written whole or not at all, and where a run is written.

What is written goes into a temporary neighbour, which takes the right name once it is complete. A
process that is killed leaves at most that neighbour, whose name begins with a dot and ends in
`.partial`.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

__all__ = ["file_beside", "folder_beside", "occupied", "printable", "run_folder", "shown"]


@contextlib.contextmanager
def file_beside(
    path: str | os.PathLike, *, replace: bool = True, durable: bool = False
) -> Iterator[Path]:
    """A context that gives a temporary file next to `path`, which is renamed to `path` at the end.

    If the body raises, the temporary file is removed and `path` stays as it was.

    Args:
      path: the file to be written.
      replace: whether an existing file may be replaced; else a FileExistsError is raised.
      durable: whether to return only when the file and its name would survive a power cut.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with file_beside(f"{folder}/note.txt") as partial:
    ...         _ = partial.write_text("whole")
    ...     Path(folder, "note.txt").read_text(), len(os.listdir(folder))
    ('whole', 1)
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        if durable:
            _sync(partial)
        if not replace and path.exists():
            raise FileExistsError(f"there is a file {path.name!r} already")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    if durable:
        _sync(path.parent, missing_ok=True)


def _sync(path: Path, missing_ok: bool = False) -> None:
    """Wait until `path` is on the disk; `missing_ok` for folders, which not every system opens."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        if missing_ok:
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def folder_beside(folder: str | os.PathLike, *, keep: bool = False) -> Iterator[Path]:
    """A context that gives a temporary folder next to `folder`, renamed to `folder` at the end.

    If the body raises, the temporary folder is removed, and so are parents that were made for it.

    Args:
      folder: the folder to be written; there is none yet, or an empty one.
      keep: whether to keep the finished temporary folder if others have taken the name meanwhile.

    Raises an OSError if the name was taken; with `keep` it says where the finished folder is.
    """
    folder = Path(folder).absolute()
    made = [parent for parent in folder.parents if not parent.exists()]
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        _remove(partial, made)
        raise
    try:
        os.replace(partial, folder)
    except BaseException as error:
        if keep and isinstance(error, OSError):
            raise OSError(f"{folder} was taken by others meanwhile; the finished run is in "
                          f"{partial}") from error
        _remove(partial, made)
        raise


def _remove(partial: Path, made: list[Path]) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    with contextlib.suppress(OSError):  # a parent that others use by now is not empty, and stays
        for parent in made:
            parent.rmdir()


def occupied(folder: Path) -> str | None:
    """Why nothing can be written to `folder`, such as "is a file"; None if it is new or empty."""
    for place in (folder, *folder.absolute().parents):
        if place.exists() and not place.is_dir():
            return "is a file" if place == folder else f"lies in the file {place.name!r}"
    if not folder.is_dir():
        return None
    first = min((entry.name for entry in folder.iterdir()), default=None)
    return None if first is None else f"holds {first!r}"


def run_folder(name: str, out: str | os.PathLike | None = None) -> Path:
    """The folder for a run: `out`, or a new runs/<name>/<time>; it is not made here.

    Raises a ValueError if `out` is a file or holds something.

    >>> run_folder("digits").parts[:2]
    ('runs', 'digits')
    """
    if out is None:
        stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
        home = Path("runs") / name
        tried = (home / (stamp if count == 1 else f"{stamp}-{count}") for count in range(1, 1000))
        return next(place for place in tried if not place.exists())
    folder = Path(out).expanduser()
    if what := occupied(folder):
        raise ValueError(
            f"{out} must be a new or an empty folder; choose another --out (it {what})")
    return folder


def shown(path: Path) -> str:
    """`path` as a person would type it: relative to the current folder where it lies in it."""
    full = path.resolve()
    return str(full.relative_to(Path.cwd())) if full.is_relative_to(Path.cwd()) else str(full)


def printable(text: str, keep: str = "") -> str:
    r"""`text` with every character that is not printable, and not in `keep`, written as an escape.

    Such characters are the control characters, which a terminal obeys; marks that turn the order
    of the letters; and the bytes of a file name that are not UTF-8.

    >>> print(printable("oak\x1b[2J\n"), printable(os.fsdecode(b"caf\xe9.csv")))
    oak\x1b[2J\n caf\xe9.csv
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a file name, as os.fsdecode has it
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
