"""Functions of a file: a loss and its gradient under any names, with the arguments of the file."""

from tests.cli.files import POINT, REGRESSION

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


def test_methods_are_functions(verify):
    text = """
import numpy as np
class Ridge:
    def __init__(self, rate):
        self.rate = rate
    def cost(self, w, X, y):
        return np.sum((X @ w - y) ** 2) + self.rate * np.sum(w ** 2)
    def slope(self, w, X, y):
        return 2 * X.T @ (X @ w - y) + 2 * self.rate * w
model = Ridge(0.1)
def example():
    return np.ones(2), np.arange(6.0).reshape(3, 2), np.ones(3)
"""
    code, out, err = verify(text, "--loss", "model.cost", "--grad", "model.slope")
    assert code == 0, err
    code, out, err = verify(text.replace("2 * self.rate", "self.rate"), "--loss", "model.cost", "--grad", "model.slope")
    assert code == 1 and "penalty is missing, or part of it" in out


def test_of_several_losses_one_is_chosen(verify):
    text = """
import numpy as np
def ridge_loss(w, X, y): return np.mean((X @ w - y) ** 2) + 0.1 * w @ w
def ridge_grad(w, X, y): return 2 * X.T @ (X @ w - y) / len(y) + 0.2 * w
def lasso_loss(w, X, y): return np.mean((X @ w - y) ** 2) + 0.1 * np.abs(w).sum()
def lasso_grad(w, X, y): return 2 * X.T @ (X @ w - y) / len(y) + 0.2 * np.sign(w)
w, X, y = np.ones(2), np.arange(6.0).reshape(3, 2), np.ones(3)
"""
    code, _, err = verify(text)
    assert code == 2 and "choose --loss ridge_loss --grad ridge_grad or --loss lasso_loss" in err
    assert [verify(text, "--loss", f"{name}_loss")[0] for name in ("ridge", "lasso")] == [0, 1]
    code, _, err = verify(text.replace("def lasso_grad", "def other"), "--loss", "lasso_loss", "--grad", "no_such")
    assert code == 2 and "must define no_such()" in err
