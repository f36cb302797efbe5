"""Objects, vectors and other containers that hold parameters: each is read, called and blamed in its own names."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.verify import check_network
from tests.verify.calls.published import B1, B2, LABELS, W1, W2, X, Y, sigmoid

SIGMOID = fnn.mlp((3, 5, 2), hidden="sigmoid", output="sigmoid")


def found(report):
    return [(fault.site, fault.layer, fault.cause) for fault in report.faults]


def unrolled(vector, X, Y, order, times=1.0):
    """A cost and its gradient for an optimiser: two Theta with the bias first, in one vector."""
    T1, T2 = vector[:20].reshape(5, 4, order=order), vector[20:].reshape(2, 6, order=order)
    a1 = np.c_[np.ones(len(X)), X]
    a2 = np.c_[np.ones(len(X)), sigmoid(a1 @ T1.T)]
    d3 = (sigmoid(a2 @ T2.T) - Y) / len(X)
    d2 = times * (d3 @ T2 * a2 * (1 - a2))[:, 1:]
    return 0.0, np.concatenate([(d2.T @ a1).ravel(order=order), (d3.T @ a2).ravel(order=order)])


@pytest.mark.parametrize("order", ["C", "F"])
def test_one_vector_is_unrolled_as_its_gradient_says(order):
    vector = np.concatenate([np.c_[b, W].ravel(order=order) for W, b in ((W1, B1), (W2, B2))])
    assert check_network(SIGMOID, "binary_cross_entropy", vector, X, Y, value_and_grad=lambda *a: unrolled(*a, order))
    report = check_network(SIGMOID, "binary_cross_entropy", vector, X, Y, value_and_grad=lambda *a: unrolled(*a, order, 2.0))
    assert found(report) == [("pullback", 0, "factor")] and "20]" in report.faults[0].leaf


class Attributes:
    """Parameters and gradients as attributes; backprop counts on feedforward."""

    def __init__(self):
        self.W1, self.b1, self.W2, self.b2 = W1.T.copy(), B1.copy(), W2.T.copy(), B2.copy()
        self.rate, self.history = 0.1, []

    def feedforward(self, X):
        self.a1 = sigmoid(X @ self.W1 + self.b1)
        self.a2 = sigmoid(self.a1 @ self.W2 + self.b2)
        return self.a2

    def backprop(self, X, y):
        d2 = (self.a2 - y) * self.a2 * (1 - self.a2) / len(X)
        d1 = d2 @ self.W2.T * self.slope()
        self.dW1, self.db1, self.dW2, self.db2 = X.T @ d1, d1.sum(0), self.a1.T @ d2, d2.sum(0)
        self.history.append(0.5 * np.sum((self.a2 - y) ** 2) / len(X))

    def slope(self):
        return self.a1 * (1 - self.a1)

    def train(self, X, y, epochs=1):
        for _ in range(epochs):
            self.feedforward(X)
            self.backprop(X, y)
            for name in ("W1", "b1", "W2", "b2"):
                setattr(self, name, getattr(self, name) - self.rate * getattr(self, "d" + name))


class WithoutSlope(Attributes):
    def slope(self):
        return 1.0


def test_attributes_are_found_by_their_names():
    assert check_network(SIGMOID, "quadratic", Attributes(), X, Y)
    assert check_network(SIGMOID, "quadratic", Attributes(), X, Y, update="train", rate=0.1)
    report = check_network(SIGMOID, "quadratic", WithoutSlope(), X, Y)
    assert found(report) == [("pullback", 0, "missing derivative")] and report.faults[0].leaf == "['W1']"


def test_the_object_itself_stays_as_it_was():
    model = Attributes()
    check_network(SIGMOID, "quadratic", model, X, Y, update="train", rate=0.1)
    assert not hasattr(model, "a1") and not model.history and np.array_equal(model.W1, W1.T)


def test_a_single_neuron_with_a_number_for_its_bias():
    class Neuron:
        def __init__(self):
            self.w, self.b = W1[0].copy(), 0.2

        def grad(self, X, y):
            p = sigmoid(X @ self.w + self.b)
            return X.T @ (p - y) / len(y), np.mean(p - y)

    net = fnn.mlp((3, 1), output="sigmoid")
    assert check_network(net, "binary_cross_entropy", Neuron(), X, LABELS * 1.0, call="grad", params=["w", "b"])


class Named(NamedTuple):
    W1: Any
    b1: Any
    W2: Any
    b2: Any


@dataclasses.dataclass
class Data:
    W1: Any
    b1: Any
    W2: Any
    b2: Any


@pytest.mark.parametrize("of", [Named, Data])
def test_named_tuples_and_dataclasses(of):
    def gradient(p, X, Y):
        model = Attributes()
        model.W1, model.b1, model.W2, model.b2 = p.W1, p.b1, p.W2, p.b2
        model.feedforward(X)
        model.backprop(X, Y)
        return of(model.dW1, model.db1, model.dW2, model.db2)

    assert check_network(SIGMOID, "quadratic", of(W1.T, B1, W2.T, B2), X, Y, value_and_grad=gradient)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_matrices_multiply_as_matrices():
    def gradient(p, X, Y):
        (W1, b1, W2, b2), X = p, np.matrix(X)
        A = sigmoid(X * W1 + b1)
        out = sigmoid(A * W2 + b2)
        d = np.multiply(out - Y, np.multiply(out, 1 - out)) / len(X)
        e = np.multiply(d * W2.T, np.multiply(A, 1 - A))
        return X.T * e, e.sum(0), A.T * d, d.sum(0)

    assert check_network(SIGMOID, "quadratic", tuple(map(np.asmatrix, (W1.T, B1, W2.T, B2))), X, Y, value_and_grad=gradient)


WEIGHTS = [np.random.default_rng(k).normal(size=shape) for k, shape in enumerate(((3, 4), (4, 4), (4, 2)))]
DEEP = fnn.mlp((3, 4, 4, 2), hidden="tanh")


def without_biases(weights, X, Y, change=lambda k, g, slope: g * slope, share=1.0):
    A = [X]
    for k, w in enumerate(weights):
        A.append(np.tanh(A[-1] @ w) if k < 2 else A[-1] @ w)
    d, grads = share * (A[-1] - Y) / len(X), []
    for k in (2, 1, 0):
        grads.insert(0, A[k].T @ d)
        d = change(k, d @ weights[k].T, 1 - A[k] ** 2)
    return grads


@pytest.mark.parametrize(("wrong", "faults"), [
    ({}, []), ({"change": lambda k, g, slope: g if k == 2 else g * slope}, [("pullback", 1, "missing derivative")]),
    ({"share": -1.0}, [("head", 2, "sign")])])
def test_a_deep_network_without_biases(wrong, faults):
    """Each δ is read from the weight's gradient alone."""
    report = check_network(DEEP, "quadratic", WEIGHTS, X, Y, value_and_grad=lambda *args: without_biases(*args, **wrong))
    assert found(report) == faults and len(report.leaves) == 3, str(report)


@pytest.mark.parametrize("times", [1.0, pytest.param(1.001, marks=pytest.mark.slow)])
def test_what_agrees_in_the_precision_of_the_users_own_arrays_is_right(times):
    """float32 arrays, and float64 creeping in on the way: the result looks like float64 and is not."""
    def mixed(weights, X, Y, times=1.0):
        weights = [np.asarray(w, np.float32) for w in weights]
        return [times * g.astype(np.float64) for g in without_biases(weights, np.asarray(X, np.float32), Y)]

    given = [w.astype(np.float32) for w in WEIGHTS]
    report = check_network(DEEP, "quadratic", given, X.astype(np.float32), Y, value_and_grad=lambda *a: mixed(*a, times))
    assert bool(report) is (times == 1)
    assert not report or "right to the precision of the arrays that you gave" in report.notes[0]


def test_torch_gradients_kept_beside_the_tensors():
    """A network from the foundations: each tensor gets its gradient as an attribute .g."""
    torch = pytest.importorskip("torch")

    def gradient(params, X, Y):
        w1, b1, w2, b2 = params
        X, Y = torch.as_tensor(X), torch.as_tensor(Y)
        h = (X @ w1 + b1).clamp_min(0.0)
        out = h @ w2 + b2
        out.g = 2.0 * (out - Y) / out.numel()
        w2.g, b2.g, h.g = h.t() @ out.g, out.g.sum(0), out.g @ w2.t()
        h.g = (h > 0).to(h.dtype) * h.g
        w1.g, b1.g = X.t() @ h.g, h.g.sum(0)
        return w1.g, b1.g, w2.g, b2.g

    params = [torch.as_tensor(np.array(leaf)) for leaf in (W1.T, B1, W2.T, B2)]
    net = fnn.mlp((3, 5, 2), hidden="relu")
    assert check_network(net, "mse", params, torch.as_tensor(X), torch.as_tensor(Y), value_and_grad=gradient)
