"""What strangers publish passes where it is right, and its mistakes are named or said to be unknown."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn.verify import check_gradients
from tests.slow import few
from tests.verify import strangers
from tests.verify.strangers import CASES

WRONG = [(name, mistake) for name, (*_, mistakes) in CASES.items() for mistake in mistakes]
TRACED = ("gauss", "attention", "factors", "rows", "vae")  # written without loops


def in_jax(function):
    """The same function with jax.numpy in NumPy's place, in the functions that it calls too."""
    home = dict(vars(strangers), np=jnp)
    home.update({name: types.FunctionType(each.__code__, home, name, each.__defaults__)
                 for name, each in vars(strangers).items() if isinstance(each, types.FunctionType)})
    return home[function.__name__]


@pytest.mark.parametrize("name", CASES)
def test_right_ones_pass(name):
    f, gradient, point, _ = CASES[name]
    report = check_gradients(f, gradient, *point)
    assert report, str(report)


@pytest.mark.parametrize(("name", "mistake"), few(WRONG, *range(0, len(WRONG), 3)))
def test_wrong_ones_are_caught_and_never_misnamed(name, mistake):
    f, gradient, point, causes = CASES[name]
    report = check_gradients(f, lambda *args: gradient(*args, wrong=mistake), *point)
    assert {fault.cause for fault in report.faults} == {causes[mistake]}, str(report)


@pytest.mark.parametrize("name", few(TRACED, "gauss"))
def test_the_same_in_jax(name):
    f, gradient, point, causes = CASES[name]
    f, gradient = in_jax(f), in_jax(gradient)
    report = check_gradients(f, gradient, *point)
    assert report and "autodiff" in report.bounds, str(report)
    for mistake, cause in causes.items():
        report = check_gradients(f, lambda *args, w=mistake: gradient(*args, wrong=w), *point)
        assert {fault.cause for fault in report.faults} == {cause}, str(report)


def test_a_part_that_is_flipped_or_forgotten_is_told_from_the_rest():
    _, gradient, point, _ = CASES["logistic"]
    (fault,) = check_gradients(strangers.logistic, lambda *args: gradient(*args, wrong="flipped"), *point).faults
    assert fault.value in ("of the part with args[2]", "of the part that no data touch")
    w, x, y = point[:3]
    cost = lambda w, x, y: np.mean((x @ w - y) ** 2) + 0.1 * np.sum(w * w)  # noqa: E731
    for rate, cause in ((0.0, "penalty forgotten"), (0.1, "penalty forgotten"), (-0.2, "sign"), (0.4, "penalty doubled")):
        (fault,) = check_gradients(
            cost, lambda w, x, y, rate=rate: 2 * x.T @ (x @ w - y) / len(y) + rate * w, w, x, y).faults
        assert fault.cause == cause and "no data touch" in fault.value


class Value:
    """A number of a graph, as in a much-copied lesson."""

    def __init__(self, data, parents=()):
        self.data, self.grad, self.parents, self.back = data, 0.0, parents, lambda: None

    def __mul__(self, other):
        out = Value(self.data * other.data, (self, other))

        def back():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad * Value.fault

        out.back = back
        return out

    def backward(self):
        self.grad, order = 1.0, [self]
        for each in order:
            order.extend(each.parents)
        for each in order:
            each.back()


@pytest.mark.parametrize("fault", [1.0, 2.0])
def test_trees_of_numbers_of_a_graph(fault):
    """The gradient may be left in the numbers, or returned from them."""
    Value.fault = fault
    params = {"w": [Value(0.3), Value(-0.5)], "b": Value(2.0)}

    def f(p):
        return p["w"][0] * p["w"][1] * p["b"]

    def returned(p):
        f(p).backward()
        return {"w": [each.grad for each in p["w"]], "b": p["b"].grad}

    for manual in (returned, lambda p: f(p).backward()):
        report = check_gradients(f, manual, params)
        assert bool(report) == (fault == 1.0), str(report)


def test_a_list_in_another_order_is_said_once():
    rng = np.random.default_rng(0)
    params, x = [rng.normal(size=(3, 3)) for _ in range(3)], rng.normal(size=3)

    def f(p, x):
        return float(np.sum(p[0] @ np.tanh(p[1] @ np.tanh(p[2] @ x))))

    def backwards(p, x):
        a, d = np.tanh(p[2] @ x), np.ones(3)
        b = np.tanh(p[1] @ a)
        e = p[0].T @ d * (1 - b**2)
        return [np.outer(d, b), np.outer(e, a), np.outer(p[1].T @ e * (1 - a**2), x)]

    assert check_gradients(f, backwards, params, x)
    report = check_gradients(f, lambda *args: backwards(*args)[1:] + backwards(*args)[:1], params, x)
    assert report.notes[0] == ("the leaves stand in another order than the parameters: df/d[1] at [0], df/d[2] at [1], "
                               "df/d[0] at [2]")


def test_a_value_that_loses_digits_is_no_fault():
    """The first programming exercise of a much-taken course, with its own numbers: log(1 − a) near a = 1."""
    def cost(p, X, Y):
        A = 1 / (1 + np.exp(-(p["w"].T @ X + p["b"])))
        return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))

    def grads(p, X, Y):
        A = 1 / (1 + np.exp(-(p["w"].T @ X + p["b"])))
        return {"dw": X @ (A - Y).T / 3, "db": np.sum(A - Y) / 3}

    point = {"w": np.array([[1.0], [2.0]]), "b": 2.0}, np.array([[1, 2, -1.0], [3, 4, -3.2]]), np.array([[1, 0, 1]])
    report = check_gradients(cost, grads, *point)
    assert report, str(report)
    wrong = check_gradients(cost, lambda *args: {**grads(*args), "db": 3 * grads(*args)["db"]}, *point)
    assert [(fault.leaf, fault.cause) for fault in wrong.faults] == [("['b']", "factor")]
