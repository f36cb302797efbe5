"""Every published form is taken as it comes: the right ones pass, and the mistake put into one is named."""

import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.verify import check_gradients, check_network
from tests.slow import few
from tests.verify.calls import published as p

MLP = fnn.mlp((3, 5, 2), hidden="sigmoid", output="sigmoid")
ALL = {"hidden": "sigmoid", "output": "sigmoid"}
SQUARES = ("quadratic", p.X, p.Y)


def net(hidden="sigmoid", output="sigmoid"):
    return fnn.mlp((3, 5, 2), hidden=hidden, output=output)


def course(**wrong):
    return check_network(net("tanh"), "binary_cross_entropy", p.COURSE, p.X.T, p.Y.T,
                         value_and_grad=lambda *args: p.course(*args, **wrong))


def logistic(**wrong):
    params = {"w": p.W1[0][:, None], "b": 0.3}
    return check_network(fnn.mlp((3, 1), output="sigmoid"), "binary_cross_entropy", params, p.X.T, p.LABELS[None, :] * 1.0,
                         value_and_grad=lambda *args: p.propagate(*args, **wrong))


def thetas(**wrong):
    hot = np.eye(2)[p.LABELS]
    return check_network(net(), "binary_cross_entropy", p.THETAS, p.X, hot,
                         value_and_grad=lambda t, X, Y: p.thetas(t, X, Y.argmax(1), 0.7, **wrong),
                         penalty=lambda t, m: 0.7 / (2 * m) * sum(np.sum(each[:, 1:] ** 2) for each in t))


def book(network):
    def mean(net, X, Y):
        pairs = [net.backprop(x[:, None], y[:, None]) for x, y in zip(X, Y, strict=True)]
        return tuple([sum(g) / len(X) for g in zip(*each, strict=True)] for each in zip(*pairs, strict=True))

    return check_network(net(), *SQUARES[:1], network((3, 5, 2)), *SQUARES[1:], params=["biases", "weights"], call=mean)


def book_update(network):
    def step(net, X, Y):
        net.update_mini_batch([(x[:, None], y[:, None]) for x, y in zip(X, Y, strict=True)], 0.5)

    return check_network(net(), *SQUARES[:1], network((3, 5, 2)), *SQUARES[1:], update=step, rate=0.5)


def vision(network):
    return check_network(net("relu", "softmax"), "cross_entropy", network(), p.X, p.LABELS, call="loss",
                         penalty=lambda params: 0.05 * (np.sum(params["params.W1"] ** 2) + np.sum(params["params.W2"] ** 2)))


def eleven(**wrong):
    return check_network(net(), "quadratic", {"syn0": p.W1.T, "syn1": p.W2.T}, p.X, p.Y, reduction="sum", rate=1.0,
                         update=lambda *args: p.eleven_lines(*args, **wrong))


def bikes(network):
    return check_network(net(output="linear"), "quadratic", network(), p.X, p.Y, update="train", rate=0.1)


def own(network=p.MakeYourOwn):
    return check_network(net(), "quadratic", network(), p.X, p.Y, params=["wih", "who"], update="train", rate=0.3,
                         reduction="sum")


def layers(between):
    return check_network(net("relu", "linear"), "quadratic", p.Sequential(between), p.X, p.Y, call="backward")


def library(**wrong):
    return check_network(net("relu", "linear"), "quadratic", ([p.W1.T, p.W2.T], [p.B1, p.B2]), p.X, p.Y,
                         value_and_grad=lambda *args: p.multilayer(*args, **wrong))


def pixels(**wrong):
    params = {"W1": p.W1, "W2": p.W2[0]}
    without = fnn.mlp((3, 5, 1), hidden="relu", output="sigmoid")
    return check_network(without, "binary_cross_entropy", params, p.X, p.LABELS * 1.0, reduction="sum",
                         value_and_grad=lambda *args: p.policy(*args, **wrong))


def pure():
    network = [np.hstack([W, b[:, None]]).tolist() for W, b in ((p.W1, p.B1), (p.W2, p.B2))]
    return check_network(net(), "quadratic", network, p.X[:4], p.Y[:4], value_and_grad=p.pure_python)


RIGHT = {"course": course, "logistic": logistic, "thetas": thetas, "book": lambda: book(p.BookNetwork),
         "book's update": lambda: book_update(p.BookNetwork), "vision": lambda: vision(p.TwoLayerNet), "eleven lines": eleven,
         "bikes": lambda: bikes(p.BikeNetwork), "layers": lambda: layers(p.ReLU), "library": library, "pixels": pixels,
         "pure python": pure}


@pytest.mark.parametrize("name", few(RIGHT, "course", "thetas", "vision", "eleven lines", "layers", "pixels"))
def test_a_right_gradient_is_right_in_its_own_form(name):
    report = RIGHT[name]()
    assert report and all(all(leaf.right.values()) for leaf in report.leaves), str(report)


WRONG = {
    "course: relu's slope": (lambda: course(slope=lambda a: a > 0), ("pullback", 0, "another activation's derivative")),
    "course: b not divided": (lambda: course(share=lambda m: 1), ("bias", 0, "sum for mean")),
    "logistic: sign": (lambda: logistic(sign=-1), ("bias", 0, "sign")),
    # both biases are decayed, and one penalty explains them
    "thetas: bias decayed too": (lambda: thetas(spared=1), ("penalty", None, "penalty added")),
    "book": (lambda: book(p.BookNetworkWithoutSlope), ("pullback", 0, "missing derivative")),
    "book's update": (lambda: book_update(p.BookNetworkWithoutSlope), ("pullback", 0, "missing derivative")),
    "vision: half of the penalty": (lambda: vision(p.HalfRegularised), ("penalty", None, "penalty forgotten")),
    "eleven lines: no slope": (lambda: eleven(slope=np.ones_like), ("pullback", 0, "missing derivative")),
    "bikes: doubled": (lambda: bikes(p.BikeNetworkWithDoubledError), ("pullback", 0, "factor")),
    "layers: leaky": (lambda: layers(p.Leaky), ("pullback", 0, "missing derivative")),
    "pixels: no mask": (lambda: pixels(mask=lambda dh, h: dh), ("pullback", 0, "missing derivative")),
}


@pytest.mark.parametrize("name", few(WRONG, "course: b not divided", "thetas: bias decayed too", "eleven lines: no slope"))
def test_its_mistake_is_named(name):
    check, fault = WRONG[name]
    report = check()
    assert fault in [(f.site, f.layer, f.cause) for f in report.faults], str(report)


def test_the_bestsellers_hidden_errors_are_blamed_on_their_step():
    """It pulls back the output's error without the output's slope, which its own weights' gradient has."""
    report = own()
    assert [(f.site, f.layer) for f in report.faults] == [("pullback", 0)], str(report)


SHAPES = ((6, 4), (6, 6), (4, 6), (6, 1), (4, 1))
CELLS = {name: np.random.default_rng(5).normal(size=shape) for name, shape in zip(
    ("Wxh", "Whh", "Why", "bh", "by"), SHAPES, strict=True)}


@pytest.mark.parametrize(("wrong", "faults"), [
    ({}, []), ({"clip": True}, ["clipped"]), ({"carried": False}, ["unexplained"])])
def test_a_recurrent_network_in_plain_numpy(wrong, faults):
    """(loss, five gradients, the last state) is taken as it is returned."""
    def f(params, inputs, targets):
        return p.characters(*params.values(), inputs, targets)[0]

    report = check_gradients(f, lambda params, *args: p.characters(*params.values(), *args, **wrong), CELLS, [0, 1, 2, 1], [1, 2, 1, 3])
    assert {fault.cause for fault in report.faults} == set(faults), str(report)
