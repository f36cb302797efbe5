"""Compressed files are read as plain ones are, and no further than their own size makes likely."""

import gzip
import re
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.data import load, read_idx
from functional_nn.data.compressed import HARMLESS, SETTING, limit, opened

MEGABYTE = 2**20
BOMB = 300 * MEGABYTE  # bytes; its packed form has 300 kB


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.binary(max_size=300), st.booleans(), st.booleans())
def test_the_stream_holds_the_bytes_that_were_packed(tmp_path_factory, content, zipped, twice):
    path = tmp_path_factory.getbasetemp() / "any"
    packed = gzip.compress(content)
    if content[:2] == b"\x1f\x8b":
        return
    path.write_bytes((packed * 2 if twice else packed) if zipped else content)
    whole = content * 2 if zipped and twice else content
    with opened(path) as file:
        assert file.read(7) == whole[:7] and file.read() == whole[7:] and file.read() == b""
    with opened(path) as file:
        assert list(file) == whole.splitlines(keepends=True) or b"\r" in whole


def idx_header(count):
    return bytes([0, 0, 8, 1]) + count.to_bytes(4, "big")


def packed_idx(path, count=BOMB):
    with gzip.open(path, "wb") as file:
        file.write(idx_header(count))
        for _ in range(BOMB // MEGABYTE):
            file.write(bytes(MEGABYTE))


def packed_npz(path):
    """An archive of y, and of X that unpacks to BOMB bytes, which are written one MiB at a time."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("X.npy", "w") as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "|u1", "fortran_order": False, "shape": (300, MEGABYTE)})
            for _ in range(300):
                file.write(bytes(MEGABYTE))
        with archive.open("y.npy", "w") as file:
            np.lib.format.write_array(file, np.arange(300))


@pytest.mark.parametrize(("name", "write", "read"), [
    ("a.npz", packed_npz, load), ("a-idx1-ubyte.gz", packed_idx, read_idx)])
def test_a_small_file_that_unpacks_to_much_is_refused_without_its_memory(tmp_path, name, write, read):
    write(tmp_path / name)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError) as error:
            read(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 3 * HARMLESS
    finally:
        tracemalloc.stop()
    assert str(error.value).startswith(f"{name} must unpack to at most {HARMLESS:,} bytes, got ")
    assert f"set the environment variable {SETTING}=" in str(error.value)


def parquet(path):
    """A table of one value repeated, which Parquet keeps as that value and a count."""
    pyarrow = pytest.importorskip("pyarrow.parquet")
    import pyarrow as arrow

    table = arrow.table({name: arrow.array(np.zeros(2**20)) for name in "ab"})
    with pyarrow.ParquetWriter(path, table.schema) as writer:
        for _ in range(10):
            writer.write_table(table)


def spreadsheet(path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("openpyxl")
    pandas.DataFrame({"a": [1.0, 2.0], "b": [0.0, 1.0]}).to_excel(path, index=False)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/more.xml", "w") as file:
        for _ in range(100):
            file.write(bytes(MEGABYTE))


@pytest.mark.parametrize(("name", "write"), [("a.parquet", parquet), ("a.xlsx", spreadsheet)])
def test_other_kinds_of_tables_are_bounded_too(tmp_path, name, write):
    write(tmp_path / name)
    assert (tmp_path / name).stat().st_size < MEGABYTE
    with pytest.raises(ValueError, match=rf"^{re.escape(name)} must unpack to at most {HARMLESS:,} bytes, got 1"):
        load(tmp_path / name)


def test_the_limit_can_be_raised_and_lowered(tmp_path, monkeypatch):
    path = tmp_path / "a-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx_header(5000) + bytes(5000)))
    monkeypatch.setenv(SETTING, "5007")
    with pytest.raises(ValueError, match=f"at most 5,007 bytes, as {SETTING} says, got more; .*=20028"):
        read_idx(path)
    monkeypatch.setenv(SETTING, "5008")
    assert read_idx(path).shape == (5000,)
    monkeypatch.setenv(SETTING, "much")
    with pytest.raises(ValueError, match=f"{SETTING} must be a number of bytes such as 8589934592, got 'much'"):
        read_idx(path)


def test_the_limit_of_an_archive_is_of_all_its_arrays_together(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, X=np.zeros((64, 4)), y=np.arange(64) % 2)
    unpacked = sum(member.file_size for member in zipfile.ZipFile(path).infolist())
    monkeypatch.setenv(SETTING, str(unpacked - 1))
    with pytest.raises(ValueError, match=rf"got {unpacked:,}; .*{SETTING}={unpacked}$"):
        load(path)
    monkeypatch.setenv(SETTING, str(unpacked))
    assert len(load(path).x_train) == 51


def test_the_own_size_of_a_file_raises_its_limit():
    assert limit(0) == limit(1000) == HARMLESS and limit(10 * MEGABYTE) == 1000 * MEGABYTE


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_numpy_does_not_write_are_refused(tmp_path, method):
    np.savez(tmp_path / "a.npz", X=np.zeros((8, 2)), y=np.arange(8) % 2)
    with zipfile.ZipFile(tmp_path / "a.npz") as plain, zipfile.ZipFile(tmp_path / "b.npz", "w", method) as other:
        for member in plain.namelist():
            other.writestr(member, plain.read(member))
    with pytest.raises(ValueError, match=r"^b\.npz must be an \.npz archive as np\.savez writes it"):
        load(tmp_path / "b.npz")


def test_features_are_bounded_before_they_are_named(tmp_path):
    wide = np.zeros((2, 2 * MEGABYTE), bool)
    np.savez_compressed(tmp_path / "a.npz", X=wide, y=np.arange(2))
    np.savez_compressed(tmp_path / "b.npz", X=wide.reshape(2, 2048, 1024), y=np.arange(2))
    np.savez_compressed(tmp_path / "c.npz", table=wide)
    for name in "abc":
        with pytest.raises(ValueError, match=r"must have at most 1,048,576 features, got 2,097,15"):
            load(tmp_path / f"{name}.npz")
