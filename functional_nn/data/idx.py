"""IDX, the file format of MNIST: magic number, shape and numbers, big-endian, maybe gzipped."""

import math
from pathlib import Path
from typing import BinaryIO

import numpy as np

from functional_nn.data.compressed import opened, read_up_to
from functional_nn.data.files import name_of

# The third byte of the magic number is the type of the numbers.
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> np.ndarray:
    """The array in the IDX file at `path`, with the type and shape of the file.

    The byte order is the machine's. A gzipped file is recognised by its first bytes, whatever its
    name is. At most one byte more than the header says is read, to detect a longer file.

    Raises a ValueError for a wrong magic number, for more or fewer numbers than the header says,
    and the errors of `functional_nn.data.compressed.opened`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "labels-idx1-ubyte"
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3]) + bytes([7, 2, 1]))
    ...     read_idx(path).tolist()
    [7, 2, 1]
    """
    with opened(path) as file:
        return _read(name_of(path), file)


def _read(name: str, file: BinaryIO) -> np.ndarray:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
        raise ValueError(
            f"{name} must be an IDX file, whose first bytes are 00 00, "
            "a type from 08 to 0e and the number of dimensions, "
            f"got {magic.hex(' ') or 'an empty file'}; give the file as it was published")
    dtype, dimensions = np.dtype(TYPES[magic[2]]), magic[3]
    header = file.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise ValueError(
            f"{name} must name its {dimensions} dimensions after the magic number, "
            f"got {len(header)} bytes; it is cut off, so fetch it again")
    shape = tuple(int(length) for length in np.frombuffer(header, ">u4"))
    wanted = math.prod(shape) * dtype.itemsize
    data = read_up_to(file, wanted + 1)
    if len(data) != wanted or dimensions > 32:
        raise ValueError(
            f"{name} must hold {wanted:,} bytes, as its header's shape {shape[:8]} says, "
            f"got {'more' if len(data) > wanted else f'{len(data):,}'}; "
            "it is damaged, so fetch it again")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)

