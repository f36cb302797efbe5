"""What is said of a wrong leaf beside its cause: which entries, what they share, where its number comes from."""

import numpy as np
import pytest

from functional_nn.verify import check_gradients
from functional_nn.verify.entries import origin, wrong_entries

RNG = np.random.default_rng(4)
X, Y, W = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 2)), RNG.normal(size=(3, 2))
PRED, TRUE = 2 * RNG.normal(size=12), RNG.normal(size=12)


def what(f, manual, *args):
    (fault,) = check_gradients(f, manual, *args).faults
    return fault.what


def test_the_closest_cause_comes_with_its_number_its_source_and_what_it_leaves():
    """A sum for a mean, and beside it a regulariser that is a number."""
    def loss(W, X, y):
        return 0.5 * np.sum((np.tanh(X @ W) - y) ** 2) / len(X) + 1e-4 * np.sum(W**2) / len(X)

    def gradient(W, X, y):
        t = np.tanh(X @ W)
        return X.T @ ((t - y) * (1 - t**2)) + 1e-4 * np.sum(W**2)

    said = what(loss, gradient, W, X, Y)
    assert "closest: multiplied by a constant (49.997 * (df/dparams)), which leaves 1e-04 of the error" in said and "50 = rows of args[0]" in said
    named = what(loss, lambda W, X, y: 50 * (gradient(W, X, y) - 1e-4 * np.sum(W**2)) / 50 + 1e-4 * 2 * W, W, X, Y)
    assert named == "multiplied by a constant (50; 50 = rows of args[0])"


def huber(p, y, d=0.9):
    return np.sum(np.where(abs(p - y) <= d, 0.5 * (p - y) ** 2, d * abs(p - y) - 0.5 * d**2))


@pytest.mark.parametrize(("manual", "words"), [
    (lambda p, y: np.where(p - y <= 0.9, p - y, 0.9 * (p - y)), "those where |df/dparams| >= 0.9"),
    (lambda p, y: np.where(p < y, 0.0, np.clip(p - y, -0.9, 0.9)), "those where df/dparams < 0"),
    (lambda p, y: np.clip(p - y, -0.9, 0.9) + (y > 0) * np.sin(p), "those where args[0] > 0")])
def test_the_condition_that_the_wrong_entries_share_is_told(manual, words):
    assert words in what(huber, manual, PRED, TRUE)


def test_rows_columns_and_single_entries():
    right = RNG.normal(size=(4, 5))
    for place, words in ((np.s_[2], "row 2"), (np.s_[:, 3], "column 3"), (np.s_[[0, 2]], "rows 0, 2"), (np.s_[1, 1], "[1,1]")):
        wrong = right.copy()
        wrong[place] *= 1.5
        assert words in wrong_entries(wrong, right, 1e-9, {})
    assert wrong_entries(right, right, 1e-9, {}) == wrong_entries(2 * right, right, 1e-9, {}) == ""


@pytest.mark.parametrize(("number", "words"), [
    (50.0, "50 = rows of args[0]"), (1 / 3, "1/3, 3 = columns of args[0]"), (150.0, "150 = entries of args[0]"), (2.0, ""),
    (49.9, ""), (0.0, ""), (np.inf, "")])
def test_a_number_is_told_where_it_comes_from(number, words):
    assert origin(number, {"args[0]": X}) == words


def f(p):
    return np.sum(np.sin(p["a"]) * 3) + np.sum(p["b"] ** 3)


def gradient(p):
    return {"a": 3 * np.cos(p["a"]), "b": 3 * p["b"] ** 2}


POINT = {"a": RNG.normal(size=4), "b": RNG.normal(size=4)}


def test_the_gradient_of_another_leaf_is_named():
    (fault,) = check_gradients(f, lambda p: {**gradient(p), "a": gradient(p)["b"]}, POINT).faults
    assert (fault.leaf, fault.cause, fault.value) == ("['a']", "another leaf's gradient", "df/d['b']")


def test_clipping_by_the_norm_of_all_leaves_is_named():
    def clipped(p, to=1.0):
        g = gradient(p)
        norm = np.sqrt(sum(np.sum(leaf**2) for leaf in g.values()))
        return {name: leaf * min(1, to / norm) for name, leaf in g.items()}

    report = check_gradients(f, clipped, POINT)
    assert [(fault.cause, fault.value.split("min")[-1]) for fault in report.faults] == [
        ("clipped", "(1, 1 / norm of all leaves)")] * 2
