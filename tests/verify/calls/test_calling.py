"""NumPy is called as NumPy, and JAX sees nothing else than JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn.verify import check_gradients
from functional_nn.verify.calls.calling import as_jax, called, is_jax

W, X, PICKED = np.random.default_rng(0).normal(size=(3, 4)), np.random.default_rng(1).normal(size=(5, 3)), [0, 3, 1, 1, 2]


def scores(W, X):
    return X @ W


def written_into(W, X):
    S = scores(W, X)
    S[range(5), PICKED] *= 2.0
    return np.sum(S**2)


def strict(W, X):
    if type(W) is not np.ndarray:
        raise TypeError("an array is wanted")
    return float(np.sum(scores(W, X) ** 2))


def guarded(W, X):
    return np.inf if W[0, 0] > 1e6 else np.sum(scores(W, X) ** 2)


def kept(W, X, seen=[]):  # noqa: B006
    """It keeps what it computed, as a layer does, and computes with it at the next call."""
    seen.append(X @ W)
    assert all(isinstance(each, np.ndarray) for each in seen)
    return np.sum(seen[-1] ** 2)


def right(W, X):
    return 2 * X.T @ (X @ W)


def right_of_written(W, X):
    S = X @ W
    S[range(5), PICKED] *= 4.0
    return 2 * X.T @ S


@pytest.mark.parametrize(("f", "gradient"), [(strict, right), (guarded, right), (kept, right), (written_into, right_of_written)])
def test_plain_numpy_is_checked_by_differences(f, gradient):
    report = check_gradients(f, gradient, W, X)
    assert report and list(report.bounds) == ["fd"]
    assert not check_gradients(f, lambda *args: -gradient(*args), W, X)


def test_an_object_that_keeps_its_forward_pass_is_called_forward_first():
    class Layer:
        def forward(self, w):
            self.mask = w > 0
            return np.sum(np.where(self.mask, w, 0.1 * w))

    layer = Layer()
    assert check_gradients(layer.forward, lambda w: np.where(layer.mask, 1, 0.1), W)


@pytest.mark.parametrize(("function", "expected"), [
    (lambda x: jnp.sum(x**2), True), (lambda x: np.sum(x**2), False), (lambda x: float(jnp.sum(x)), False),
    (lambda x: jnp.sum(jnp.asarray(np.tanh(x))), False), (lambda x: jnp.sum(x) if x[0] > 0 else jnp.max(x), True),
    (lambda x: x.at[0].set(1.0).sum(), True), (lambda x: x.missing, False)])
def test_whether_jax_can_see_through_it(function, expected):
    assert is_jax(function, (np.ones(3),)) == expected


def test_numpy_is_rebuilt_for_jax_with_the_functions_that_it_calls():
    slope = jax.grad(as_jax(lambda a: np.sum(scores(a, X) ** 2), W))
    np.testing.assert_allclose(slope(W), right(W, X), rtol=1e-5)
    with pytest.raises(ValueError, match=r"write it with jax\.numpy"):
        as_jax(strict, jnp.ones((3, 4)), X)


def test_an_error_is_that_of_numpy():
    with pytest.raises(ValueError, match="f failed: ValueError: mine"):
        called(lambda x: (_ for _ in ()).throw(ValueError("mine")), (np.ones(2),), "f")


def test_the_users_own_containers_come_back():
    """A dictionary in the order in which it was filled, lists as lists, numbers as numbers."""
    seen = []

    def f(p):
        seen.append((tuple(p), type(p["b"]), type(p["a"])))
        return p["b"][0] ** 2 + p["a"] ** 3

    assert check_gradients(f, lambda p: {"b": [2 * p["b"][0], 0.0], "a": 3 * p["a"] ** 2}, {"b": [1.0, 2.0], "a": 0.5})
    assert set(seen) == {(("b", "a"), list, float)}


def test_torch_tensors_go_in_and_out():
    torch = pytest.importorskip("torch")
    p = {"w": torch.tensor([[1.0, 2.0]], dtype=torch.float64), "b": torch.tensor([0.5], dtype=torch.float64)}

    def f(p, x):
        return torch.sum(torch.tanh(p["w"] @ x + p["b"]))

    def gradient(p, x, times=1.0):
        slope = 1 - torch.tanh(p["w"] @ x + p["b"]) ** 2
        return {"w": torch.outer(slope, x), "b": times * slope}

    x = torch.tensor([0.3, -0.2], dtype=torch.float64)
    assert check_gradients(f, gradient, p, x)
    assert [fault.cause for fault in check_gradients(f, lambda *a: gradient(*a, 2.0), p, x).faults] == ["factor"]
