"""`sentence` gives a text for the mistakes of a user, and None for those of the program."""

import os
import re
import subprocess

import pytest

from functional_nn import cli
from functional_nn.cli.usage import (
    CLOSED,
    INTERRUPTED,
    LIBRARY,
    RIGHT,
    UNUSABLE,
    WRONG,
    Unusable,
    command,
    quoted,
    sentence,
)


def raised(statement, folder):
    """The error that the statement raises, as if a Python file of the folder had held it when it was compiled."""
    with pytest.raises(Exception) as caught:
        exec(compile(statement, str(folder / "made.py"), "exec"), {"Unusable": Unusable})
    return caught.value


def test_an_unusable_input_is_a_sentence_wherever_it_is_raised(tmp_path):
    for folder in (LIBRARY, tmp_path):
        assert sentence(raised("raise Unusable('a word')", folder)) == "a word"


def test_an_error_of_a_file_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "none.csv").read_text()
    assert sentence(caught.value) == f"{tmp_path / 'none.csv'}: No such file or directory"
    with pytest.raises(IsADirectoryError) as caught:
        tmp_path.read_text()
    assert sentence(caught.value) == f"{tmp_path}: Is a directory"


@pytest.mark.parametrize("kind", [
    "ValueError", "TypeError", "OSError", "FileNotFoundError", "ModuleNotFoundError"])
def test_an_error_is_of_the_user_where_the_library_raises_it(kind, tmp_path):
    statement = f"raise {kind}('epochs must be 1')"
    assert sentence(raised(statement, LIBRARY / "data")) == "epochs must be 1"
    assert sentence(raised(statement, tmp_path)) is None


def test_a_raise_in_a_block_is_a_raise():
    statement = """
with open(os.devnull):
    try:
        {}["three"]
    except KeyError as error:
        raise ValueError(
            "epochs must be 1") from error
"""
    assert sentence(raised("import os" + statement, LIBRARY)) == "epochs must be 1"


@pytest.mark.parametrize("statement", [
    "int('three')", "1 + 'three'", "import no_such_module", "raise RuntimeError('three')",
    "raise KeyError('three')", "{}['three']", "assert False, 'three'"])
def test_any_other_error_in_the_library_is_of_the_program(statement):
    assert sentence(raised(statement, LIBRARY)) is None


def test_the_exit_codes_are_those_that_the_package_states():
    lines = re.findall(r"^  ([\d, ]+):", cli.__doc__, re.MULTILINE)
    stated = {int(code) for line in lines for code in line.split(", ")}
    assert stated == {RIGHT, WRONG, UNUSABLE, INTERRUPTED, CLOSED, 129, 143} == {0, 1, 2, 130, 141, 129, 143}


@pytest.mark.parametrize("name", ["plain", "my run", "it's", "a$(date)b", "`x`", "a\nb", "\x1b[31mred", "tab\there", "back\\slash",
                                  "back\\\n'both", "é", "caf\udce9", "\u202eturned", "*", "~", ""])
def test_bash_reads_back_what_is_quoted(name):
    assert quoted(name).isprintable()
    read = subprocess.run(["bash", "-c", f"printf %s {quoted(name)}"], capture_output=True, check=True, timeout=30)
    assert os.fsdecode(read.stdout) == name


def test_a_path_is_never_an_option():
    assert command("resume", "-x") == "functional-nn resume ./-x" and quoted("-1") == "-1"
