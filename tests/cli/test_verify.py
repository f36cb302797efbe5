"""`functional-nn verify` exits with 0 for right, 1 for wrong and 2 for unusable input."""

import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from functional_nn import cli
from functional_nn.cli.templates import TEMPLATES
from functional_nn.verify import Report
from tests.cli.runs import PLAIN, START

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
WRONG = RIGHT.replace("np.outer(", "-np.outer(")
POINT = "return np.arange(6.0).reshape(2, 3), np.ones(3)"
ESCAPE = "\x1b["


@pytest.fixture
def file(tmp_path):
    """A function that writes its argument to a Python file and returns the path."""
    def write(text):
        path = tmp_path / "mine.py"
        path.write_text(text)
        return str(path)
    return write


def test_a_right_gradient_exits_0(file, capsys):
    assert cli.main(["verify", file(RIGHT)]) == 0
    assert capsys.readouterr().out.startswith("RIGHT")


def test_a_wrong_gradient_exits_1_and_names_the_leaf(file, capsys):
    assert cli.main(["verify", file(WRONG)]) == 1
    said = capsys.readouterr().out
    assert said.startswith("WRONG") and "central differences" in said


def test_jax_is_checked_against_jax_grad(file, capsys):
    text = RIGHT.replace("import numpy as np", "import jax.numpy as np")
    assert cli.main(["verify", file(text)]) == 0
    assert "jax.grad" in capsys.readouterr().out
    assert cli.main(["verify", file(RIGHT), "--reference", "complex"]) == 0
    assert "complex step" in capsys.readouterr().out


def test_a_function_with_its_own_rule_needs_no_grad(file, capsys):
    text = """
import jax, jax.numpy as jnp
@jax.custom_vjp
def loss(p):
    return jnp.sum(jnp.sin(p))
loss.defvjp(lambda p: (loss(p), p), lambda p, g: (g * jnp.cos(p),))
def example():
    return (jnp.arange(3.0),)
"""
    assert cli.main(["verify", file(text)]) == 0
    assert cli.main(["verify", file(text.replace("g * jnp.cos", "2 * g * jnp.cos"))]) == 1
    without = text.replace("@jax.custom_vjp", "").replace("loss.defvjp", "0 and print")
    assert cli.main(["verify", file(without)]) == 2
    assert "must define grad()" in capsys.readouterr().err


def test_the_chance_of_a_miss_can_be_chosen(file, capsys):
    text = RIGHT.replace(POINT, "return np.linspace(-1, 1, 5000).reshape(1000, 5), np.ones(5)")
    assert cli.main(["verify", file(text), "--miss", "1e-5", "--json"]) == 0
    assert 0 < json.loads(capsys.readouterr().out)["missed"] <= 1e-5
    assert cli.main(["verify", file(text), "--miss", "0"]) == 2
    assert "miss must be a probability" in capsys.readouterr().err


def test_names_can_be_given(file):
    text = RIGHT.replace("def loss", "def cost").replace("def grad", "def manual")
    text = text.replace("def example", "def point")
    assert cli.main(["verify", file(text), "--loss", "cost", "--grad", "manual",
                     "--example", "point"]) == 0


@pytest.mark.parametrize(("change", "words"), [
    (("def loss", "def value"), "must define loss(); it defines value, grad, example"),
    (("0.5 *", "undefined *"), "line 4: NameError"),
    (("import numpy", "import no_such_module, numpy"), "line 2: import no_such_module"),
    (("def grad(p, x):", "def grad(p, x)"), "SyntaxError"),
    ((POINT, "return 3"), "example() in"),
    ((POINT, "raise OSError('no data')"), "example() failed"),
    (("0.5 * np.sum(np.tanh(p @ x) ** 2)", "p @ x"), "f must return one real number"),
    (("np.arange(6.0)", "np.arange(6)"),
     "params must hold real floating-point numbers, got int64"),
])
def test_what_cannot_be_used_exits_2_with_a_sentence(file, capsys, change, words):
    assert cli.main(["verify", file(RIGHT.replace(*change))]) == 2
    said = capsys.readouterr()
    assert words in said.err and "Traceback" not in said.err and said.out == ""


@pytest.mark.parametrize(("change", "options", "words"), [
    (("network = ", "net = "), ["--kind", "network"],
     "must define network; functional-nn verify --init"),
    (("fnn.mlp((4, 6, 5, 3), hidden=\"tanh\", output=\"softmax\")", "3"), [],
     "must be a network such as fnn.mlp((4, 6,"),
    (("rng.normal(size=(7, 4)), rng", "rng"), [],
     "must return the tuple (params, X, Y); it returned 2 values"),
    (("(7, 4)", "(7, 5)"), [], ""),
    (("\"cross_entropy\"", "\"entropy\""), [], "unknown loss 'entropy'"),
    (("", ""), ["--reference", "fd"], "--reference fd is for functions"),
    (("", ""), ["--miss", "1e-5"], "--miss is for functions; of a network every entry is compared"),
])
def test_networks_that_cannot_be_checked_are_said_in_a_sentence(
        tmp_path, capsys, change, options, words):
    path = tmp_path / "net.py"
    path.write_text(TEMPLATES["network"].replace(*change))
    assert cli.main(["verify", str(path), *options]) == 2
    said = capsys.readouterr()
    assert words in said.err and "Traceback" not in said.err and said.out == ""


STEP = """
import numpy as np
import functional_nn as fnn
network, loss, rate = fnn.mlp((3, 2)), "quadratic", 0.1
def update(params, X, Y):
    d = (params["W"] @ X + params["b"] - Y) / X.shape[1]
    params["W"] -= rate * d @ X.T
    params["b"] -= rate * d.sum(axis=1, keepdims=True)
def example():
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(2, 3)), "b": np.zeros((2, 1))}
    return params, rng.normal(size=(3, 5)), rng.normal(size=(2, 5))
"""


def test_a_training_step_in_a_file_is_checked_by_what_it_changes(file, capsys):
    assert cli.main(["verify", file(STEP)]) == 0
    assert "an example is a column of X" in capsys.readouterr().out
    assert cli.main(["verify", file(STEP.replace("d @ X.T", "2 * d @ X.T"))]) == 1
    assert cli.main(["verify", file(STEP.replace(", rate = ", ", step = ").replace("rate *", "step *"))]) == 2
    assert "update needs rate" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "code"), [(RIGHT, 0), (WRONG, 1)])
def test_json_is_all_that_is_printed_whatever_the_file_prints(file, capsys, text, code):
    chatty = text.replace("import numpy as np", "import numpy as np\nprint('hello')").replace(
        "def grad(p, x):", "def grad(p, x):\n    print('again')")
    assert cli.main(["verify", file(chatty), "--json", "--run"]) == code
    said = capsys.readouterr()
    assert json.loads(said.out)["right"] == (code == 0)
    assert Report.from_json(said.out).leaves[0].shape == (2, 3)
    assert "hello" in said.err and "again" in said.err
    assert cli.main(["verify", file("1 / 0"), "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_a_page_is_written_whole_and_never_over_another(file, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert cli.main(["verify", file(WRONG), "--html", str(page)]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("WRONG") and f"wrote {page}" in said.err
    html = page.read_text()
    assert html.startswith("<!doctype html>") and "WRONG: 1 fault" in html
    assert cli.main(["verify", file("raise SystemExit('was run')"), "--html", str(page)]) == 2
    assert "exists already" in capsys.readouterr().err and page.read_text() == html
    nowhere = tmp_path / "none" / "page.html"
    assert cli.main(["verify", file(RIGHT), "--html", str(nowhere)]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert cli.main(["verify", file("1 / 0"), "--html", str(tmp_path / "other.html")]) == 2
    files = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert files == ["mine.py", "page.html"]


def command(*arguments):
    return [sys.executable, "-m", "functional_nn.cli", *arguments]


def on_a_terminal(columns, *arguments, **environment):
    """What the command prints on a terminal of so many columns, and its exit code."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        command(*arguments), stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL,
        env={**PLAIN, "TERM": "xterm", **environment})
    os.close(theirs)
    printed = b""
    try:
        while chunk := os.read(ours, 4096):
            printed += chunk
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
    return printed.decode().replace("\r\n", "\n"), process.wait(timeout=120)


@pytest.mark.slow
def test_a_terminal_gets_colour_and_its_own_width(file):
    text = WRONG.replace("return np.arange(6.0).reshape(2, 3)",
                         "return {'a long name ' * 9: np.arange(6.0).reshape(2, 3)}")
    text = text.replace("(p, x)", "(tree, x)")
    text = text.replace("x):\n", "x):\n    (name, p), = tree.items()\n")
    text = text.replace("return -np.outer(a * (1 - a**2), x)",
                        "return {name: -np.outer(a * (1 - a**2), x)}")
    printed, code = on_a_terminal(80, "verify", file(text))
    bare = re.sub(r"\x1b\[[\d;]*m", "", printed)
    assert code == 1 and "\x1b[1;31mWRONG\x1b[0m" in printed and bare.startswith("WRONG")
    assert 60 < max(map(len, bare.splitlines())) <= 80
    printed, code = on_a_terminal(80, "verify", file(RIGHT), NO_COLOR="1")
    assert code == 0 and "RIGHT" in printed and not re.search(r"\x1b\[[\d;]*3\d", printed)


def test_a_pipe_gets_plain_text_and_may_close_early(file):
    arguments = command("verify", file(WRONG))
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, env=PLAIN)
    assert done.returncode == 1 and done.stdout.startswith("WRONG")
    assert ESCAPE not in done.stdout and done.stderr == ""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        arguments, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120, env=PLAIN)
    os.close(write)
    assert done.returncode == 141 and done.stderr == ""


def test_a_terminal_without_greek_letters_is_no_error(file):
    text = RIGHT.replace("return np.arange(6.0).reshape(2, 3), np",
                         "return {'δ': np.arange(6.0).reshape(2, 3)}, np")
    text = text.replace("tanh(p @ x)", "tanh(p['δ'] @ x)")
    text = text.replace("return np.outer(a * (1 - a**2), x)",
                        "return {'δ': np.outer(a * (1 - a**2), x)}")
    done = subprocess.run(
        command("verify", file(text)), capture_output=True, text=True, timeout=120,
        env={**PLAIN, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and "['?']" in done.stdout and done.stderr == ""


@pytest.mark.slow
def test_an_interrupt_is_said_in_a_word(file, tmp_path):
    page = tmp_path / "page.html"
    text = RIGHT.replace(
        "def example():",
        "def example():\n    import time; print('now', flush=True); time.sleep(60)")
    process = subprocess.Popen(
        [*START, "verify", file(text), "--html", str(page)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=PLAIN)
    assert process.stdout.readline() == "now\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "interrupted\n") and not page.exists()
