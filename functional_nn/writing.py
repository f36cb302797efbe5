"""Files and folders that are written whole or not at all, and where a run is written.

What is written goes into a temporary neighbour, which takes the right name once it is complete. A
process that is killed leaves at most that neighbour, whose name begins with a dot and ends in
`.partial`. A link that has the right name is replaced, and the file it points to stays as it is.
"""

import contextlib
import errno
import glob
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

try:
    import fcntl
except ModuleNotFoundError:  # no file locks on this system: two writers are not kept apart
    fcntl = None

__all__ = ["alone", "clean", "file_beside", "folder_beside", "named", "occupied", "printable",
           "remove", "run_folder", "shown", "sync"]

PARTIAL = re.compile(r"\..+\.[0-9a-f]+\.partial")
NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM, errno.ENOSYS}


@contextlib.contextmanager
def file_beside(
    path: str | os.PathLike, *, replace: bool = True, durable: bool = False
) -> Iterator[Path]:
    """A context that gives a temporary file next to `path`, which is renamed to `path` at the end.

    If the body raises, the temporary file is removed and `path` stays as it was. An OSError about
    the temporary file names `path`.

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
    partial = _neighbour(path)
    with named(path, instead_of=partial):
        try:
            yield partial
            if durable:
                sync(partial)
            if not replace and path.exists():
                raise FileExistsError(f"there is a file {path.name!r} already")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        if durable:
            sync(path.parent)


def _neighbour(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


@contextlib.contextmanager
def named(path: Path, instead_of: Path | None = None) -> Iterator[None]:
    """A context in which an OSError that names no file, or the file `instead_of`, names `path`.

    Writing to a full disk raises an OSError without a name.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(instead_of)):
            error.filename, error.filename2 = str(path), None
        raise


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, would survive a power cut.

    Some network file systems cannot open or sync a folder. That is no error: the files in it are
    synced and whole, and no more can be done for their names.
    """
    folder = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not (folder and error.errno in NO_SYNC):
            raise


@contextlib.contextmanager
def folder_beside(
    folder: str | os.PathLike, *, keep: bool = False, durable: bool = False
) -> Iterator[Path]:
    """A context that gives a temporary folder next to `folder`, renamed to `folder` at the end.

    If the body raises, the temporary folder is removed, and so are parents that were made for it.
    What a killed process left of an earlier try is removed too.

    Args:
      folder: the folder to be written; there is none yet, or an empty one.
      keep: whether to keep the finished temporary folder if others have taken the name meanwhile.
      durable: whether to return only when the folder and its files would survive a power cut.

    Raises an OSError if the name was taken; with `keep` it says where the finished folder is.
    """
    folder = Path(folder).absolute()
    made = [parent for parent in folder.parents if not parent.exists()]
    partial = _neighbour(folder)
    partial.mkdir(parents=True)
    with alone(partial), named(folder):
        try:
            _clean_neighbours(folder)
            yield partial
            for path in (*sorted(partial.rglob("*")), partial) if durable else ():
                sync(path)
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
    if durable:
        sync(folder.parent)


def _clean_neighbours(folder: Path) -> None:
    """Remove temporary neighbours of `folder` whose writers have died; those alive hold a lock."""
    for path in folder.parent.glob(f".{glob.escape(folder.name)}.*.partial"):
        if PARTIAL.fullmatch(path.name) and path.is_dir():
            with contextlib.suppress(ValueError, OSError), alone(path) as certain:
                if certain:
                    remove(path)


def _remove(partial: Path, made: list[Path]) -> None:
    remove(partial)
    with contextlib.suppress(OSError):  # a parent that others use by now is not empty, and stays
        for parent in made:
            parent.rmdir()


def remove(path: Path) -> None:
    """Remove a file, a link (but not its target) or a folder, as far as that is possible."""
    if path.is_symlink() or not path.is_dir():
        with contextlib.suppress(OSError):
            path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def clean(folder: Path) -> None:
    """Remove the temporary files that killed writers left in `folder`; call it inside `alone`."""
    for path in folder.iterdir():
        if PARTIAL.fullmatch(path.name):
            remove(path)


@contextlib.contextmanager
def alone(
    folder: Path, advice: str = "close the first, or name another folder"
) -> Iterator[bool]:
    """A context manager that locks `folder` against other writers.

    Its value is whether there is a lock: some systems and file systems have none, and then nothing
    is kept apart. The lock lies on the folder itself, also after the folder is renamed. It leaves
    no file behind, and ends with the process. Raises a ValueError with `advice` if another writer
    holds the lock.
    """
    if fcntl is None:
        yield False
        return
    descriptor, certain = os.open(folder, os.O_RDONLY), True
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{str(folder)!r} must have one writer at a time, got a second one; "
                             f"{advice}") from None
        except OSError:
            certain = False
        yield certain
    finally:
        with contextlib.suppress(OSError):
            # Closing the descriptor would not do: forked children share the lock
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def occupied(folder: Path) -> str | None:
    """Why nothing can be written to `folder`, such as "is a file"; None if it is new or empty.

    The temporary files of a writer that was killed do not count.
    """
    for place in (folder, *folder.absolute().parents):
        if place.exists() and not place.is_dir():
            return "is a file" if place == folder else f"lies in the file {place.name!r}"
    if not folder.is_dir():
        return None
    first = min((entry.name for entry in folder.iterdir() if not PARTIAL.fullmatch(entry.name)),
                default=None)
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
