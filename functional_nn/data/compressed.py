"""Reading compressed files: how far they may unpack, and their bytes as a stream.

A few bytes can unpack to a thousand times as many, so a small file could fill the memory. What a
file unpacks to is therefore bounded, before and while it is read.
"""

import contextlib
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from functional_nn.data.files import existing, name_of

__all__ = ["check_unpacked", "limit", "opened", "read_up_to"]

USUAL_RATIO = 100  # tables and pictures reach 3 to 50
HARMLESS = 64 * 2**20  # a file that unpacks to so many bytes is read, whatever its own size
BLOCK = 2**20  # bytes
SETTING = "FUNCTIONAL_NN_MAX_BYTES"  # the environment variable that sets another limit


def limit(packed: int) -> int:
    """The most bytes that a file of `packed` bytes may unpack to.

    They are 100 times its own size and at least 64 MiB, or the number in the environment variable
    `FUNCTIONAL_NN_MAX_BYTES`. Raises a ValueError if that is no number.

    >>> limit(1_000), limit(10_000_000)
    (67108864, 1000000000)
    """
    set_by_user = os.environ.get(SETTING)
    if set_by_user is None:
        return max(USUAL_RATIO * packed, HARMLESS)
    if not (set_by_user.isascii() and set_by_user.isdigit()):
        raise ValueError(
            f"{SETTING} must be a number of bytes such as {2**33}, got {set_by_user!r}")
    return int(set_by_user)


def check_unpacked(file: str, packed: int, unpacked: int, *, at_least: bool = False) -> None:
    """Raise a ValueError if a file of `packed` bytes unpacks to more than `limit` allows.

    Args:
      file: the name of the file in the error.
      packed: its size in bytes.
      unpacked: the bytes that it unpacks to.
      at_least: whether it may unpack to more than `unpacked`, as is so while a stream is read.

    >>> check_unpacked("zeros.npz", 10**6, 10**9)
    Traceback (most recent call last):
        ...
    ValueError: zeros.npz must unpack to at most 100,000,000 bytes, 100 times its own size, got ...
    """
    most = limit(packed)
    if unpacked <= most:
        return
    why = (f", as {SETTING} says" if SETTING in os.environ else
           f", {USUAL_RATIO} times its own size" if most > HARMLESS else "")
    got = "more" if at_least else f"{unpacked:,}"
    raise ValueError(
        f"{file} must unpack to at most {most:,} bytes{why}, got {got}; if you trust the file, set "
        f"the environment variable {SETTING}={4 * most if at_least else unpacked}")


def read_up_to(file: BinaryIO, most: int) -> bytearray:
    """The next `most` bytes of a stream, or all if there are fewer.

    They are read in blocks, so that no memory is taken for bytes that are not there.
    """
    data = bytearray()
    while len(data) < most and (block := file.read(min(BLOCK, most - len(data)))):
        data += block
    return data


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A context that gives the bytes of the file at `path` as a buffered stream, unpacked.

    A gzip file is recognised by its first bytes, whatever its name is. Reading from the stream
    raises a ValueError for a damaged gzip file, and for one that unpacks to more than `limit`
    allows. Raises the errors of `functional_nn.data.files.existing`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "trees.csv.gz"
    ...     _ = path.write_bytes(gzip.compress(b"height,kind\\n3.5,oak\\n"))
    ...     with opened(path) as file:
    ...         file.readlines()
    [b'height,kind\\n', b'3.5,oak\\n']
    """
    with existing(path).open("rb", buffering=0) as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if packed:
            file = _Unpacked(name_of(path), path.stat().st_size, file)
        with io.BufferedReader(file) as stream:
            yield stream


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of a gzip file, in blocks, with the errors of `opened`."""

    def __init__(self, name: str, packed: int, file: BinaryIO):
        self._name, self._packed, self._done = name, packed, 0
        self._file = gzip.GzipFile(fileobj=file)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        try:
            block = self._file.read(min(len(buffer), io.DEFAULT_BUFFER_SIZE))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{self._name} must be a whole gzip file, got a damaged one ({error}); "
                "fetch it again") from error
        self._done += len(block)
        check_unpacked(self._name, self._packed, self._done, at_least=True)
        buffer[:len(block)] = block
        return len(block)
