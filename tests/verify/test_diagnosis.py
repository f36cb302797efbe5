"""What check_network knows beyond one wrong step: penalties, batches, kinks, rounding, several faults, no fault."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.layers import dense, residual
from functional_nn.verify import GradientError, check_network
from functional_nn.verify.network import assert_network
from tests.slow import few

NET = fnn.mlp((4, 6, 6, 3), hidden="tanh")
PARAMS = NET.init(jax.random.key(0))
RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 3))
RIGHT = jax.jit(fnn.backprop.value_and_grad(NET, "quadratic"))


def decay(params):
    """½ · 10⁻² Σ W², as part of a cost."""
    return 0.5e-2 * sum(jnp.sum(jnp.square(layer["w"])) for layer in params)


def with_penalty(rate):
    """The right gradient with rate · W added."""
    def value_and_grad(params, X, Y):
        cost, grads = RIGHT(params, X, Y)
        return cost, tuple({"w": g["w"] + rate * p["w"], "b": g["b"]} for g, p in zip(grads, params, strict=True))
    return value_and_grad


def found(report):
    return [(fault.site, fault.layer, fault.cause) for fault in report.faults]


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "cause"), [(1e-2, None), (0.0, "penalty forgotten"), (2e-2, "penalty doubled"),
                                             (3e-2, "penalty added")])
def test_the_costs_own_penalty(rate, cause):
    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=with_penalty(rate), penalty=decay)
    assert found(report) == ([] if cause is None else [("penalty", None, cause)]), str(report)


@pytest.mark.slow
def test_a_penalty_does_not_hide_another_mistake():
    def both(params, X, Y):
        cost, grads = with_penalty(1e-3)(params, X, Y)
        return cost, (grads[0], {**grads[1], "b": -grads[1]["b"]}, grads[2])
    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=both)
    assert set(found(report)) == {("penalty", None, "penalty added"), ("bias", 1, "sign")}, str(report)


@pytest.mark.parametrize(("divisor", "cause"), few([
    (lambda B: B**0.5, "wrong divisor"), (lambda B: 32.0, "wrong divisor"), (lambda B: B + 1, "wrong divisor"),
    (lambda B: B - 1.0, "B - 1"), (lambda B: 1.0, "sum for mean"), (lambda B: float(B**2), "divided twice")], 4))
def test_what_the_sum_is_divided_by(divisor, cause):
    def wrong(params, X, Y):
        cost, grads = RIGHT(params, X, Y)
        return cost, jax.tree.map(lambda g: jnp.asarray(g) * len(X) / divisor(len(X)), grads)
    assert found(check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=wrong)) == [("batch", None, cause)]


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "cause"), [(lambda X: X[:1], "one example only"), (lambda X: X[:-1], "examples left out")])
def test_examples_that_do_not_count(rows, cause):
    def wrong(params, X, Y):
        kept = rows(X)
        cost, grads = RIGHT(params, kept if len(kept) else X, rows(Y) if len(kept) else Y)
        return cost, jax.tree.map(lambda g: g * len(kept) / len(X), grads)
    assert found(check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=wrong)) == [("batch", None, cause)]


def test_one_bad_example_beyond_the_first_few_is_found():
    def wrong(params, X, Y):
        cost, grads = RIGHT(params, X, Y)
        hit = np.sum(np.asarray(X)[:, 0] == 77.0) / len(X)
        return cost, (*grads[:2], {**grads[2], "b": grads[2]["b"] + hit})
    many, targets = RNG.normal(size=(9, 4)), RNG.normal(size=(9, 3))
    many[7, 0] = 77.0
    report = check_network(NET, "quadratic", PARAMS, many, targets, value_and_grad=wrong)
    assert [(fault.site, fault.layer) for fault in report.faults] == [("bias", 2)], str(report)


@pytest.mark.slow
@pytest.mark.parametrize("size", [4, 6, 70])
def test_a_batch_of_one_size_alone_is_not_called_right(size):
    """Examples mixed in the one batch that was given, whose inputs are too many to be told apart."""
    def wrong(params, X, Y):
        cost, grads = RIGHT(params, X, Y)
        if len(X) != size:
            return cost, grads
        _, mixed = RIGHT(params, X[::-1], Y)
        return cost, ({**grads[0], "w": mixed[0]["w"]}, *grads[1:])
    points, targets = RNG.normal(size=(size, 4)), RNG.normal(size=(size, 3))
    report = check_network(NET, "quadratic", PARAMS, points, targets, value_and_grad=wrong)
    assert not report and {leaf.path for leaf in report.leaves if not all(leaf.right.values())} == {"[0]['w']"}, str(report)


def test_two_answers_are_not_repeatable():
    noise = np.random.default_rng(0)

    def restless(params, X, Y):
        cost, grads = RIGHT(params, X, Y)
        return cost, (*grads[:2], {**grads[2], "b": grads[2]["b"] + noise.normal()})
    (fault,) = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=restless).faults
    assert fault.cause == "not repeatable" and fault.leaf == "[2]['b']" and "two answers" in fault.message


@pytest.mark.slow
def test_a_function_that_does_not_use_its_batch_is_told_so():
    def deaf(params, *_):
        return RIGHT(params, X, Y)
    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=deaf)
    assert report and "does not use the X and Y" in report.notes[0]
    (fault,) = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=lambda *args: jax.tree.map(
        lambda g: 2 * g, deaf(*args)[1])).faults
    assert fault.site == "structure" and "does not use the X and Y" in fault.message


def test_other_shapes_on_other_batches_are_an_error_in_a_sentence():
    def squeezed(params, X, Y):
        cost, grads = RIGHT(params, X, Y)
        return cost, (*grads[:2], {**grads[2], "b": grads[2]["b"][None] if len(X) == 1 else grads[2]["b"]})
    with pytest.raises(ValueError, match=r"1 example.* leaf of shape \(1, 3\) in place of \(3,\).* any number of examples"):
        check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=squeezed)


def test_nan_is_named_with_the_step():
    def lost(params, X, Y):
        cost, grads = RIGHT(params, X, Y)
        return cost, (*grads[:1], {**grads[1], "w": grads[1]["w"].at[2, 3].set(jnp.nan)}, grads[2])
    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=lost)
    assert found(report) == [("weight", 1, "not a number")] and "[1]['w'][2,3]" in str(report)


def test_two_leaves_of_one_layer_are_both_blamed_and_its_delta_is_not():
    def wrong(params, X, Y):
        cost, grads = RIGHT(params, X, Y)
        return cost, (*grads[:1], {"w": 2 * grads[1]["w"], "b": -grads[1]["b"]}, grads[2])
    assert set(found(check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=wrong))) == {
        ("weight", 1, "factor"), ("bias", 1, "sign")}


def test_exchanged_leaves():
    net = fnn.mlp((6, 6, 6, 3), hidden="tanh")
    right, params = jax.jit(fnn.backprop.value_and_grad(net, "quadratic")), net.init(jax.random.key(0))

    def wrong(params, X, Y):
        cost, (one, two, three) = right(params, X, Y)
        return cost, ({**one, "w": two["w"]}, {**two, "w": one["w"]}, three)
    report = check_network(net, "quadratic", params, RNG.normal(size=(6, 6)), Y, value_and_grad=wrong)
    assert set(found(report)) == {("weight", 0, "exchanged leaves"), ("weight", 1, "exchanged leaves")}


def relu_homework(at_zero, factor=1.0):
    """A right backprop of 3-5-2 relu, but for what σ′ is at 0; `factor` spoils it elsewhere."""
    def value_and_grad(params, X, Y):
        (W0, b0), (W1, b1) = params
        z = X @ W0.T + b0
        a = np.maximum(z, 0)
        d1 = (a @ W1.T + b1 - Y) / len(X)
        d0 = d1 @ W1 * np.where(z == 0, at_zero, factor * (z > 0))
        return [(d0.T @ X, d0.sum(0)), (d1.T @ a, d1.sum(0))]
    return value_and_grad


@pytest.mark.parametrize(("at_zero", "excused"), few([(0.0, True), (0.5, True), (1.0, True), (3.0, False)], 1, 3))
def test_a_convention_at_a_kink_is_no_mistake(at_zero, excused):
    net = fnn.mlp((3, 5, 2), hidden="relu")
    params = [(np.array(p["w"]), np.array(p["b"])) for p in net.init(jax.random.key(0))]  # biases are 0
    points = RNG.normal(size=(6, 3))
    points[:2] = 0  # so that z = 0
    report = check_network(net, "quadratic", params, points, Y[:, :2], value_and_grad=relu_homework(at_zero))
    assert bool(report) is excused, str(report)
    if at_zero:
        assert not excused or "convention" in " ".join(report.notes)
    assert not check_network(net, "quadratic", params, points, Y[:, :2], value_and_grad=relu_homework(at_zero, 1.5))


def test_zero_biases_do_not_hide_a_derivative_without_them():
    net = fnn.mlp((3, 5, 2), hidden="tanh")
    params = [(np.array(p["w"]), np.array(p["b"])) for p in net.init(jax.random.key(0))]

    def forgets(params, X, Y):
        (W0, b0), (W1, b1) = params
        a = np.tanh(X @ W0.T + b0)
        d1 = (a @ W1.T + b1 - Y) / len(X)
        d0 = d1 @ W1 * (1 - np.tanh(X @ W0.T) ** 2)
        return [(d0.T @ X, d0.sum(0)), (d1.T @ a, d1.sum(0))]
    report = check_network(net, "quadratic", params, X[:, :3], Y[:, :2], value_and_grad=forgets)
    assert report, "what agrees at the user's own data is no fault"
    assert "at other parameters it is not: the pullback to delta0" in " ".join(report.notes)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [
    pytest.param(np.float32, marks=pytest.mark.xfail(strict=True, reason=(
        "a function that gives float32 is taken to compute in it: where terms cancel, 8 units of each hide this mistake"))),
    np.float16, ml_dtypes.bfloat16])
def test_a_small_mistake_under_rounding_is_found_and_rounding_alone_is_not_one(dtype):
    def rounded(scale):
        def value_and_grad(params, X, Y):
            cost, grads = RIGHT(params, X, Y)
            grads = jax.tree.map(np.asarray, grads)
            grads[1]["w"] = grads[1]["w"] * scale
            return cost, jax.tree.map(lambda g: g.astype(dtype), grads)
        return value_and_grad

    unit = float(jnp.finfo(dtype).eps) / 2
    assert check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=rounded(1))
    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=rounded(1 + 6 * unit))
    assert [(fault.site, fault.layer) for fault in report.faults] == [("weight", 1)], str(report)


@pytest.mark.slow
def test_a_block_is_blamed_once():
    net = fnn.sequential(4, dense(6, "tanh"), residual(dense(8, "tanh"), dense(6)), dense(3))
    right, params = jax.jit(fnn.backprop.value_and_grad(net, "quadratic")), net.init(jax.random.key(0))
    W = np.asarray(params[2]["w"])

    def wrong(params, X, Y):
        """δ of the block is doubled: its leaves, and what is below, follow."""
        cost, grads = right(params, X, Y)
        return cost, (*jax.tree.map(lambda g: 2 * g, grads[:2]), grads[2])
    report = check_network(net, "quadratic", params, X, Y, value_and_grad=wrong)
    assert W.shape == (3, 6) and found(report) == [("pullback", 1, "factor")], str(report)


def test_hence_is_computed_and_the_rest_is_cleared():
    def wrong(params, X, Y):
        cost, grads = RIGHT(params, X, Y)
        return cost, (*grads[:2], {**grads[2], "b": 3 * grads[2]["b"]})
    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=wrong)
    assert report.hence == "[2]['b'] wrong; correct once this step is replaced"
    assert "weight 2" in report.clear and "bias 2" not in report.clear and any("rounding" in text for text in report.cleared)


def test_assert_network_carries_the_report():
    assert assert_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=RIGHT)
    with pytest.raises(GradientError, match="penalty") as caught:
        assert_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=with_penalty(0.1))
    assert caught.value.report.faults[0].site == "penalty"


def numpy_homework(forward=lambda z: np.tanh(z), slope=lambda z: 1 - np.tanh(z) ** 2, head=lambda a, y: a - y,
                   each=lambda g: g.mean(axis=0)):
    """Backpropagation of a chain in NumPy, float64."""
    def value_and_grad(params, X, Y):
        a, zs = [np.asarray(X, np.float64)], []
        for i, p in enumerate(params):
            zs.append(a[-1] @ np.asarray(p["w"], np.float64).T + np.asarray(p["b"], np.float64))
            a.append(forward(zs[-1]) if i < len(params) - 1 else zs[-1])
        delta, grads = head(a[-1], np.asarray(Y, np.float64)), [None] * len(params)
        for i in reversed(range(len(params))):
            grads[i] = {"w": each(delta[:, :, None] * a[i][:, None, :]), "b": each(delta)}
            if i:
                delta = (delta @ np.asarray(params[i]["w"], np.float64)) * slope(zs[i - 1])
        return 0.0, tuple(grads)

    return value_and_grad


@pytest.mark.slow
def test_a_head_that_other_examples_enter_is_no_gradient_of_a_loss():
    """Alone, every example has the gradient of some loss; in a batch it has not, and a name for it would be wrong."""
    alone = numpy_homework(head=lambda a, y: a - y + 0.3 * np.tanh(a))
    assert found(check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=alone))[0][:2] == ("head", 2)
    met = numpy_homework(head=lambda a, y: a - y + 0.3 * np.tanh(a).sum(axis=0))
    causes = [cause for _, _, cause in found(check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=met))]
    assert causes and "another loss" not in causes


def test_every_leaf_of_every_example_cut_to_one_length_is_one_mistake():
    def cut(g):
        sizes = np.linalg.norm(g.reshape(len(g), -1), axis=1)
        return (g * np.minimum(1, 0.1 / sizes).reshape(-1, *[1] * (g.ndim - 1))).mean(axis=0)
    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=numpy_homework(each=cut))
    assert found(report) == [("batch", None, "clipped")], str(report)


def test_the_largest_example_of_each_leaf_left_out():
    def trimmed(g):
        return np.delete(g, np.linalg.norm(g.reshape(len(g), -1), axis=1).argmax(), axis=0).sum(axis=0) / len(g)
    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=numpy_homework(each=trimmed))
    assert found(report) == [("batch", None, "examples left out")], str(report)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_at_the_jump_of_a_step_rounding_decides_and_nothing_is_excused_by_it(sign):
    """JAX has step(0) = 0; here it is 1, so that the forward pass is another one in the examples that stand there."""
    net = fnn.mlp((4, 6, 3), hidden="step")
    params = jax.tree.map(lambda p: np.asarray(p, np.float64), net.init(jax.random.key(0)))
    inputs = np.concatenate([np.zeros((1, 4)), X[1:]])
    other = numpy_homework(forward=lambda z: (z >= 0) * 1.0, slope=np.zeros_like, head=lambda a, y: sign * (a - y))
    report = check_network(net, "quadratic", params, inputs, Y, value_and_grad=other)
    assert bool(report) == (sign > 0), str(report)


@pytest.mark.slow
@pytest.mark.parametrize(("net", "cause"), [
    (fnn.sequential(4, dense(6, "tanh"), residual(dense(6, "tanh")), dense(3)), "other weights"),
    (fnn.sequential(4, dense(6, "tanh"), fnn.layers.maxout(3, pieces=2)), "unexplained")])  # several matrices, not one
def test_weights_that_are_nobodys_are_told_through_blocks(net, cause):
    """The first layer's gradient of a twin network with other weights above, and everything else right."""
    params, rng = net.init(jax.random.key(0)), np.random.default_rng(2)
    inner = params[1][0] if isinstance(params[1], tuple) else params[1]
    V = rng.normal(size=inner["w"].shape)

    @jax.jit
    def wrong(params, X, Y):
        def cost(first, V):
            """With z of the layers above held, V enters the way back alone."""
            def one(x, y):
                a = jnp.tanh(first["w"] @ x + first["b"])
                layer = params[1][0] if isinstance(params[1], tuple) else params[1]
                z = jnp.einsum("...jk,k->...j", layer["w"], jax.lax.stop_gradient(a)) + layer["b"]
                z = z + jnp.einsum("...jk,k->...j", V, a - jax.lax.stop_gradient(a))
                if isinstance(params[1], tuple):
                    out = params[2]["w"] @ (a + jnp.tanh(z)) + params[2]["b"]
                else:
                    out = jnp.take_along_axis(z, jax.lax.stop_gradient(jnp.argmax(z, axis=0))[None], axis=0)[0]
                return 0.5 * jnp.sum((out - y) ** 2)
            return jnp.mean(jax.vmap(one)(X, Y))
        right = fnn.backprop.value_and_grad(net, "quadratic")(params, X, Y)[1]
        return (jax.grad(cost)(params[0], V), *right[1:])

    def function(params, X, Y):
        with jax.enable_x64(True):
            return 0.0, wrong(params, jnp.asarray(X), jnp.asarray(Y))

    report = check_network(net, "quadratic", params, X, Y, value_and_grad=function)
    assert found(report) == [("pullback", 0, cause)], str(report)
