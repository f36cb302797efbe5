"""Examples in columns, readings that only the gradient settles, losses and penalties as people state them."""

import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.verify import check_network
from tests.slow import few

RNG = np.random.default_rng(2)
SQUARE = [(RNG.normal(size=(4, 4)), RNG.normal(size=4)) for _ in range(2)]
NET, X, Y = fnn.mlp((4, 4, 4), hidden="tanh"), RNG.normal(size=(4, 4)), RNG.normal(size=(4, 4))


def backward(params, X, Y, turned=False, times=1.0):
    """Of out_in weights and examples in rows; `turned`: weights are in_out."""
    (W0, b0), (W1, b1) = [(W.T if turned else W, b) for W, b in params]
    a = np.tanh(X @ W0.T + b0)
    out = a @ W1.T + b1
    d1 = (out - Y) / len(X)
    d0 = times * (d1 @ W1) * (1 - a**2)
    cost = 0.5 * np.sum((out - Y) ** 2) / len(X)
    return cost, [(g.T if turned else g, b) for g, b in ((d0.T @ X, d0.sum(0)), (d1.T @ a, d1.sum(0)))]


@pytest.mark.parametrize(("turned", "columns"), few([(False, False), (True, False), (False, True), (True, True)], 3))
def test_where_all_is_square_the_gradient_itself_says_how_it_is_held(turned, columns):
    def function(params, X, Y):
        return backward(params, X.T if columns else X, Y.T if columns else Y, turned)

    report = check_network(NET, "quadratic", SQUARE, X, Y, value_and_grad=function)
    assert report and ("an example is a column of X" in report.notes) == columns

    def doubled(params, X, Y):
        return backward(params, X.T if columns else X, Y.T if columns else Y, turned, times=2.0)

    report = check_network(NET, "quadratic", SQUARE, X, Y, value_and_grad=doubled)
    assert [(f.site, f.layer, f.cause) for f in report.faults] == [("pullback", 0, "factor")], str(report)


@pytest.mark.parametrize(("params", "function"), [
    (tuple, lambda W0, b0, W1, b1, X, Y: by_names(W0, b0, W1, b1, X, Y)),
    (list, lambda X, Y, W0, b0, W1, b1: by_names(W0, b0, W1, b1, X, Y)),
    (lambda leaves: dict(zip(("W0", "b0", "W1", "b1"), leaves, strict=True)), lambda X, Y, b1, W1, b0, W0: by_names(W0, b0, W1, b1, X, Y)),
    (lambda leaves: (leaves[::2], leaves[1::2]), lambda W, b, X, Y: tuple(zip(*backward(zip(W, b, strict=True), X, Y)[1], strict=True)))],
    ids=["before X", "after X", "by name", "lists"])
def test_parameters_may_be_arguments_one_by_one(params, function):
    leaves = [leaf for pair in SQUARE for leaf in pair]
    assert check_network(NET, "quadratic", params(leaves), X, Y, value_and_grad=function, layout="out_in")


def by_names(W0, b0, W1, b1, X, Y):
    return [leaf for pair in backward([(W0, b0), (W1, b1)], X, Y)[1] for leaf in pair]


def test_an_argument_settles_it_too():
    def function(params, X, Y):
        return backward(params, X.T, Y.T)

    assert check_network(NET, "quadratic", SQUARE, X, Y, value_and_grad=function, columns=True)
    with pytest.raises(ValueError, match="value_and_grad of 1 example"):
        check_network(NET, "quadratic", SQUARE, X, Y, value_and_grad=function, columns=False)


def test_images_and_column_vectors_are_flattened_and_given_back():
    params = [(RNG.normal(size=(3, 4)), np.zeros(3)), (RNG.normal(size=(2, 3)), np.zeros(2))]
    seen = set()

    def function(params, X, Y):
        seen.update({X.shape[1:], Y.shape[1:]})
        return backward(params, X.reshape(len(X), 4), Y[:, :, 0])

    assert check_network(fnn.mlp((4, 3, 2), hidden="tanh"), "quadratic", params, RNG.normal(size=(5, 2, 2)),
                         RNG.normal(size=(5, 2, 1)), value_and_grad=function)
    assert seen == {(2, 2), (2, 1)}


@pytest.mark.parametrize(("form", "words"), [
    (lambda dW0, db0, dW1, db1: (dW0, db0, dW1, db1), ""), (lambda dW0, db0, dW1, db1: [dW1, db1, dW0, db0], ""),
    (lambda dW0, db0, dW1, db1: (0.1, dW0, db0, dW1, db1), ""), (lambda dW0, db0, dW1, db1: [(dW0, db0), (dW1, db1)], ""),
    (lambda dW0, db0, dW1, db1: {"grads": {"gW1": dW0, "gb1": db0, "gW2": dW1, "gb2": db1}, "cost": 0.1}, ""),
    (lambda dW0, db0, dW1, db1: {"W1_grad": dW0, "b1_grad": db0, "W2_grad": dW1, "b2_grad": db1, "Z": dW0}, "['Z'] of the grad")])
def test_a_gradient_may_be_held_otherwise_than_its_parameters(form, words):
    named = {"W1": RNG.normal(size=(3, 4)), "b1": np.ones(3), "W2": RNG.normal(size=(2, 3)), "b2": np.ones(2)}

    def function(p, X, Y):
        _, ((dW0, db0), (dW1, db1)) = backward([(p["W1"], p["b1"]), (p["W2"], p["b2"])], X, Y)
        return form(dW0, db0, dW1, db1)

    report = check_network(fnn.mlp((4, 3, 2), hidden="tanh"), "quadratic", named, X, Y[:, :2], value_and_grad=function)
    assert report and any(words in note for note in (*report.notes, "")), str(report)


def test_a_loss_of_ones_own():
    def absolute(prediction, target):
        return np.sum(np.abs(prediction - target) ** 3)

    def function(params, X, Y, power=2):
        (W, b), = params
        d = 3 * np.abs(X @ W.T + b - Y) ** power * np.sign(X @ W.T + b - Y) / len(X)
        return [(d.T @ X, d.sum(0))]

    net, params = fnn.mlp((4, 2)), [(RNG.normal(size=(2, 4)), np.zeros(2))]
    assert check_network(net, absolute, params, X, Y[:, :2], value_and_grad=function)
    assert not check_network(net, absolute, params, X, Y[:, :2], value_and_grad=lambda *args: function(*args, power=1))
    with pytest.raises(ValueError, match="must return one number for the prediction and the target"):
        check_network(net, lambda a, y: (a - y) ** 2, params, X, Y[:, :2], value_and_grad=function)


@pytest.mark.parametrize(("times", "words"), [
    (lambda c: c, ""), (lambda c: 2 * c, "it is the mean of squared_error"), (lambda c: 8 * c, "8 times as much"),
    (lambda c: c + 0.137, "the cost that it returns is")])
def test_the_cost_returned_is_compared_with_the_loss_claimed(times, words):
    def function(params, X, Y):
        cost, grads = backward(params, X, Y)
        return times(cost), grads

    report = check_network(NET, "quadratic", SQUARE, X, Y, value_and_grad=function)
    assert report and any(words in note for note in (*report.notes, "")), report.notes
    assert bool(words) == any("cost that it returns" in note for note in report.notes)


@pytest.mark.parametrize(("rate", "cause"), few([(0.3, None), (0.0, "penalty forgotten"), (0.6, "penalty doubled")], 0))
@pytest.mark.parametrize("penalty", [
    lambda p, m: 0.3 / (2 * m) * sum(jnp.sum(W**2) for W, _ in p), lambda p, X: 0.3 / (2 * len(X)) * sum(np.sum(W**2) for W, _ in p),
    lambda p: 0.3 / 8 * sum(np.sum(W**2) for W, _ in p)])
def test_a_penalty_may_be_divided_by_the_number_of_examples(penalty, rate, cause):
    """λ / (2 m): said by its second argument, or written for the four examples at hand."""
    def function(params, X, Y):
        _, grads = backward(params, X, Y)
        return [(dW + rate / len(X) * W, db) for (dW, db), (W, _) in zip(grads, params, strict=True)]

    report = check_network(NET, "quadratic", SQUARE, X, Y, value_and_grad=function, penalty=penalty)
    assert [fault.cause for fault in report.faults] == ([cause] if cause else []), str(report)


def test_a_step_in_place_is_checked_by_what_it_changes():
    def step(params, X, Y, wrong=1.0):
        _, grads = backward([tuple(map(np.array, each)) for each in params], X, Y, times=wrong)
        for (W, b), (dW, db) in zip(params, grads, strict=True):
            W -= 0.01 * dW
            b -= 0.01 * db

    def returned(params, X, Y):
        _, grads = backward(params, X, Y)
        return [(W - 0.01 * dW, b - 0.01 * db) for (W, b), (dW, db) in zip(params, grads, strict=True)]

    assert check_network(NET, "quadratic", SQUARE, X, Y, update=step, rate=0.01)
    assert check_network(NET, "quadratic", SQUARE, X, Y, update=returned, rate=0.01)
    report = check_network(NET, "quadratic", SQUARE, X, Y, update=lambda *args: step(*args, wrong=-1.0), rate=0.01)
    assert [(f.site, f.layer, f.cause) for f in report.faults] == [("pullback", 0, "sign")], str(report)


@pytest.mark.parametrize(("options", "words"), [
    ({}, "value_and_grad is missing"), ({"update": backward}, "update needs rate"), ({"rate": 0.1, "value_and_grad": backward}, "rate is that"),
    ({"update": backward, "rate": 0.0}, "rate must be a number other than 0"), ({"value_and_grad": 3}, "must be a function"),
    ({"value_and_grad": backward, "call": "train"}, "are for an object"), ({"value_and_grad": lambda *_: None}, "None; does it end")])
def test_what_cannot_be_checked_is_said_in_a_sentence(options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        check_network(NET, "quadratic", SQUARE, X, Y, **options)


@pytest.mark.parametrize(("options", "words"), [
    ({"call": "learn"}, "has no method 'learn'; call names one of fit"), ({"params": "V", "call": "fit"}, "names 'V', where Model holds no"),
    ({"call": "fit"}, "grads must say where Model holds its gradients")])
def test_what_an_object_lacks_is_said_in_a_sentence(options, words):
    class Model:
        def __init__(self):
            self.W1, self.b1, self.W2, self.b2 = (leaf for pair in SQUARE for leaf in pair)

        def fit(self, X, Y):
            return None

    with pytest.raises(ValueError, match=words):
        check_network(NET, "quadratic", Model(), X, Y, **options)
