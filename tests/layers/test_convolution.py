"""Convolution: JAX's own convolution, padding and stride, and the Kronecker factors window by window."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.layers import convolution, dense, flatten, reshape
from tests.layers.passes import by_hand, problem

CASES = list(itertools.product([(6, 5, 2), (7, 3)], [1, 2, 3], [1, 2], ["valid", "same", 2]))


@pytest.mark.parametrize("case", CASES[::5], ids=str)
def test_the_value_is_that_of_jax(case):
    n_in, size, stride, padding = case
    axes = len(n_in) - 1
    letters = "HW"[:axes]
    with jax.enable_x64(True):
        layer = convolution(4, size, stride=stride, padding=padding)
        params, A, _, _ = problem(layer, n_in)
        pads = padding.upper() if isinstance(padding, str) else [(padding, padding)] * axes
        wanted = jax.lax.conv_general_dilated(
            A, params["w"], (stride,) * axes, pads, dimension_numbers=(f"N{letters}C", f"O{letters}I", f"N{letters}C"))
        got = jax.vmap(lambda a: layer.forward(params, a, None)[0])(A)
        np.testing.assert_allclose(got, wanted + params["b"].reshape((1,) * (axes + 1) + (-1,)), rtol=1e-12, atol=1e-14)
        assert layer.n_out(n_in) == wanted.shape[1:]


def test_a_window_as_large_as_the_input_is_a_dense_layer():
    with jax.enable_x64(True):
        layer = convolution(3, (2, 4))
        params, A, D, _ = problem(layer, (2, 4, 2))
        flat = {"w": params["w"].reshape(3, -1), "b": params["b"]}
        z, cotangent, factors = by_hand(layer)(params, A[0], D[0], None)
        plain = by_hand(dense(3))(flat, A[0].ravel(), D[0].ravel(), None)
        np.testing.assert_allclose(z.ravel(), plain[0], rtol=1e-12)
        np.testing.assert_allclose(cotangent.ravel(), plain[1], rtol=1e-12)
        for block, other in zip(*(of.factors.kronecker((jnp.stack([f[0]])[:, None], jnp.stack([f[1]])), jnp.ones(1)).values()
                                  for of, f in ((layer, factors), (dense(3), plain[2]))), strict=True):
            np.testing.assert_allclose(block, other, rtol=1e-12)


def test_kronecker_factors_window_by_window():
    """Σ_t p pᵀ and the mean of δ δᵀ over the windows (Grosse and Martens, 2016)."""
    with jax.enable_x64(True):
        layer, weights = convolution(2, 2), np.array([0.5, 1.0, 2.0, 0.1])
        params, A, D, keys = problem(layer, (3, 3, 2))
        errors, inputs = jax.vmap(by_hand(layer), in_axes=(None, 0, 0, 0))(params, A, D, keys)[-1]
        found = layer.factors.kronecker((errors[:, None], inputs), jnp.asarray(weights))
        wanted = {"inputs": 0, "errors": 0}
        for (i, weight), x, y in itertools.product(enumerate(weights), range(2), range(2)):
            window = np.asarray(A)[i, x:x + 2, y:y + 2].reshape(4, 2).ravel()
            delta = np.asarray(D)[i, x, y]
            wanted["inputs"] += weight * np.outer(window, window)
            wanted["errors"] += weight * np.outer(delta, delta) / 4
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-12)


def test_an_initialiser_sees_the_entries_of_a_window():
    w = convolution(200, (3, 3), init="lecun_normal").init(jax.random.key(0), (5, 5, 40), jnp.float32)["w"]
    assert w.shape == (200, 3, 3, 40) and float(jnp.std(w)) == pytest.approx((9 * 40) ** -0.5, rel=0.02)


def test_a_small_network_learns_where_a_pattern_is():
    """An edge that may lie anywhere: 16 weights of a window find it."""
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(300, 12)).astype(np.float32) / 2, np.arange(300) % 2
    for row, place in enumerate(random.integers(0, 10, 300)):
        X[row, place:place + 3] += (2 * Y[row] - 1) * np.array([2, -2, 2])
    net = fnn.sequential(12, reshape((12, 1)), convolution(4, 3, "tanh"), flatten(), dense(2, "softmax"))
    result = fnn.fit(net, "cross_entropy", fnn.optimizers.adam(0.02), (X[:200], Y[:200]), key=jax.random.key(0), epochs=30,
                     validation=(X[200:], Y[200:]), progress=False)
    assert result.history["validation_accuracy"][-1] > 0.85


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: convolution(0, 3), ValueError, "channels must be an integer of at least 1, got 0"),
    (lambda: convolution(2, 0), ValueError, "size must be an integer of at least 1, got 0"),
    (lambda: convolution(2, (3, 0)), ValueError, "size[1] must be an integer of at least 1, got 0"),
    (lambda: convolution(2, 3, stride=0.5), TypeError, "stride must be an integer of at least 1, got 0.5"),
    (lambda: convolution(2, 3, padding="smae"), ValueError, "unknown padding 'smae'; did you mean 'same'?"),
    (lambda: convolution(2, 3, padding=-1), ValueError, "padding must be an integer of at least 0, got -1"),
    (lambda: fnn.sequential(784, convolution(2, 3), flatten(), dense(3)), ValueError,
     "layer 0, convolution(2, 3, linear), does not fit what comes before it: the input has the shape 784; convolution takes "
     "an array with channels last, got a vector of 784 entries; put a reshape such as reshape((28, 28, 1)) before it"),
    (lambda: fnn.sequential(4, reshape((2, 2, 1)), convolution(2, 3), flatten()), ValueError,
     "convolution has windows of size (3, 3), which are larger than its input of shape (2, 2, 1)"),
    (lambda: fnn.sequential(4, reshape((2, 2, 1)), convolution(2, (1,)), flatten()), ValueError,
     "convolution has size=(1,), but its input has 2 axes beside the channels"),
    (lambda: fnn.sequential(4, reshape((2, 2, 1)), convolution(2, 2), dense(3)), ValueError,
     "layer 2, dense(3, linear), does not fit what comes before it: layer 1, convolution(2, 2, linear), gives the shape "
     "(1, 1, 2); dense takes a vector, got an array of shape (1, 1, 2); put flatten() before it"),
    (lambda: fnn.sequential(4, reshape((2, 2, 1)), convolution(2, 2)), ValueError,
     "a network must end in a vector, got convolution(2, 2, linear) with an output of shape (1, 1, 2)"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)


def test_reads_as_it_is_written():
    assert repr(convolution(8, (3, 2), "relu", stride=2, padding="same")) == "convolution(8, (3, 2), relu, stride=2, padding='same')"
