"""`sentence` gives a text for the mistakes of a user, and None for those of the program."""

import linecache
import re

import pytest

from functional_nn import cli
from functional_nn.cli.usage import INTERRUPTED, LIBRARY, RIGHT, UNUSABLE, WRONG, Unusable, sentence


def raised(statement, folder, monkeypatch):
    """The error that the statement raises, as if a Python file of the folder held it."""
    path = str(folder / "made.py")
    entry = len(statement), None, [statement + "\n"], path
    monkeypatch.setitem(linecache.cache, path, entry)
    with pytest.raises(Exception) as caught:
        exec(compile(statement, path, "exec"), {"Unusable": Unusable})
    return caught.value


def test_an_unusable_input_is_a_sentence_wherever_it_is_raised(tmp_path, monkeypatch):
    for folder in (LIBRARY, tmp_path):
        assert sentence(raised("raise Unusable('a word')", folder, monkeypatch)) == "a word"


def test_an_error_of_a_file_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "none.csv").read_text()
    assert sentence(caught.value) == f"{tmp_path / 'none.csv'}: No such file or directory"
    with pytest.raises(IsADirectoryError) as caught:
        tmp_path.read_text()
    assert sentence(caught.value) == f"{tmp_path}: Is a directory"


@pytest.mark.parametrize("kind", [
    "ValueError", "TypeError", "OSError", "FileNotFoundError", "ModuleNotFoundError"])
def test_an_error_is_of_the_user_where_the_library_raises_it(kind, tmp_path, monkeypatch):
    statement = f"raise {kind}('epochs must be 1')"
    assert sentence(raised(statement, LIBRARY / "data", monkeypatch)) == "epochs must be 1"
    assert sentence(raised(statement, tmp_path, monkeypatch)) is None


@pytest.mark.parametrize("statement", [
    "int('three')", "1 + 'three'", "import no_such_module", "raise RuntimeError('three')",
    "raise KeyError('three')", "{}['three']", "assert False, 'three'"])
def test_any_other_error_in_the_library_is_of_the_program(statement, monkeypatch):
    assert sentence(raised(statement, LIBRARY, monkeypatch)) is None


def test_the_exit_codes_are_those_that_the_package_states():
    stated = [int(code) for code in re.findall(r"^  (\d+)[:,]", cli.__doc__, re.MULTILINE)]
    assert stated == [RIGHT, WRONG, UNUSABLE, INTERRUPTED, 129] == [0, 1, 2, 130, 129]
