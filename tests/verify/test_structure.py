"""A leaf of a wrong shape is named with what to do, and the other leaves are checked all the same."""

import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.verify import check_network
from tests.slow import few

RNG = np.random.default_rng(8)
NET = fnn.mlp((3, 5, 4, 2), hidden="tanh")
PARAMS = {f"W{l}": RNG.normal(size=shape) for l, shape in ((1, (3, 5)), (2, (5, 4)), (3, (4, 2)))} | {
    f"b{l}": RNG.normal(size=(1, n)) for l, n in ((1, 5), (2, 4), (3, 2))}
X, Y = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 2))


def backward(p, X, Y, spoil=lambda name, leaf, delta: leaf):
    A = [X]
    for l in (1, 2, 3):
        z = A[-1] @ p[f"W{l}"] + p[f"b{l}"]
        A.append(z if l == 3 else np.tanh(z))
    d, grads = (A[-1] - Y) / len(X), {}
    for l in (3, 2, 1):
        grads |= {f"W{l}": spoil(f"W{l}", A[l - 1].T @ d, d), f"b{l}": spoil(f"b{l}", d.sum(0, keepdims=True), d)}
        d = d @ p[f"W{l}"].T * (1 - A[l - 1] ** 2)
    return grads


MISFITS = {
    "flat": ("b2", lambda leaf, d: leaf[0], "wrong shape", "give it the parameter's shape"),
    "unsummed": ("b2", lambda leaf, d: d, "missing reduction", "sum it over the examples"),
    "transposed": ("W2", lambda leaf, d: leaf.T, "transposed", "return its transpose"),
    "one column more": ("W2", lambda leaf, d: np.c_[leaf, np.ones(5)], "wrong shape", "reshape"),
    "summed": ("W2", lambda leaf, d: leaf.sum(0), "wrong axis", "the examples' axis"),
    "nonsense": ("b2", lambda leaf, d: np.ones(7), "unexplained", "has shape (7,)"),
}


@pytest.mark.parametrize("name", few(MISFITS, "flat", "unsummed", "nonsense"))
def test_it_is_named_and_what_else_is_wrong_is_found(name):
    where, change, cause, words = MISFITS[name]

    def misfit(also):
        def spoil(key, leaf, delta):
            return change(leaf, delta) if key == where else 2 * leaf if key == also else leaf
        return check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=lambda *args: backward(*args, spoil))

    report = misfit(None)
    assert [(f.site, f.layer, f.leaf, f.cause) for f in report.faults] == [("structure", 1, f"['{where}']", cause)], str(report)
    assert f"['{where}']" in str(report) and words in " ".join(str(report).split())
    assert [leaf.path for leaf in report.leaves if not all(leaf.right.values())] == [f"['{where}']"]
    report = misfit("W1")
    assert {(f.leaf, f.cause) for f in report.faults} == {(f"['{where}']", cause), ("['W1']", "factor")}, str(report)


def test_a_leaf_that_is_missing_is_no_reason_to_stop():
    def without(p, X, Y):
        grads = backward(p, X, Y, lambda name, leaf, d: -leaf if name == "b3" else leaf)
        return {name: leaf for name, leaf in grads.items() if name != "W1"}

    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=without)
    assert {(f.leaf, f.cause) for f in report.faults} == {("['W1']", "unexplained"), ("['b3']", "sign")}, str(report)
