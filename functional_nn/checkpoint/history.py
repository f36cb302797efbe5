"""The history of a run: a file of lines that grows, beside its checkpoints.

If a checkpoint held the history, it would grow with it, and a run of n epochs would write n² lines.
So each line is written once, before the first checkpoint that it belongs to, and the checkpoint
holds a `Mark`: how many bytes of the file belong to it, and their checksum. Lines after the mark
are those of later checkpoints, or were left by a process that was killed.
"""

import contextlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

from functional_nn.checkpoint.container import Damaged, Mark
from functional_nn.records import typed
from functional_nn.writing import file_beside, named

NAME = "history.jsonl"


def read(path: Path, mark: Mark) -> list[dict[str, Any]]:
    """The lines of the file `path` before `mark`; raises Damaged if they are not as written."""
    try:
        return [typed(f"line {number}", json.loads(line), dict[str, Any])
                for number, line in enumerate(_bytes(path, mark).splitlines(), start=1)]
    except (ValueError, RecursionError) as error:
        raise Damaged(f"its history, in {path.name}, cannot be read ({error})") from None


def _bytes(path: Path, mark: Mark) -> bytes:
    """The first bytes of the file; raises Damaged unless they have the checksum of `mark`."""
    data = b""
    if mark.size and path.is_file():
        with open(path, "rb") as file:
            data = file.read(mark.size)
    if mark != (len(data), zlib.crc32(data)):
        raise Damaged(f"its history, the first {mark.size:,} bytes of {path.name}, does not have "
                      "the checksum that it was saved with")
    return data


class History:
    """Appends lines to the history of a run.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     history = History(Path(folder) / "history.jsonl")
    ...     one = history.append(Mark(), '{"epoch":1}\\n')
    ...     two = history.append(one, '{"epoch":2}\\n')
    ...     history.close()
    ...     read(history.path, one), len(read(history.path, two))
    ([{'epoch': 1}], 2)
    """

    def __init__(self, path: Path):
        self.path, self._file, self._end = path, None, Mark()

    def append(self, mark: Mark, lines: str) -> Mark:
        """Write `lines`, which end in a line end, after `mark`, and return the mark after them.

        Returns when they are on disk. What followed `mark` in the file is dropped. Raises Damaged
        if what comes before `mark` is not as it was written, an OSError if the file cannot be
        written; then everything before `mark` stays as it was.
        """
        if not lines:
            return mark
        data = lines.encode()
        with named(self.path):
            try:
                if self._file is None or self._end != mark:
                    self._open_at(mark)
                self._file.write(data)
                self._file.flush()
                os.fsync(self._file.fileno())
            except BaseException:
                self.close()  # the next time, the file is written anew up to its mark
                raise
        self._end = Mark(mark.size + len(data), zlib.crc32(data, mark.checksum))
        return self._end

    def _open_at(self, mark: Mark) -> None:
        """Open a new file, which replaces the old one and ends at `mark`.

        A link is replaced too, and the file it points to stays as it was.
        """
        self.close()
        before = _bytes(self.path, mark)
        with file_beside(self.path, durable=True) as partial:
            self._file = open(partial, "wb")  # noqa: SIM115  (it stays open)
            self._file.write(before)
            self._file.flush()

    def close(self) -> None:
        """Close the file; a later `append` opens it again."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # what was not written is told by `append`
                file.close()
