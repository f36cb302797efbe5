"""Files as they are: what is found in them, what of them is run, and what to paste where something lacks."""

import json

import pytest

from functional_nn import cli

LOGISTIC = """
import numpy as np
import {module}
def sigmoid(z):
    return 1 / (1 + np.exp(-z))
def propagate(w, b, X, Y):
    A, m = sigmoid(w.T @ X + b), X.shape[1]
    cost = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    return {{"dw": X @ (A - Y).T / m, "db": np.sum(A - Y){mean}}}, cost
w, b = np.array([[1.0], [2.0]]), 0.5
X, Y = np.array([[1, 2, -1.0], [3, 4, -3.2]]), np.array([[1, 0, 1]])
{module}.plot(propagate(w, b, X, Y))
for step in range(10**9):
    w = w - 0.1 * propagate(w, b, X, Y)[0]["dw"]
"""
REGRESSION = """
import numpy as np
def compute_cost(X, y, theta):
    return np.sum((X @ theta - y) ** 2) / (2 * len(y))
def compute_gradient(X, y, theta):
    print("called")
    return X.T @ (X @ theta - y)
def gradient_descent(X, y, theta):
    raise SystemExit("trained")
"""
POINT = """
def example():
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 2)), rng.normal(size=6), rng.normal(size=2)
"""
NETWORK = """
import numpy as np
class Network:
    def __init__(self, n_in, n_out):
        self.W, self.b = np.ones((n_in, n_out)) / 3, np.zeros((1, n_out))
    def forward(self, X):
        self.out = np.tanh(X @ self.W + self.b)
        return self.out
    def backward(self, X, y):
        d = 2 * (self.out - y) / y.size * (1 - self.out**2)
        self.dW, self.db = X.T @ d, d.sum(axis=0, keepdims=True)
"""
LOSS = """
def mse(y_true, y_pred):
    return np.mean((y_true - y_pred) ** 2)
"""
BATCH = """
X, y = np.arange(6.0).reshape(3, 2) / 5, np.ones((3, 4))
net = Network(2, 4)
"""
LAYER = """
import numpy as np
class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b
    def forward(self, x):
        self.x = x
        return x @ self.W + self.b
    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.W.T
def example():
    return Affine(np.ones((3, 2)), np.zeros(2)), np.arange(6.0).reshape(2, 3)
"""
STEPS = """
import numpy as np
def affine_forward(x, w, b):
    return x @ w + b, (x, w, b)
def affine_backward(dout, cache):
    x, w, b = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)
if __name__ == "__main__":
    x, w, b = np.ones((4, 3)), np.ones((3, 2)), np.zeros(2)
    print(affine_forward(x, w, b))
"""


RECURRENT = """
import numpy as np
from pathlib import Path
text = Path({file!r}).read_text()
size = len(set(text))
Wxh, Whh = np.random.RandomState(0).randn(3, size), np.eye(3) / 2
def lossFun(inputs, target, hprev):
    hs, loss = {{-1: np.copy(hprev)}}, 0
    for t in range(len(inputs)):
        hs[t] = np.tanh(Wxh[:, inputs[t]] + Whh @ hs[t - 1])
    loss = np.sum((hs[t] - target) ** 2)
    dWxh, dWhh, dh = np.zeros_like(Wxh), np.zeros_like(Whh), 2 * (hs[t] - target)
    for t in reversed(range(len(inputs))):
        draw = dh * (1 - hs[t] ** 2)
        dWxh[:, inputs[t]] += draw
        dWhh += np.outer(draw, hs[{last}])
        dh = Whh.T @ draw
    return loss, dWxh, dWhh, hs[len(inputs) - 1]
while True:
    loss = lossFun([1], 0.5, np.zeros(3))
def example():
    return [0, 1, 1, 2], 0.5, np.zeros(3)
"""


@pytest.fixture
def verify(tmp_path, capsys):
    """A function that checks a file of this text and returns (exit code, stdout, stderr)."""
    def run(text, *options, name="mine.py"):
        (tmp_path / name).write_text(text)
        code = cli.main(["verify", str(tmp_path / name), *options])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


def test_names_arguments_and_params_are_found_and_nothing_else_is_run(verify):
    """The file returns both, has its arguments as constants, and trains for ever at its bottom."""
    code, out, err = verify(LOGISTIC.format(module="no_such_plots", mean=" / m"))
    assert code == 0 and "['b']" in out and "['w']" in out, err
    assert "checked at w, b, X, Y" in err and "differentiated by w, b" in err
    code, out, err = verify(LOGISTIC.format(module="no_such_plots", mean=""))
    assert code == 1 and "multiplied by a constant (3" in out, out


def test_two_functions_with_other_names_and_the_parameters_last(verify):
    code, out, err = verify(REGRESSION + POINT)
    assert code == 1 and "6 = rows of args[0]" in out and "called" not in out
    assert "compute_gradient is checked as the gradient of compute_cost" in err
    assert "differentiated by theta" in err and "lines while it was checked, the first 'called'" in err


def test_what_lacks_is_answered_with_lines_that_make_it_work(verify):
    code, out, err = verify(REGRESSION)
    assert code == 2 and out == "" and "must define example(), which returns the arguments of compute_cost" in err
    pasted = "\n".join(line[4:] for line in err.split("again:")[1].splitlines())
    filled = pasted.replace("(5, 3)", "(6, 2)").replace("...", "rng.normal(size=6)").replace("(4, 3)", "2")
    assert verify(REGRESSION + filled)[0] == 1


@pytest.mark.parametrize(("more", "options"), [
    (LOSS + BATCH, []), (LOSS + BATCH, ["--object", "Network"]), (LOSS + BATCH, ["--object", "net"]),
    (LOSS + BATCH.replace("net =", "for i in ():\n    pass\nnet ="), [])])
def test_a_network_is_checked_by_its_loss(verify, more, options):
    code, out, err = verify(NETWORK + more, *options)
    assert code == 0 and "['W']" in out and "Network is checked" in err
    code, out, _ = verify(NETWORK.replace("* (1 - self.out**2)", "") + more, *options)
    assert code == 1


def test_a_network_without_loss_or_object_is_answered_with_lines(verify):
    code, _, err = verify(NETWORK + BATCH)
    assert code == 2 and "lacks a loss for Network" in err and "def loss(prediction, Y):" in err
    code, _, err = verify(NETWORK + LOSS)
    assert code == 2 and "net = Network(n_in=..., n_out=...)" in err
    pasted = "\n".join(line[4:] for line in err.split("again:")[1].splitlines())
    filled = pasted.replace("(n_in=..., n_out=...)", "(3, 1)").replace("...", "rng.normal(size=(5, 1))")
    assert verify(NETWORK + LOSS + filled)[0] == 0
    code, _, err = verify(NETWORK + LOSS, "--object", "Net")
    assert code == 2 and "defines no Net; its classes are Network" in err


def test_a_layer_is_checked_by_a_random_gradient_of_its_output(verify):
    code, out, _ = verify(LAYER)
    assert code == 0 and "['inputs']" in out
    code, out, _ = verify(LAYER.replace("dout.sum", "dout.mean"))
    assert code == 1 and "multiplied by a constant" in out and "1/2" not in out


def test_a_pair_of_functions_with_a_cache(verify):
    code, out, err = verify(STEPS)
    assert code == 0 and out.count("\n['") == 3 and "affine_backward is checked" in err
    code, out, _ = verify(STEPS.replace("dout.sum(axis=0)", "2 * dout.sum(axis=0)"))
    assert code == 1 and "multiplied by a constant (2)" in out


def test_gradients_by_global_arrays(verify, tmp_path):
    """Many recurrent networks look their weights up in the file, and train in a loop without end."""
    file = tmp_path / "input.txt"
    code, _, err = verify(RECURRENT.format(file=str(file), last="t - 1"))
    assert code == 2 and "line 4: there is no file" in err
    file.write_text("hello")
    code, out, err = verify(RECURRENT.format(file=str(file), last="t - 1"))
    assert code == 0 and "['Whh']" in out and "by the global arrays Wxh, Whh" in err, err
    code, out, _ = verify(RECURRENT.format(file=str(file), last="t"))
    assert code == 1 and "1 of 2 leaves agree" in out


def test_a_script_that_trains_in_a_loop_gets_its_body_as_a_step(verify):
    text = """
import numpy as np
X, y = np.eye(4)[:, :3], np.ones((4, 1)) / 3
syn0, syn1 = np.ones((3, 4)) / 2, np.arange(4.0)[:, None] / 5
for j in range(60000):
    l1 = 1 / (1 + np.exp(-X.dot(syn0)))
    l2 = 1 / (1 + np.exp(-l1.dot(syn1)))
    l2_delta = (y - l2) * (l2 * (1 - l2))
    l1_delta = l2_delta.dot(syn1.T) * SLOPE
    syn1 += l1.T.dot(l2_delta)
    syn0 += X.T.dot(l1_delta)
"""
    code, _, err = verify(text.replace("SLOPE", "(l1 * (1 - l1))"))
    assert code == 2 and "it defines no function" in err
    pasted = "\n".join(line[4:] for line in err.split("again:")[1].splitlines())
    assert verify(text.replace("SLOPE", "(l1 * (1 - l1))") + pasted)[0] == 0
    code, out, _ = verify(text.replace("SLOPE", "1") + pasted.replace("(l1 * (1 - l1))", "1"))
    assert code == 1 and "the pullback to delta0" in out


def test_a_notebook_is_read(verify):
    def cell(text):
        return {"cell_type": "code", "source": text.splitlines(keepends=True)}

    cells = [{"cell_type": "markdown", "source": ["# title"]}, cell("%matplotlib inline\nimport numpy as np\n!pip install x"),
             cell("def f(x):\n    return np.sum(x**3)\ndef df(x):\n    return 3 * x**2\n"),
             cell("%%bash\nls"), cell("x = np.arange(3.0)\nf?\nundefined_name\n")]
    code, _, err = verify(json.dumps({"cells": cells}), name="a.ipynb")
    assert code == 0 and "df is checked as the gradient of f" in err and "checked at x" in err
    cells[2] = cell("def f(x):\n    return np.sum(x**3)\ndef df(x):\n    return nothing\n")
    code, _, err = verify(json.dumps({"cells": cells}), name="b.ipynb")
    assert code == 2 and "b.ipynb, cell 2, line 4: NameError" in err
    code, _, err = verify("{", name="c.ipynb")
    assert code == 2 and "is no notebook" in err


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


def test_folders_and_binary_files_are_said(tmp_path, capsys):
    assert cli.main(["verify", str(tmp_path)]) == 2 and "is a folder" in capsys.readouterr().err
    (tmp_path / "a.py").write_bytes(b"\xff\xfe\x00")
    assert cli.main(["verify", str(tmp_path / "a.py")]) == 2 and "not text in UTF-8" in capsys.readouterr().err
