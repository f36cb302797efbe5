"""What is no plain file is refused with the likely fix."""

import os

import pytest

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
