"""The notes' own examples, with their own numbers: one test a system (N…)."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn


def layer(w, b=0.0):
    """Parameters of one dense layer from rows of weights (n_out, n_in)."""
    w = jnp.array(w, float)
    return {"w": w, "b": jnp.broadcast_to(jnp.array(b, float), w.shape[:1])}


def random_params(*sizes):
    noise = np.random.default_rng(0)
    return tuple({"w": noise.normal(size=(n, m)), "b": noise.normal(size=n)} for m, n in itertools.pairwise(sizes))


def test_n1_a_neuron_is_f_of_w_x_plus_b():
    x, w, b = np.array([0.5, -2.0, 1.0]), np.array([1.0, 0.25, -3.0]), 0.75
    for name in ("linear", "sigmoid", "relu"):
        y = fnn.mlp((3, 1), output=name).apply((layer([w], b),), x)
        np.testing.assert_allclose(y, [fnn.activations.get(name)(float(w @ x + b))], rtol=1e-6)


SCHOOL = (layer([[-2, 7, 4]], -1),)  # rain, Monday, start late; the notes' weight of Monday cannot be read


def test_n2_do_i_go_to_school():
    neuron, perceptron = fnn.mlp((3, 1)), fnn.mlp((3, 1), output="step")
    x = jnp.array([1.0, 0.0, 1.0])
    assert neuron.apply(SCHOOL, x).tolist() == [1.0]  # z = -2 + 0 + 4 - 1
    assert perceptron.apply(SCHOOL, x).tolist() == [1.0]
    days = jnp.array([[1.0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0]])
    assert jax.vmap(perceptron.apply, in_axes=(None, 0))(SCHOOL, days).tolist() == [[1.0], [0.0], [1.0], [0.0]]


@pytest.mark.parametrize("change", [1e-3, 1e-2])
def test_n3_a_small_change_makes_the_step_jump_and_the_sigmoid_move_a_little(change):
    x, at_the_edge = jnp.array([1.0, 0.0, 1.0]), layer([[-2, 7, 3]], -1)  # z = 0
    below = {**at_the_edge, "w": at_the_edge["w"] - change}
    moved = {name: float(abs(net.apply((at_the_edge,), x) - net.apply((below,), x))[0])
             for name, net in ((name, fnn.mlp((3, 1), output=name)) for name in ("step", "sigmoid"))}
    assert moved["step"] == 1.0
    assert 0 < moved["sigmoid"] <= 2 * change / 4 * 1.001  # |Δz| · max σ′


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "step"])
def test_n4_a_bias_shifts_the_curve_and_without_it_every_curve_goes_through_f_of_0(name):
    net, f = fnn.mlp((1, 1), output=name), fnn.activations.get(name)
    for w in (-3.0, 0.5, 8.0):
        assert net.apply((layer([[w]]),), jnp.zeros(1)).tolist() == [float(f(0.0))]
    for x in (-1.0, 0.25, 2.0):
        biased, shifted = net.apply((layer([[1.0]], 1.5),), jnp.array([x])), net.apply((layer([[1.0]]),), jnp.array([x + 1.5]))
        assert biased.tolist() == shifted.tolist()


def test_n6_node_by_node_is_the_matrix_form():
    x1, x2, w1, w2, w3, w4, b0, b2 = 0.5, -1.5, 2.0, -0.25, 0.75, 1.25, 0.1, -0.2
    f = fnn.activations.sigmoid
    C = f(x1 * w1 + x2 * w3 + b0)
    D = f(x2 * w4 + x1 * w2 + b2)
    both = fnn.mlp((2, 2), output="sigmoid").apply((layer([[w1, w3], [w2, w4]], [b0, b2]),), jnp.array([x1, x2]))
    np.testing.assert_allclose(both, [C, D], rtol=1e-6)


def test_n7_linear_hidden_layers_collapse_to_one_matrix():
    with jax.enable_x64(True):
        net, params = fnn.mlp((3, 5, 4, 2), hidden="linear"), random_params(3, 5, 4, 2)
        (w1, b1), (w2, b2), (w3, b3) = ((p["w"], p["b"]) for p in params)
        collapsed = (layer(w3 @ w2 @ w1, w3 @ w2 @ b1 + w3 @ b2 + b3),)
        for x in np.random.default_rng(0).normal(size=(5, 3)):
            np.testing.assert_allclose(net.apply(params, x), fnn.mlp((3, 2)).apply(collapsed, x), rtol=1e-12)
        curved = fnn.mlp((3, 5, 4, 2), hidden="tanh")
        x, zero = jnp.ones(3), jnp.zeros(3)
        bend = curved.apply(params, 2 * x) - 2 * curved.apply(params, x) + curved.apply(params, zero)
        assert float(jnp.abs(bend).min()) > 1e-3  # no linear function does that


def test_n7_the_output_activation_fixes_the_range():
    X = 10 * jax.random.normal(jax.random.key(1), (200, 3))
    outputs = {name: jax.jit(jax.vmap(fnn.mlp((3, 8, 4), output=name).apply, in_axes=(None, 0)))(random_params(3, 8, 4), X)
               for name in ("linear", "sigmoid", "softmax")}
    assert outputs["linear"].min() < -1 and outputs["linear"].max() > 1
    assert outputs["sigmoid"].min() >= 0 and outputs["sigmoid"].max() <= 1
    assert outputs["softmax"].min() >= 0
    np.testing.assert_allclose(outputs["softmax"].sum(axis=1), 1, rtol=1e-6)


def test_n8_the_forward_pass_of_2_3_4_1_layer_by_layer():
    net, params, x = fnn.mlp((2, 3, 4, 1), hidden="sigmoid"), random_params(2, 3, 4, 1), np.array([0.3, -0.8])
    a1 = x
    a2 = 1 / (1 + np.exp(-(params[0]["w"] @ a1 + params[0]["b"])))
    a3 = 1 / (1 + np.exp(-(params[1]["w"] @ a2 + params[1]["b"])))
    a4 = params[2]["w"] @ a3 + params[2]["b"]
    assert [p["w"].shape for p in params] == [(3, 2), (4, 3), (1, 4)]
    np.testing.assert_allclose(net.apply(params, x), a4, rtol=1e-5)
    np.testing.assert_allclose(params[1]["w"][2] @ a2, sum(params[1]["w"][2, k] * a2[k] for k in range(3)), rtol=1e-5)  # w_jk


def test_n9a_is_12():
    """One set of the notes prints 15; the arithmetic is 1·3 + 2·4 + 1 = 12."""
    assert fnn.mlp((2, 1)).apply((layer([[3, 4]], 1),), jnp.array([1.0, 2.0])).tolist() == [12.0]


@pytest.mark.parametrize("hidden", ["linear", "relu"])
def test_n9b_is_163(hidden):
    W1 = np.array([[4.0, 3, 1, 1], [1, 4, 4, 3], [3, 4, 3, 2]])  # (3, 4): column j feeds hidden neuron j
    params = (layer(W1.T), layer([[4, 2, 1, 3]]))
    x = jnp.array([1.0, 2.0, 3.0])
    assert fnn.mlp((3, 4), output=hidden).apply(params[:1], x).tolist() == [15.0, 23.0, 18.0, 13.0]
    assert fnn.mlp((3, 4, 1), hidden=hidden).apply(params, x).tolist() == [163.0]


def test_n13_local_derivatives_of_one_neuron():
    x, w, b, y = np.array([1.0, 2.0]), np.array([3.0, 4.0]), 1.0, 10.0
    a = w @ x + b
    _, ((grads),) = fnn.backprop.value_and_grad(fnn.mlp((2, 1)), "quadratic")((layer([w], b),), x[None], jnp.array([y]))
    np.testing.assert_allclose(grads["w"][0], (a - y) * x)  # ∂L/∂w = (a - y) x
    np.testing.assert_allclose(grads["b"], [a - y])         # ∂L/∂b = a - y


def test_n14_the_four_equations_written_out():
    with jax.enable_x64(True):
        net = fnn.mlp((2, 3, 4, 1), hidden="sigmoid", output="sigmoid")
        params = random_params(2, 3, 4, 1)
        x, y = np.array([0.3, -0.8]), np.array([0.25])
        deltas = fnn.backprop.deltas(net, "quadratic")(params, x, y)
        cost, grads = fnn.backprop.value_and_grad(net, "quadratic")(params, x[None], y[None])

    def sigma(z):
        return 1 / (1 + np.exp(-z))

    def slope(z):
        return sigma(z) * (1 - sigma(z))

    (W2, b2), (W3, b3), (W4, b4) = ((p["w"], p["b"]) for p in params)
    z2 = W2 @ x + b2
    z3 = W3 @ sigma(z2) + b3
    z4 = W4 @ sigma(z3) + b4
    delta4 = (sigma(z4) - y) * slope(z4)   # BP1
    delta3 = (W4.T @ delta4) * slope(z3)   # BP2
    delta2 = (W3.T @ delta3) * slope(z2)   # BP2
    np.testing.assert_allclose(cost, ((sigma(z4) - y) ** 2).sum() / 2, rtol=1e-12)
    for got, want in zip(deltas, (delta2, delta3, delta4), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    for grad, delta, a in zip(grads, (delta2, delta3, delta4), (x, sigma(z2), sigma(z3)), strict=True):
        np.testing.assert_allclose(grad["b"], delta, rtol=1e-12)                # BP3
        np.testing.assert_allclose(grad["w"], np.outer(delta, a), rtol=1e-12)   # BP4


def test_n15_linear_regression_by_hand():
    X, y = np.array([[1.0, 2.0], [-0.5, 3.0], [4.0, 0.25]]), np.array([1.0, -2.0, 0.5])
    w, b = np.array([0.5, -1.5]), 0.75
    error = X @ w + b - y
    cost, (grads,) = fnn.backprop.value_and_grad(fnn.mlp((2, 1)), "squared_error", reduction="sum")((layer([w], b),), X, y)
    np.testing.assert_allclose(cost, np.sum(error**2), rtol=1e-6)
    np.testing.assert_allclose(grads["w"][0], [2 * np.sum(X[:, 0] * error), 2 * np.sum(X[:, 1] * error)], rtol=1e-6)
    np.testing.assert_allclose(grads["b"], [2 * np.sum(error)], rtol=1e-6)


def test_n15_the_chain_rule_through_one_hidden_layer():
    """ŷ = v tanh(wx + c) + d, C = (ŷ - y)²: each derivative as a product of local ones."""
    x, y, w, c, v, d = 0.5, 2.0, 1.5, -0.25, 0.75, 0.1
    h = np.tanh(w * x + c)
    outer = 2 * (v * h + d - y)
    _, (hidden, out) = fnn.backprop.value_and_grad(fnn.mlp((1, 1, 1), hidden="tanh"), "squared_error")(
        (layer([[w]], c), layer([[v]], d)), np.array([[x]]), np.array([y]))
    got = [float(leaf.item()) for leaf in (out["w"], out["b"], hidden["w"], hidden["b"])]
    np.testing.assert_allclose(got, [outer * h, outer, outer * v * (1 - h**2) * x, outer * v * (1 - h**2)], rtol=1e-6)
