"""Mistakes that are nobody's usual ones are placed, and those of a batch and of any array are named."""

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.verify import check_network
from functional_nn.verify.catalogue.judging import Hypothesis, judge
from functional_nn.verify.catalogue.mistake import SOLVED
from tests.slow import few

NET = fnn.mlp((4, 8, 6, 3), hidden="tanh")
RNG = np.random.default_rng(3)
PARAMS = jax.tree.map(lambda p: RNG.normal(size=p.shape) / 2, NET.init(jax.random.key(0)))
X, Y = RNG.normal(size=(7, 4)), RNG.normal(size=(7, 3))
UNITS = np.arange(1.0, 7.0)
SKEW = np.array([[2.0, 1.0, 0.0], [-1.0, 2.0, 1.0], [0.0, -1.0, 2.0]])


def homework(head=lambda a, y: a - y, back=lambda delta: delta, slope=lambda z: 1 - np.tanh(z) ** 2,
             product=lambda delta, a: delta[:, :, None] * a[:, None, :], weight=lambda g: g, each=lambda g: g.mean(axis=0)):
    """Backpropagation of NET in NumPy; a mistake of the pullback or of the leaf is made in layer 1 alone."""
    def value_and_grad(params, X, Y):
        a = [X]
        for i, p in enumerate(params):
            z = a[-1] @ p["w"].T + p["b"]
            a.append(np.tanh(z) if i < 2 else z)
        delta, grads = head(a[3], Y), [None, None, None]
        for i in (2, 1, 0):
            outer = product(delta, a[i]) if i == 1 else delta[:, :, None] * a[i][:, None, :]
            found = each(outer)
            grads[i] = {"w": weight(found) if i == 1 else found, "b": each(delta)}
            if i:
                z = a[i - 1] @ params[i - 1]["w"].T + params[i - 1]["b"]
                right = i == 1
                delta = ((delta if right else back(delta)) @ params[i]["w"]) * (1 - np.tanh(z) ** 2 if right else slope(z))
        return 0.5 * ((a[3] - Y) ** 2).sum(axis=1).mean(), tuple(grads)

    return value_and_grad


def found(**mistake):
    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=homework(**mistake))
    return [(fault.site, fault.layer, fault.cause) for fault in report.faults], str(report)


def test_without_a_mistake_it_is_right():
    assert found()[0] == []


CASES = {
    "another function of z": ("pullback", "other derivative", {"slope": lambda z: 1 / (1 + z**4)}),
    "a number for each unit": ("pullback", "factor", {"slope": lambda z: UNITS * (1 - np.tanh(z) ** 2)}),
    "another delta goes back": ("pullback", "other delta", {"back": lambda delta: np.sin(3 * delta) + 0.1}),
    "another activation": ("weight", "other activation", {"product": lambda d, a: d[:, :, None] * np.cos(a)[:, None]}),
    "another delta": ("weight", "other delta", {"product": lambda d, a: np.cos(d)[:, :, None] * a[:, None]}),
    "a sum": ("weight", "wrong product", {"product": lambda d, a: d[:, :, None] + a[:, None]}),
    "rounded input": ("weight", "rounded", {"product": lambda d, a: d[:, :, None] * a.astype(np.float16)[:, None]}),
    "dead input": ("weight", "dead unit", {"product": lambda d, a: d[:, :, None] * (a * (np.arange(8) != 2))[:, None]}),
    "a matrix that is symmetric": ("head", "unexplained", {"head": lambda a, y: (a - y) @ (SKEW + SKEW.T + np.eye(3)[::-1])}),
    "a matrix that is not": ("head", "unexplained", {"head": lambda a, y: (a - y) @ SKEW}),
    "centred": ("weight", "normalised", {"weight": lambda g: g - g.mean()}),
    "squared": ("weight", "another power", {"weight": lambda g: g**2}),
    "triangle": ("weight", "entries left out", {"weight": np.tril}),
    "small ones lost": ("weight", "entries left out", {"weight": lambda g: g * (np.abs(g) > np.median(np.abs(g)))}),
    "a constant array": ("weight", "offset", {"weight": lambda g: g + np.cos(np.arange(g.size)).reshape(g.shape)}),
}


@pytest.mark.parametrize("case", few(CASES, 0, 4, 6, 12))
def test_the_step_is_named_and_no_other_accused(case):
    site, cause, mistake = CASES[case]
    faults, text = found(**mistake)
    assert faults == [(site, {"pullback": 1, "weight": 1, "head": 2}[site], cause)], text


@pytest.mark.parametrize(("each", "cause"), [
    (lambda g: np.median(g, axis=0), "wrong reduction"), (lambda g: g.max(axis=0), "wrong reduction"),
    (lambda g: np.tensordot(np.arange(1.0, len(g) + 1), g, 1) / len(g), "examples weighted")])
def test_what_becomes_of_the_examples(each, cause):
    faults, text = found(each=each)
    assert faults == [("batch", None, cause)], text


def test_what_takes_more_to_be_believed_is_no_rival():
    right = RNG.normal(size=(5, 8))
    given = 2 * right
    near = Hypothesis("other delta", given + 1e-2 * RNG.normal(size=given.shape), "…", rank=SOLVED)
    assert judge(given, right, [near], 1e-3, "d").cause == "factor"
    rival = near._replace(rank=0)
    assert judge(given, right, [rival], 1e-3, "d").cause == "unexplained"


def test_what_is_divided_by_its_norm_is_not_clipped():
    right = RNG.normal(size=(8, 6))
    norms = np.linalg.norm(right, axis=1, keepdims=True)
    assert judge(right / norms / np.sqrt(2), right, [], 2.0**-53, "d").cause != "clipped"
    assert judge(right * np.minimum(1, np.median(norms) / norms), right, [], 2.0**-53, "d").cause == "clipped"
    assert judge(right / norms * 0.25, right, [], 2.0**-53, "d").cause == "clipped"  # all of it, at a number people write


def test_a_leaf_of_which_one_example_says_nothing_is_judged_by_its_batches():
    """The last example left out of one bias: 0 for a single one. And the head is wrong, too."""
    def value_and_grad(params, X, Y):
        value, grads = homework(head=lambda a, y: 1.5 * (a - y))(params, X, Y)
        each = np.stack([homework(head=lambda a, y: 1.5 * (a - y))(params, x[None], y[None])[1][0]["b"]
                         for x, y in zip(X[:-1], Y[:-1], strict=True)] or [0 * grads[0]["b"]])
        return value, ({"w": grads[0]["w"], "b": each.sum(axis=0) / len(X)}, *grads[1:])

    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=value_and_grad)
    assert {(fault.site, fault.layer, fault.cause) for fault in report.faults} == {
        ("head", 2, "factor"), ("bias", 0, "examples left out")}, str(report)


def test_a_mistake_does_not_make_up_for_another():
    """The leaves of two layers are too large, and what goes further down is right: not a δ that is first wrong, then mended."""
    def value_and_grad(params, X, Y):
        value, grads = homework()(params, X, Y)
        return value, (grads[0], *jax.tree.map(lambda g: 1.5 * g, grads[1:]))

    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=value_and_grad)
    assert {(fault.site, fault.layer, fault.cause) for fault in report.faults} == {
        (site, layer, "factor") for site in ("weight", "bias") for layer in (1, 2)}, str(report)
