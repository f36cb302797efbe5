"""Mistakes that people make, each written into a backpropagation by hand, are called by their names."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.layers import dense, layer_norm, residual
from functional_nn.verify import check_network
from tests.slow import few
from tests.verify.by_hand import PARAMS, RNG, X, Y, by_hand, found, rounded

CLASSES = fnn.mlp((4, 6, 3), hidden="tanh", output="softmax")
OF_CLASSES = [(np.asarray(p["w"], float), np.asarray(p["b"], float)) for p in CLASSES.init(jax.random.key(0))]
LABELS = np.eye(3)[[0, 1, 2, 0, 1, 2]]


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def through_softmax(a, g):
    return a * (g - (a * g).sum(axis=1, keepdims=True))


def of_classes(head, dtype=np.float64):
    """What is said of a head of softmax and cross-entropy, (z, y) -> δ."""
    wrong = rounded(by_hand(head=lambda d, z, y: head(z, y)), dtype)
    return found(wrong, CLASSES, OF_CLASSES, loss="cross_entropy", Y=LABELS)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize(("head", "cause"), [
    (lambda z, y: through_softmax(softmax(z), softmax(softmax(z)) - y), "activation twice"),
    (lambda z, y: -y * np.log(softmax(z)), "loss for derivative"), (lambda z, y: np.exp(z) - y, "another loss")])
def test_heads_of_classes(head, cause, dtype):
    """The loss on logits that is given probabilities, the loss not derived, a softmax without its denominator."""
    assert of_classes(head, dtype) == {("head", 1, cause)}


@pytest.mark.slow
@pytest.mark.parametrize(("targets", "cause"), [
    (lambda y: y - y.mean(), "wrong target"), (lambda y: y - y.mean(axis=0), "wrong target"),
    (lambda y: 0.5 * (y + np.roll(y, 1, axis=0)), "wrong target"), (lambda y: np.roll(y, 1, axis=0), "shuffled examples")])
def test_targets_of_the_whole_batch(targets, cause):
    """Of one example they are other targets, or none, or right."""
    assert found(by_hand(head=lambda d, a, y: a - targets(y))) == {("head", 2, cause)}


@pytest.mark.parametrize(("pulled", "cause"), [
    (lambda g, z: g + (1 - np.tanh(z) ** 2), "wrong product"), (lambda g, z: 1 - np.tanh(g) ** 2, "derivative elsewhere"),
    (lambda g, z: g * (1 - np.tanh((z - z.mean(axis=0)) / z.std(axis=0)) ** 2), "derivative elsewhere")])
def test_derivatives(pulled, cause):
    """A sum for a product, σ′ of what comes back, σ′ at z that is standardised over the batch, which one example has not."""
    assert found(by_hand(pulled=lambda d, l, g, z: pulled(g, z) if l == 0 else d)) == {("pullback", 0, cause)}


@pytest.mark.slow
@pytest.mark.parametrize(("change", "cause"), [
    (np.abs, "rectified"), (np.sign, "signs alone"), (lambda d: np.clip(d, -0.1, 0.1), "clipped"), (softmax, "normalised"),
    (lambda d: d * (np.abs(d) == np.abs(d).max(axis=1, keepdims=True)), "entries left out")])
def test_what_becomes_of_a_delta_before_it_goes_on(change, cause):
    """With as many units below as above it cannot be solved for."""
    net = fnn.mlp((4, 5, 5, 3), hidden="tanh")
    params = [(np.asarray(p["w"], float), np.asarray(p["b"], float)) for p in net.init(jax.random.key(0))]

    def wrong(params, X, Y):
        above = []

        def pulled(d, l, g, z):
            above.append(d)
            return d if l else change(above[0]) @ params[1][0] * (1 - np.tanh(z) ** 2)
        return by_hand(pulled=pulled)(params, X, Y)
    assert found(every_leaf(wrong), net, params) == {("pullback", 0, cause)}


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16])
def test_weights_in_half_precision(kind):
    def wrong(params, X, Y):
        above = []

        def pulled(d, l, g, z):
            above.append(d)
            return d if l else above[0] @ params[1][0].astype(kind).astype(float) * (1 - np.tanh(z) ** 2)
        return by_hand(pulled=pulled)(params, X, Y)
    assert found(wrong) == {("pullback", 0, "other weights")}


@pytest.mark.parametrize(("leaf", "cause"), [
    (lambda g, w: w - 0.1 * g, "update for gradient"), (lambda g, w: g * w, "wrong product"),
    (lambda g, w: g * (np.abs(w) > 0.3), "entries left out"), (lambda g, w: g / (np.abs(g) + 1e-8), "signs alone"),
    (lambda g, w: g / (np.linalg.norm(g) + 1e-8), "normalised")])
def test_leaves_made_with_the_weight(leaf, cause):
    def wrong(params, X, Y):
        def change(g, l, name, each):
            return leaf(g, params[1][0]) if (l, name) == (1, "W") else g
        return by_hand(leaf=change)(params, X, Y)
    assert found(every_leaf(wrong)) == {("weight", 1, cause)}


@pytest.mark.parametrize(("of", "bias", "updated"), [
    (lambda p: p, 0.0, True), (lambda p: p, 0.2, True)])
def test_parameters_after_a_step_in_place_of_gradients(of, bias, updated):
    def wrong(params, X, Y):
        return jax.tree.map(lambda p, g: of(p) - 0.1 * g, params, by_hand()(params, X, Y))
    assert updated and found(wrong, params=[(W, b + bias) for W, b in PARAMS]) == {("batch", None, "update for gradient")}


def test_a_leaf_of_zeros_is_no_gradient_of_the_inputs():
    def wrong(params, X, Y):
        grads = by_hand()(params, X, Y)
        return [*grads[:2], (np.zeros((len(X), 5)), grads[2][1])]
    assert {cause for *_, cause in found(wrong)} == {"unexplained"}


def test_the_gradient_for_the_inputs_in_place_of_the_weights():
    def wrong(params, X, Y):
        grads, kept = by_hand()(params, X, Y), []
        by_hand(pulled=lambda d, l, g, z: kept.append(g) or d)(params, X, Y)
        return [*grads[:2], (kept[0], grads[2][1])]
    assert found(wrong) == {("structure", 2, "gradient of the inputs")}


def every_leaf(gradient):
    """The mean of what each example has by itself."""
    return lambda params, X, Y: jax.tree.map(
        lambda *g: np.mean(g, axis=0), *(gradient(params, X[i:i + 1], Y[i:i + 1]) for i in range(len(X))))


@pytest.mark.slow
def test_the_root_of_the_mean_square_over_the_batch():
    """Of one example it is the size of every entry."""
    assert found(by_hand(summed=lambda each: np.sqrt((each**2).mean(axis=0)))) == {("batch", None, "wrong reduction")}


@pytest.mark.parametrize("of", [lambda B: 1 / np.log(B + 1), lambda B: 1 / (B**2 + 1)])
def test_any_divisor_that_goes_with_the_batch(of):
    causes = {cause for *_, cause in found(by_hand(summed=lambda each: each.sum(axis=0) * of(len(each))))}
    assert "wrong divisor" in causes and "unexplained" not in causes


@pytest.mark.parametrize("back", few([
    lambda v, d, a, x, s: (v - v.mean(1, keepdims=True) - a * (v * a).mean(1, keepdims=True)) / s,
    lambda v, d, a, x, s: (v - d.mean(1, keepdims=True) - x * (v * x).mean(1, keepdims=True)) / s,
    lambda v, d, a, x, s: (v - v.mean(1, keepdims=True) - (v * x).mean(1, keepdims=True)) / s,
    lambda v, d, a, x, s: (v - v.mean(1, keepdims=True) - x * (v * x).sum(1, keepdims=True)) / s], 0))
def test_layer_norms_terms(back):
    net = fnn.sequential(4, dense(5, "tanh"), layer_norm(), dense(3))
    params = jax.tree.map(lambda p: np.asarray(p, float) + 0.3 * RNG.normal(size=p.shape), net.init(jax.random.key(3)))

    def wrong(params, X, Y):
        (w0, b0), (gain, shift), (w2, b2) = (tuple(p[name] for name in names) for p, names in zip(
            params, (("w", "b"), ("gain", "bias"), ("w", "b")), strict=True))
        a = np.tanh(X @ w0.T + b0)
        s = np.sqrt(a.var(axis=1, keepdims=True) + 1e-5)
        x = (a - a.mean(axis=1, keepdims=True)) / s
        d2 = ((x * gain + shift) @ w2.T + b2 - Y) / len(X)
        d1 = d2 @ w2
        d0 = back(gain * d1, d1, a, x, s) * (1 - a**2)
        return ({"w": d0.T @ X, "b": d0.sum(0)}, {"gain": (d1 * x).sum(0), "bias": d1.sum(0)},
                {"w": d2.T @ (x * gain + shift), "b": d2.sum(0)})
    assert found(wrong, net, params) == {("pullback", 0, "wrong statistics")}


@pytest.mark.slow
def test_the_delta_of_a_block_behind_rounding():
    """A block has no leaves: its δ shows as that of its last layer."""
    net = fnn.sequential(5, residual(dense(5, "tanh")), dense(3))
    params = net.init(jax.random.key(5))
    x = RNG.normal(size=(6, 5))

    def wrong(params, X, Y):
        ((p0,), p1), X = (jax.tree.map(lambda p: np.asarray(p, np.float32), tuple(params))), np.float32(X)
        a0 = np.tanh(X @ p0["w"].T + p0["b"])
        d1 = ((X + a0) @ p1["w"].T + p1["b"] - np.float32(Y)) / len(X)
        d0 = (d1 @ p1["w"]) * fnn.activations.sigmoid.derivative(jnp.asarray(X + a0)) * (1 - a0**2)  # a σ′ too many
        grads = (({"w": d0.T @ X, "b": d0.sum(0)},), {"w": d1.T @ (X + a0), "b": d1.sum(0)})
        return jax.tree.map(lambda g: np.asarray(g).astype(ml_dtypes.bfloat16), grads)
    report = check_network(net, "quadratic", params, x, Y, value_and_grad=wrong)
    assert [(f.site, f.cause) for f in report.faults] == [("pullback", "another activation's derivative")], str(report)


@pytest.mark.slow
def test_a_leaf_made_from_the_delta_below_behind_rounding():
    net = fnn.mlp((4, 5, 5), hidden="sigmoid", output="softmax")
    params = net.init(jax.random.key(5))
    labels = np.eye(5)[[0, 1, 2, 3, 4, 0]]

    def wrong(params, X, Y):
        p0, p1 = (jax.tree.map(lambda p: np.asarray(p, np.float32), p) for p in params)
        X, Y = np.float32(X), np.float32(Y)
        a0 = 1 / (1 + np.exp(-(X @ p0["w"].T + p0["b"])))
        d1 = (softmax(a0 @ p1["w"].T + p1["b"]) - Y) / len(X)
        d0 = (d1 @ p1["w"]) * a0 * (1 - a0)
        grads = ({"w": d0.T @ X, "b": d0.sum(0)}, {"w": d0.T @ a0, "b": d0.sum(0)})
        return jax.tree.map(lambda g: g.astype(ml_dtypes.bfloat16), grads)
    report = check_network(net, "cross_entropy", params, X, labels, value_and_grad=wrong)
    assert [(f.site, f.layer, f.cause) for f in report.faults] == [
        ("weight", 1, "another layer's delta"), ("bias", 1, "another layer's delta")], str(report)


def of_a_block(inside):
    """A block's backpropagation; `inside`: (∂L/∂σ of its layer, σ′) -> δ of that layer."""
    def gradient(params, X, Y):
        (p0,), p1 = params
        a0 = np.tanh(X @ p0["w"].T + p0["b"])
        d1 = ((X + a0) @ p1["w"].T + p1["b"] - Y) / len(X)
        d0 = inside(d1 @ p1["w"], 1 - a0**2)
        return (({"w": d0.T @ X, "b": d0.sum(0)},), {"w": d1.T @ (X + a0), "b": d1.sum(0)})
    return gradient


@pytest.mark.slow
@pytest.mark.parametrize(("inside", "cause", "yours"), [
    (lambda g, slope: g, "missing derivative", "d0"),
    (lambda g, slope: g.sum(axis=1, keepdims=True) * slope, "wrong axis", "(d0).sum() * tanh'(z0.0)")])
def test_the_last_layer_of_a_block_has_no_weights_above_it(inside, cause, yours):
    """Its ∂L/∂σ is the block's δ; formulas tell the two apart."""
    net = fnn.sequential(4, residual(dense(4, "tanh")), dense(3))
    params = jax.tree.map(np.asarray, net.init(jax.random.key(5)))
    (fault,) = check_network(net, "quadratic", params, X, Y, value_and_grad=of_a_block(inside)).faults
    assert (fault.site, fault.layer, fault.cause) == ("pullback", 0, cause)
    assert (fault.yours, fault.wanted) == (yours, "(d0) * tanh'(z0.0)")


def test_a_delta_that_is_added_is_written_beside_the_right_one():
    net = fnn.mlp((4, 5, 5, 3), hidden="tanh")
    params = [(np.asarray(p["w"], float), np.asarray(p["b"], float)) for p in net.init(jax.random.key(0))]
    above = []

    def pulled(d, l, g, z):
        above.append(d)
        return d if l else d + above[-2]
    (fault,) = check_network(net, "quadratic", params, X, Y, value_and_grad=by_hand(pulled=pulled)).faults
    assert (fault.cause, fault.yours) == ("added to another", "(W1.T @ d1) * tanh'(z0) + d1")


@pytest.mark.slow
def test_a_skip_forgotten_where_the_block_is_wrong_inside_too():
    """The block's part is that of its own wrong δ."""
    net = fnn.sequential(4, dense(5, "tanh"), residual(dense(5, "tanh")), dense(3))
    params = jax.tree.map(np.asarray, net.init(jax.random.key(5)))

    def wrong(params, X, Y):
        p0, (p1,), p2 = params
        a0 = np.tanh(X @ p0["w"].T + p0["b"])
        h = np.tanh(a0 @ p1["w"].T + p1["b"])
        d2 = ((a0 + h) @ p2["w"].T + p2["b"] - Y) / len(X)
        d1 = d2 @ p2["w"] * (1 - h**2) ** 2
        d0 = d1 @ p1["w"] * (1 - a0**2)
        return ({"w": d0.T @ X, "b": d0.sum(0)}, ({"w": d1.T @ a0, "b": d1.sum(0)},), {"w": d2.T @ (a0 + h), "b": d2.sum(0)})
    faults = check_network(net, "quadratic", params, X, Y, value_and_grad=wrong).faults
    assert [(f.layer, f.cause, f.yours) for f in faults] == [
        (1, "doubled derivative", "(d1) * tanh'(z1.0) * tanh'(z1.0)"),
        (0, "skip connection forgotten", "(the block's part alone) * tanh'(z0)")]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("of", [lambda d, a, h: d + d**3 * np.exp(a), lambda d, a, h: d + d**3 * np.exp(h)])
def test_a_head_that_is_of_no_known_loss_has_no_name(of, dtype):
    """That it is the gradient of some loss of the outputs is not told from looks at single examples."""
    def wrong(params, X, Y):
        (W0, b0), (W1, b1), _ = params
        h = np.tanh(np.tanh(X @ W0.T + b0) @ W1.T + b1)
        return by_hand(head=lambda d, a, y: of(d, a, h[:, :3]))(params, X, Y)
    assert found(rounded(wrong, dtype)) == {("head", 2, "unexplained")}


@pytest.mark.slow
def test_targets_of_each_class_are_not_read_off_a_constant():
    """Where the outputs are all but the same for every example, a − t[y] is any table of the classes."""
    small = [(W, b) if l == 0 else (1e-3 * W, b) for l, (W, b) in enumerate(OF_CLASSES)]
    table = np.array([[3.0, -1, -1], [-2, 1, 1], [0.5, -4, 2]])
    wrong = rounded(by_hand(head=lambda d, a, y: np.tanh(y @ table + 0.1 * a)), ml_dtypes.bfloat16)
    causes = {cause for *_, cause in found(wrong, CLASSES, small, loss="cross_entropy", Y=LABELS)}
    assert causes and "wrong target" not in causes


def test_one_entry_is_no_mask_of_the_weights():
    """Some entry of W is the smallest."""
    place = np.unravel_index(np.argmin(np.abs(PARAMS[1][0])), PARAMS[1][0].shape)

    def leaf(g, l, name, each):
        g = g.copy()
        g[place if (l, name) == (1, "W") else ()] *= 0.0 if (l, name) == (1, "W") else 1.0
        return g
    assert found(by_hand(leaf=leaf)) == {("weight", 1, "single entry")}
