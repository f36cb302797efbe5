"""The file format of a checkpoint: a safetensors file with JSON metadata and checksums.

A file consists of the length of the header (8 bytes), the header (JSON) and the arrays. The header
begins with the SHA-256 of the length and the header, computed with zeros in its own place. It also
holds a CRC-32 of every array and of the history. Thus the checksums cover every bit. Later formats
must keep this, so that an older reader can tell a newer file from a damaged one.
"""

import contextlib
import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from functional_nn.checkpoint.leaves import Leaf
from functional_nn.records import typed
from functional_nn.writing import file_beside

FORMAT = 2
BEGIN = b'{"__metadata__":{"sha256":"'
DIGEST = slice(8 + len(BEGIN), 8 + len(BEGIN) + 64)
DTYPES = {
    "bool": "BOOL", "bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"} | {
    f"{kind}{bits}": f"{kind[0].upper()}{bits}" for kind in ("int", "uint", "float")
    for bits in (8, 16, 32, 64) if (kind, bits) != ("float", 8)}


class Damaged(Exception):
    """A file is not an intact checkpoint; the message says what is wrong with it."""


class Mark(NamedTuple):
    """How much of the history of a run belongs to a checkpoint.

    Attributes:
      size: the number of bytes.
      checksum: the CRC-32 of these bytes.
    """

    size: int = 0
    checksum: int = 0


class Own(TypedDict):
    """What the header holds besides the run and the record, as JSON."""

    format: int
    step: int
    score: float | None
    history: tuple[int, int]
    leaves: dict[str, tuple[str, list[int], int, int, int]]


class Header(NamedTuple):
    """The header of a checkpoint.

    Attributes:
      step, score, run, record, history: the arguments of `write`; `run` and `record` as Python
        values.
      leaves: name of a leaf -> (kind, shape, CRC-32, first byte, end), bytes counted from `start`.
      start: the position in the file at which the arrays begin.
    """

    step: int
    score: float | None
    run: dict[str, Any]
    record: dict[str, Any]
    history: Mark
    leaves: dict[str, tuple[str, tuple[int, ...], int, int, int]]
    start: int


def write(path: Path, leaves: list[Leaf], step: int, score: float | None, run: str,
          record: str, history: Mark = Mark()) -> None:  # noqa: B008
    """Write a checkpoint to the new file `path`, completely or not at all.

    Returns when the file and its name are on disk.

    Args:
      path: the file to write.
      leaves: the leaves of the state, with different names.
      step: the step after which the state was saved.
      score: the value that `best` compares, or None.
      run, record: JSON texts.
      history: how much of the history belongs to it.

    Raises a FileExistsError if `path` exists, another OSError if it cannot be written.

    >>> import tempfile
    >>> from functional_nn.checkpoint.leaves import snapshot
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "step-000000007.safetensors"
    ...     write(path, snapshot({"rate": 0.5}), 7, None, "{}", '{"epoch":2}')
    ...     header, values = read(path)
    >>> header.step, header.record, values["state['rate']"][2].cast("d").tolist()
    (7, {'epoch': 2}, [0.5])
    """
    # Largest items first: then every array begins at a multiple of its item size
    leaves = sorted(leaves, key=lambda leaf: -leaf.values.itemsize)
    with file_beside(path, replace=False, durable=True) as partial, open(partial, "wb") as file:
        file.write(_header(leaves, step, score, run, record, history))
        for leaf in leaves:
            file.write(leaf.bytes)


def _header(leaves: list[Leaf], step: int, score: float | None, run: str, record: str,
            history: Mark) -> bytes:
    """The length and the header with its checksum, padded to a multiple of 8 bytes."""
    tensors, described, at = {}, {}, 0
    for leaf in leaves:
        end = at + leaf.values.nbytes
        dtype, shape = DTYPES.get(leaf.values.dtype.name), leaf.values.shape
        tensors[leaf.name] = {"dtype": dtype or "U8", "shape": shape if dtype else [end - at],
                              "data_offsets": [at, end]}
        described[leaf.name] = [leaf.kind, leaf.shape, zlib.crc32(leaf.bytes), at, end]
        at = end
    own = json.dumps({"format": FORMAT, "step": step, "score": score, "history": history,
                      "leaves": described})
    metadata = {"sha256": "0" * 64, "functional_nn": own, "run": run, "record": record}
    text = json.dumps({"__metadata__": metadata, **tensors}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    whole = len(text).to_bytes(8, "little") + text
    return whole[:DIGEST.start] + _digest(whole) + whole[DIGEST.stop:]


def _digest(header: bytes) -> bytes:
    """The SHA-256 of the length and header, with zeros in place of the checksum, as hex digits."""
    return hashlib.sha256(
        header[:DIGEST.start] + b"0" * 64 + header[DIGEST.stop:]).hexdigest().encode()


def read_header(path: Path) -> Header:
    """The header of the checkpoint `path`, after a check of its checksum and the file's length.

    Every value in it has its type and its range, so that a header which has a right checksum and
    was written by something else is found out here. Raises Damaged if a check fails, a ValueError
    if the file has another format.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        begin = file.read(DIGEST.stop)
        if begin[8:DIGEST.start] != BEGIN:
            raise Damaged(f"it does not begin as a checkpoint does, in {size:,} bytes")
        start = 8 + int.from_bytes(begin[:8], "little")
        if start > size:
            raise Damaged(f"it has {size:,} bytes, and its header alone must have {start:,}")
        header = begin + file.read(max(start - len(begin), 0))
    if len(header) != start or _digest(header) != header[DIGEST]:
        raise Damaged("its header does not have the checksum that it was saved with")
    with _foreign():
        metadata = typed("the header", json.loads(header[8:]), dict[str, Any])["__metadata__"]
        own, run, record = (json.loads(typed("__metadata__", metadata, dict[str, str])[name])
                            for name in ("functional_nn", "run", "record"))
        made = typed("functional_nn", own, dict[str, Any])["format"]
        newer = typed("format", made, int) > FORMAT
    if made != FORMAT:
        raise ValueError(
            f"{str(path)!r} was made by {'a newer' if newer else 'an older'} functional_nn "
            f"(format {made}, this one reads {FORMAT}); "
            + ("update functional_nn" if newer else
               "go on with the version that made it, or start again in a new folder"))
    with _foreign():
        typed("run", run, dict[str, Any]), typed("record", record, dict[str, Any])
        found = _checked(typed("functional_nn", own, Own))
    wanted = start + max((end for *_, end in found.values()), default=0)
    if size != wanted:
        raise Damaged(f"it has {size:,} bytes and must have {wanted:,}")
    return Header(own["step"], own["score"], run, record, Mark(*own["history"]), found, start)


@contextlib.contextmanager
def _foreign() -> Iterator[None]:
    """A context that turns any error of reading JSON of another shape into Damaged."""
    try:
        yield
    except (ValueError, KeyError, RecursionError) as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)[:200]
        raise Damaged(f"its header is not that of a checkpoint: {reason}") from None


def _checked(own: Own) -> dict[str, tuple[str, tuple[int, ...], int, int, int]]:
    """The leaves as `Header` has them; raises a ValueError for a number that cannot be."""
    numbers = {"step": [own["step"]], "history": own["history"]} | {
        name: [*shape, *rest] for name, (_, shape, *rest) in own["leaves"].items()}
    for name, values in numbers.items():
        if min(values) < 0:
            raise ValueError(f"{name} holds a negative number")
    for name, (*_, at, end) in own["leaves"].items():
        if end < at:
            raise ValueError(f"{name} ends before it begins")
    return {name: (kind, tuple(shape), *rest)
            for name, (kind, shape, *rest) in own["leaves"].items()}


def read(path: Path) -> tuple[Header, dict[str, tuple[str, tuple[int, ...], bytes]]]:
    """The header and {name: (kind, shape, bytes)} of a checkpoint, with every checksum verified.

    Raises Damaged if a checksum or the length is wrong, a ValueError if the format is newer.
    """
    header = read_header(path)
    with open(path, "rb") as file:
        file.seek(header.start)
        data = memoryview(file.read())
    for name, (_, _, checksum, at, end) in header.leaves.items():
        if len(data[at:end]) != end - at or zlib.crc32(data[at:end]) != checksum:
            raise Damaged(f"the values of {name} do not have the checksum that they were saved "
                          "with")
    return header, {name: (kind, shape, data[at:end])
                    for name, (kind, shape, _, at, end) in header.leaves.items()}
