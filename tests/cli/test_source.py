"""Of a file that is run which is needed, and what fails is said with its line."""

import pytest

from tests.cli.files import POINT, REGRESSION


def test_the_whole_file_is_run_if_asked(verify):
    text = REGRESSION + POINT + "\nif __name__ == '__main__':\n    gradient_descent(1, 2, 3)\n"
    assert verify(text)[0] == 1
    code, _, err = verify(text, "--run")
    assert code == 2 and "SystemExit" in err


@pytest.mark.parametrize(("text", "words"), [
    ("import no_such\ndef loss(p): return no_such.f(p)\ndef grad(p): return p\ndef example(): return 1.0,",
     "line 1: import no_such: there is no module 'no_such'; pip install no_such"),
    ("import numpy as np\nfrom sklearn2.x import y\nX = y()\ndef loss(p, X): return 1.0\ndef grad(p, X): return p\np = 1.0",
     "pip install sklearn2"),
    ("import numpy as np\nx = np.loadtxt('none.csv')\ndef loss(x): return x.sum()\ndef grad(x): return x",
     "line 2: FileNotFoundError: none.csv not found"),
    ("open('none.txt')\nx = open('none.txt')\ndef loss(x): return x.sum()\ndef grad(x): return x",
     "line 2: there is no file 'none.txt'"),
    ("print 'hello'", "line 1: SyntaxError"), ("a = 1\0", "no Python file"), ("", "it defines no function"),
])
def test_what_fails_is_said_with_its_line(verify, text, words):
    code, out, err = verify(text)
    assert (code, out) == (2, "") and words in err, err
