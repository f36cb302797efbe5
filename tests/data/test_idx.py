"""IDX files are read as their header says, gzipped or not, and never beyond it."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from functional_nn.data import read_idx
from functional_nn.data.idx import TYPES


def idx(array):
    code = {dtype[1:]: code for code, dtype in TYPES.items()}[array.dtype.str[1:]]
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(TYPES[code]).tobytes()


arrays = st.sampled_from(sorted(TYPES.values())).flatmap(
    lambda dtype: hnp.arrays(np.dtype(dtype).newbyteorder("="), hnp.array_shapes(max_dims=4, min_side=0, max_side=5)))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(arrays, st.booleans())
def test_what_is_written_is_read(tmp_path_factory, array, zipped):
    path = tmp_path_factory.getbasetemp() / "round-idx"
    path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    found = read_idx(path)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype and found.flags.writeable


@settings(derandomize=True, deadline=None, max_examples=100)
@given(arrays, st.data())
def test_no_byte_may_lack_and_none_be_added(tmp_path_factory, array, data):
    path, whole = tmp_path_factory.getbasetemp() / "cut-idx", idx(array)
    for damaged in (whole[:data.draw(st.integers(0, len(whole) - 1))], whole + b"\0"):
        for content in (damaged, gzip.compress(damaged)):
            path.write_bytes(content)
            with pytest.raises(ValueError, match=r"^cut-idx must "):
                read_idx(path)


WHOLE = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))
IDX = "a must be an IDX file, whose first bytes are 00 00, a type from 08 to 0e and the number of dimensions, got"
AS_PUBLISHED, AGAIN = "give the file as it was published", "it is damaged, so fetch it again"


@pytest.mark.parametrize(("data", "words"), [
    (b"", f"{IDX} an empty file; {AS_PUBLISHED}"),
    (b"\x89PNG\r\n", f"{IDX} 89 50 4e 47; {AS_PUBLISHED}"),
    (b"\0\0\x08\0", f"{IDX} 00 00 08 00; {AS_PUBLISHED}"),
    (b"\0\0\x0a\1\0\0\0\1a", f"{IDX} 00 00 0a 01; {AS_PUBLISHED}"),
    (WHOLE[:10], "a must name its 2 dimensions after the magic number, got 6 bytes; it is cut off, so fetch it again"),
    (WHOLE[:-1], f"a must hold 6 bytes, as its header's shape (2, 3) says, got 5; {AGAIN}"),
    (WHOLE + b"\0", f"a must hold 6 bytes, as its header's shape (2, 3) says, got more; {AGAIN}"),
    (b"\0\0\x0e\3" + b"\xff" * 12, "a must hold 633,825,299,671,392,843,082,401,579,000 bytes, as its header's shape "
                                  f"(4294967295, 4294967295, 4294967295) says, got 0; {AGAIN}"),
    (gzip.compress(WHOLE, mtime=0)[:-9], "a must be a whole gzip file, got a damaged one (Compressed file ended before the "
                                         "end-of-stream marker was reached); fetch it again"),
])
def test_names_what_is_wrong(data, words, tmp_path):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ValueError) as error:
        read_idx(tmp_path / "a")
    assert str(error.value) == words
