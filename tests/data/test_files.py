"""What is no plain file is refused with the likely fix."""

import os

import pytest

from functional_nn.data import load
from functional_nn.data.files import existing, read_bytes


def test_a_plain_file_is_read(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\x00a")
    assert existing(tmp_path / "a.csv") == tmp_path / "a.csv" and read_bytes(tmp_path / "a.csv") == b"\x00a"


def test_anything_else_is_refused(tmp_path):
    (tmp_path / "iris.csv").touch()
    os.mkfifo(tmp_path / "pipe.txt")
    here, deeper = repr(str(tmp_path)), repr(str(tmp_path / "no/a.csv"))
    for name, kind, words in [
        ("irs.csv", FileNotFoundError, f"there is no file 'irs.csv' in {here}; did you mean 'iris.csv'?"),
        ("\0", FileNotFoundError, f"there is no file '\\x00' in {here}"),
        ("no/a.csv", FileNotFoundError, f"there is no file {deeper}, nor a folder {str(tmp_path / 'no')!r}"),
        ("", ValueError, f"the path must be a file, got the folder {here}; name a file in it"),
        ("pipe.txt", ValueError, f"the path must be a plain file, got {str(tmp_path / 'pipe.txt')!r}, which is a device, a "
                                 "pipe or a socket"),
    ]:
        with pytest.raises(kind) as error:
            existing(tmp_path / name)
        assert str(error.value) == words


def test_the_words_of_a_file_are_escaped_in_every_error_and_summary(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9\x1b[2J\nx.csv")
    path.write_text("a,b\n" + "1,0\n2,1\n" * 20)
    assert str(load(path)).startswith(r"caf\xe9\x1b[2J\nx.csv: 32 training") and load(path).name == r"caf\xe9\x1b[2J\nx.csv"
    for text in ("a,b\n1,2\n3\n", "a\x1b,a\x1b\n1,2\n", "1\x1b[2J,2,3\n1,2,3\n1,2,3\n", "a\n", "", "\x1b[2J", "a,b\n1,\x1b\n2,1\n"):
        path.write_text(text)
        with pytest.raises(ValueError) as error:
            load(path)
        assert str(error.value).isprintable(), error.value
    for name in ("x\x1b.npz", "x\x1b.npy", "x\x1b.parquet", "\x1b.feather"):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises((ValueError, ModuleNotFoundError)) as error:
            load(tmp_path / name)
        assert str(error.value).isprintable(), error.value
