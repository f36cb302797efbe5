"""`functional-nn verify`: exit 0 right, 1 wrong, 2 unusable input in a sentence, and nothing half-written."""

import pytest

from functional_nn import cli

RIGHT = """
import numpy as np
def loss(p, x):
    return 0.5 * np.sum(np.tanh(p @ x) ** 2)
def grad(p, x):
    a = np.tanh(p @ x)
    return np.outer(a * (1 - a**2), x)
def example():
    return np.arange(6.0).reshape(2, 3), np.ones(3)
"""


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "mine.py"
        path.write_text(text)
        return str(path)
    return write


def test_a_right_gradient_exits_0(file, capsys):
    assert cli.main(["verify", file(RIGHT)]) == 0
    assert capsys.readouterr().out.startswith("RIGHT")


def test_a_wrong_gradient_exits_1_and_names_the_leaf(file, capsys):
    assert cli.main(["verify", file(RIGHT.replace("np.outer(", "-np.outer("))]) == 1
    said = capsys.readouterr().out
    assert said.startswith("WRONG") and "central differences" in said


def test_jax_is_checked_against_jax_grad(file, capsys):
    text = RIGHT.replace("import numpy as np", "import jax.numpy as np")
    assert cli.main(["verify", file(text)]) == 0
    assert "jax.grad" in capsys.readouterr().out
    assert cli.main(["verify", file(RIGHT), "--reference", "complex"]) == 0
    assert "complex step" in capsys.readouterr().out


def test_names_can_be_given(file):
    text = RIGHT.replace("def loss", "def cost").replace("def grad", "def manual").replace("def example", "def point")
    assert cli.main(["verify", file(text), "--loss", "cost", "--grad", "manual", "--example", "point"]) == 0


def test_the_template_is_wrong_until_it_is_mended(tmp_path, capsys):
    path = tmp_path / "my_gradient.py"
    assert cli.main(["verify", "--init", str(path)]) == 0
    assert cli.main(["verify", str(path)]) == 1
    path.write_text(path.read_text().replace("delta = prediction - y  ", "delta = (prediction - y) * (1 - prediction**2)  "))
    assert cli.main(["verify", str(path)]) == 0
    assert cli.main(["verify", "--init", str(path)]) == 2
    assert "exists already" in capsys.readouterr().err and "1 - prediction**2)  " in path.read_text()


@pytest.mark.parametrize(("change", "words"), [
    (("def loss", "def cost"), "must define loss(); it defines cost, example, grad"),
    (("0.5 *", "undefined *"), "line 4: NameError"),
    (("import numpy", "import no_such_module, numpy"), "line 2: ModuleNotFoundError"),
    (("def grad(p, x):", "def grad(p, x)"), "SyntaxError"),
    (("return np.arange(6.0).reshape(2, 3), np.ones(3)", "return 3"), "example() in"),
    (("return np.arange(6.0).reshape(2, 3), np.ones(3)", "raise OSError('no data')"), "example() failed"),
    (("0.5 * np.sum(np.tanh(p @ x) ** 2)", "p @ x"), "f must return one real number"),
    (("np.arange(6.0)", "np.arange(6)"), "params must hold real floating-point numbers, got int64"),
])
def test_what_cannot_be_used_exits_2_with_a_sentence(file, capsys, change, words):
    assert cli.main(["verify", file(RIGHT.replace(*change))]) == 2
    said = capsys.readouterr()
    assert words in said.err and "Traceback" not in said.err and said.out == ""


def test_a_missing_file_and_a_wrong_flag(tmp_path, capsys):
    assert cli.main(["verify", str(tmp_path / "none.py")]) == 2
    assert "is no file; functional-nn verify --init" in capsys.readouterr().err
    for arguments in (["verify", "x.py", "--referense", "fd"], ["verfy"], []):
        with pytest.raises(SystemExit) as leave:
            cli.main(arguments)
        assert leave.value.code == 2
