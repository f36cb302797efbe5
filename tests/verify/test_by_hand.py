"""Backpropagation by hand in NumPy, each step open to a change: what only batches show, heads of other losses."""

import itertools

import jax
import ml_dtypes
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.layers import dense, layer_norm, maxout
from functional_nn.verify import check_network
from tests.verify.by_hand import PARAMS, RNG, X, Y, by_hand, found, rounded


def reverse_bias(g, l, name, each):
    return g[::-1].copy() if (l, name) == (1, "b") else g



SUMS = {"B - 1": lambda each: each.sum(axis=0) / (len(each) - 1),
        "examples left out": lambda each: each[:-1].sum(axis=0) / len(each)}


def test_by_hand_is_right():
    assert found(by_hand()) == set()


@pytest.mark.slow
@pytest.mark.parametrize("cause", SUMS)
def test_where_one_example_says_nothing_it_is_shown_twice(cause):
    """B − 1 of one example is 0: division by it leaves NaN, and a sum without the last one is 0."""
    together = found(by_hand(summed=SUMS[cause], leaf=reverse_bias))
    assert together == {("batch", None, cause), ("bias", 1, "swapped entries")}
    doubled = found(by_hand(summed=SUMS[cause], pulled=lambda d, l, g, z: g if l == 0 else d))
    assert doubled == {("batch", None, cause), ("pullback", 0, "missing derivative")}


def only(site, change):
    """A leaf changed by (leaf, each example's)."""
    return lambda g, l, name, each: change(g, each) if (l, name) == site else g


@pytest.mark.slow
@pytest.mark.parametrize(("summed", "batch"), [
    (lambda each: each.sum(axis=0) / 32, "wrong divisor"), (lambda each: each.sum(axis=0), "sum for mean")])
@pytest.mark.parametrize(("change", "cause"), [
    (lambda g, each: 3 * g, "factor"), (lambda g, each: g / len(each), "divided twice"),
    (lambda g, each: each[0], "one example only")])
def test_a_leaf_beside_a_batch_that_is_summed_wrongly(summed, batch, change, cause):
    """In single examples each of them is the leaf times a number; only one is that in batches."""
    wanted = {("batch", None, batch), ("weight", 0, cause)}
    if (batch, cause) == ("sum for mean", "divided twice"):  # two mistakes that make a right leaf: the others are wrong
        wanted = {(site, l, batch) for site, l in itertools.product(("weight", "bias"), range(3)) if (site, l) != ("weight", 0)}
    assert found(by_hand(summed=summed, leaf=only((0, "W"), change))) == wanted


def test_one_mean_too_many_of_the_batch_and_another_on_the_way_down():
    again = by_hand(summed=lambda each: each.sum(axis=0) / len(each)**2,
                    pulled=lambda d, l, g, z: d / len(d) if l == 0 else d)
    assert found(again) == {("batch", None, "divided twice"), ("pullback", 0, "divided twice")}


def test_an_entry_that_is_wrong_in_some_examples_is_no_single_entry():
    """What comes back is clipped, and only one unit's is ever as large."""
    sizes = np.abs(by_hand_cotangents()).max(axis=0)
    limit = np.sort(sizes)[-2] * 1.01
    clipped = by_hand(pulled=lambda d, l, g, z: np.clip(g, -limit, limit) * (1 - np.tanh(z) ** 2) if l == 0 else d)
    causes = found(clipped)
    assert causes and not {cause for *_, cause in causes} & {"single entry"}, causes


def by_hand_cotangents():
    """W₁ᵀ δ₁ of every example."""
    seen = []
    by_hand(pulled=lambda d, l, g, z: seen.append(g) or d)(PARAMS, X, Y)
    return seen[-1]


def test_a_zero_gradient_that_rounds_to_bfloat16_is_zero():
    zero = rounded(lambda params, X, Y: jax.tree.map(np.zeros_like, params), ml_dtypes.bfloat16)
    assert found(zero) == {("head", 2, "zero")}


def test_a_leaf_that_is_summed_otherwise_than_all_others():
    first = by_hand(summed=SUMS["examples left out"],
                    leaf=lambda g, l, name, each: each[0] / len(each) if (l, name) == (0, "W") else g)
    assert found(first) == {("batch", None, "examples left out"), ("weight", 0, "one example only")}


@pytest.mark.slow
@pytest.mark.parametrize("pulled", [
    lambda d, l, g, z: 2 * d if l == 0 else d, lambda d, l, g, z: -d if l == 0 else d, lambda d, l, g, z: g if l == 0 else d])
def test_below_a_delta_that_is_centred_over_the_batch_steps_are_placed_too(pulled):
    """Of one example it is 0 then, shown twice as well."""
    centred = by_hand(head=lambda d, a, y: d - d.mean(axis=0), pulled=pulled)
    assert {(site, layer) for site, layer, _ in found(centred)} == {("head", 2), ("pullback", 0)}


@pytest.mark.slow
def test_a_delta_that_mixes_examples_is_not_blamed_on_the_layer_norm_below_it():
    net = fnn.sequential(4, dense(5, "tanh"), layer_norm(), dense(3))
    params = net.init(jax.random.key(3))
    with jax.enable_x64(True):
        x, y = np.asarray(X), np.asarray(Y)

        def averaged(params, X, Y):
            w0, b0 = (np.asarray(params[0][name], float) for name in "wb")
            gain, shift = (np.asarray(params[1][name], float) for name in ("gain", "bias"))
            w2, b2 = (np.asarray(params[2][name], float) for name in "wb")
            a0 = np.tanh(X @ w0.T + b0)
            spread = np.sqrt(a0.var(axis=1, keepdims=True) + 1e-5)
            hat = (a0 - a0.mean(axis=1, keepdims=True)) / spread
            a1, B = hat * gain + shift, len(X)
            d2 = (a1 @ w2.T + b2 - Y) / B
            d1 = np.broadcast_to((d2 @ w2).mean(axis=0), a1.shape)  # the mistake
            v = d1 * gain
            back = (v - v.mean(axis=1, keepdims=True) - hat * (v * hat).mean(axis=1, keepdims=True)) / spread
            d0 = back * (1 - a0**2)
            return ({"w": d0.T @ X, "b": d0.sum(0)}, {"gain": (d1 * hat).sum(0), "bias": d1.sum(0)},
                    {"w": d2.T @ a1, "b": d2.sum(0)})

        report = check_network(net, "quadratic", params, x, y, value_and_grad=averaged)
    assert [(f.site, f.layer, f.cause) for f in report.faults] == [("pullback", 1, "averaged too early")], str(report)


@pytest.mark.parametrize("dtype", [np.float64])
def test_every_leaf_of_each_example_is_cut(dtype):
    def cut(each):
        sizes = np.linalg.norm(each.reshape(len(each), -1), axis=1).reshape(-1, *[1] * (each.ndim - 1))
        return (each * np.minimum(1, 0.3 / sizes)).sum(axis=0) / len(each)
    assert found(rounded(by_hand(summed=cut), dtype)) == {("batch", None, "clipped")}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_penalty_beside_a_head_that_no_target_makes_zero(dtype):
    """Where the network fits perfectly, this head does not vanish, and the penalty cannot be read there."""
    def heavy(params, X, Y):
        return [(g + 0.05 * W * (np.sum(W**2, axis=1, keepdims=True) > 0.5), gb) for (g, gb), (W, _) in zip(
            by_hand(head=lambda d, a, y: a - 0.5 * y)(params, X, Y), params, strict=True)]
    causes = found(rounded(heavy, dtype))
    assert {cause for *_, cause in causes} == {"penalty added", "wrong target"}, causes


@pytest.mark.slow
def test_the_smaller_half_of_a_maxouts_bias():
    """Of one example half of its pieces are 0 anyway: only batches show it, and the median is another in each."""
    net = fnn.sequential(4, maxout(5), dense(3))
    right = jax.jit(fnn.backprop.value_and_grad(net, "quadratic"))

    def wrong(params, X, Y):
        cost, grads = right(params, X, Y)
        b = np.asarray(grads[0]["b"])
        return cost, ({**grads[0], "b": b * (np.abs(b) >= np.median(np.abs(b)))}, *grads[1:])
    assert {(site, layer) for site, layer, _ in found(wrong, net, net.init(jax.random.key(2)))} == {("bias", 0)}


@pytest.mark.slow
def test_a_decision_in_place_of_a_probability_is_another_loss():
    """Of a network that is sure, δ rounded to no decimals is the same."""
    net = fnn.mlp((4, 6, 3), hidden="tanh", output="softmax")
    params = [(np.asarray(p["w"], float), np.asarray(p["b"], float)) for p in net.init(jax.random.key(0))]
    params[-1] = (20 * params[-1][0], params[-1][1])
    labels = np.eye(3)[RNG.integers(3, size=len(X))]
    decided = by_hand(head=lambda d, z, y: np.eye(3)[z.argmax(axis=1)] - y)
    report = check_network(net, "cross_entropy", params, X, labels, value_and_grad=decided)
    assert [(f.site, f.layer, f.cause) for f in report.faults] == [("head", 1, "another loss")], str(report)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("head", [
    lambda d, a, y: d + 0.3 * np.tanh(a), lambda d, a, y: a / np.sqrt(1 + (a**2).sum(axis=1, keepdims=True)) - y,
    lambda d, a, y: np.tanh(a) - y + 0.03 * np.roll(a, 1, axis=1)])
def test_a_head_of_nobody_is_blamed_alone(head, dtype):
    """A small part is heard, behind the rounding to bfloat16 too."""
    assert {(site, layer) for site, layer, _ in found(rounded(by_hand(head=head), dtype))} == {("head", 2)}


@pytest.mark.slow
def test_a_small_update_is_placed_behind_the_rounding():
    """W − 0.01 dW for W, which is smaller than what bfloat16 leaves of most entries."""
    def wrong(params, X, Y):
        (W0, b0), (W1, b1), (W2, b2) = params
        dW2 = by_hand()(params, X, Y)[2][0]
        delta = np.tanh(np.tanh(X @ W0.T + b0) @ W1.T + b1) @ W2.T + b2 - Y
        return by_hand(pulled=lambda d, l, g, z: delta @ (W2 - 0.01 * dW2) * (1 - np.tanh(z) ** 2) if l == 1 else d)(
            params, X, Y)
    assert {(site, layer) for site, layer, _ in found(rounded(wrong, ml_dtypes.bfloat16))} == {("pullback", 1)}



@pytest.mark.slow
@pytest.mark.parametrize(("share", "right"), [(1.0, True), (0.0, True), (0.5, True), (1.5, False)])
def test_pieces_that_tie_at_zero_send_back_what_any_of_them_would(share, right):
    """Inputs and biases of 0: every unit of the maxout has two pieces with the same z and other weights."""
    net = fnn.sequential(4, dense(5), maxout(3), dense(2))
    params = net.init(jax.random.key(4))

    def by_share(params, X, Y):
        """The first piece has this share of the gradient, where they tie."""
        (w0, b0), (w1, b1), (w2, b2) = ((np.asarray(v, float) for v in p.values()) for p in (
            {name: p[name] for name in "wb"} for p in params))
        a0 = X @ w0.T + b0
        z1 = np.einsum("pjk,bk->bpj", w1, a0) + b1
        won = (z1 == z1.max(axis=1, keepdims=True)) * 1.0
        tie = won.sum(axis=1, keepdims=True) > 1
        won = np.where(tie, np.array([share, 1 - share])[None, :, None], won)
        a1 = z1.max(axis=1)
        d2 = (a1 @ w2.T + b2 - Y) / len(X)
        d1 = won * (d2 @ w2)[:, None]
        d0 = np.einsum("bpj,pjk->bk", d1, w1)
        return ({"w": d0.T @ X, "b": d0.sum(0)}, {"w": np.einsum("bpj,bk->pjk", d1, a0), "b": d1.sum(0)},
                {"w": d2.T @ a1, "b": d2.sum(0)})

    report = check_network(net, "quadratic", params, np.zeros((4, 4)), RNG.normal(size=(4, 2)), value_and_grad=by_share)
    assert bool(report) == right, str(report)
