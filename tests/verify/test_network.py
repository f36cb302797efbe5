"""check_network names the faulty step and the mistake, and accuses nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import functional_nn as fnn
from functional_nn.layers import dense, dropout, layer_norm, maxout, residual
from functional_nn.verify import check_network
from tests.slow import few

SIZES = (4, 6, 6, 3)
NET = fnn.mlp(SIZES, hidden="tanh")
PARAMS = NET.init(jax.random.key(0))
RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 3))


def sigmoid_slope(z):
    s = 1 / (1 + np.exp(-z))
    return s * (1 - s)


def homework(step=lambda name, layer, value, scene: value, dtype=np.float64):
    """A NumPy backprop of NET whose every step can be altered: step(name, layer, right value, all that is known)."""
    def value_and_grad(params, X, Y):
        W, b = [np.asarray(p["w"]) for p in params], [np.asarray(p["b"]) for p in params]
        a, z = [X], []
        for l in range(3):
            z.append(a[-1] @ W[l].T + b[l])
            a.append(np.tanh(z[-1]) if l < 2 else z[-1])
        scene = {"W": W, "b": b, "a": a, "z": z, "d": [None] * 3, "B": len(X), "Y": Y}
        d = scene["d"]
        d[2] = step("head", 2, (a[3] - Y) / len(X), scene)
        for l in (1, 0):
            scene["g"] = d[l + 1] @ W[l + 1]
            d[l] = step("pullback", l, scene["g"] * (1 - np.tanh(z[l]) ** 2), scene)
        grads = [{"w": step("weight", l, d[l].T @ a[l], scene), "b": step("bias", l, d[l].sum(0), scene)} for l in range(3)]
        cost = 0.5 * np.sum((a[3] - Y) ** 2) / len(X)
        return cost, tuple({name: leaf.astype(dtype) for name, leaf in layer.items()} for layer in grads)
    return value_and_grad


def altered(site, layer, change):
    """The homework with one step changed: change(right value, scene) -> value."""
    return homework(lambda name, l, value, scene: change(value, scene) if (name, l) == (site, layer) else value)


def with_entry(value, place, by):
    value = value.copy()
    value[place] = by(value)
    return value


MISTAKES = [
    ("head", 2, "sign", lambda v, s: -v),
    ("head", 2, "factor", lambda v, s: 2 * v),
    ("head", 2, "target ignored", lambda v, s: s["a"][3] / s["B"]),
    ("head", 2, "zero", lambda v, s: 0 * v),
    ("pullback", 1, "sign", lambda v, s: -v),
    ("pullback", 1, "missing derivative", lambda v, s: s["g"]),
    ("pullback", 0, "missing derivative", lambda v, s: s["g"]),
    ("pullback", 0, "doubled derivative", lambda v, s: v * (1 - np.tanh(s["z"][0]) ** 2)),
    ("pullback", 0, "another activation's derivative", lambda v, s: s["g"] * sigmoid_slope(s["z"][0])),
    ("pullback", 0, "derivative at a", lambda v, s: s["g"] * (1 - np.tanh(s["a"][1]) ** 2)),
    ("pullback", 0, "untransposed weight", lambda v, s: s["d"][1] @ s["W"][1].T * (1 - np.tanh(s["z"][0]) ** 2)),
    ("pullback", 0, "dead unit", lambda v, s: with_entry(v, (slice(None), 2), lambda v: 0)),
    ("pullback", 0, "shuffled examples", lambda v, s: s["g"] * np.roll(1 - np.tanh(s["z"][0]) ** 2, 1, axis=0)),
    ("pullback", 0, "updated weight", lambda v, s: s["d"][1] @ (s["W"][1] - 0.5 * s["d"][1].T @ s["a"][1])
     * (1 - np.tanh(s["z"][0]) ** 2)),
    ("pullback", 0, "cotangent ignored", lambda v, s: (1 - np.tanh(s["z"][0]) ** 2) / s["B"]),
    ("weight", 1, "transposed", lambda v, s: v.T),
    ("weight", 1, "pre-activation for activation", lambda v, s: s["d"][1].T @ s["z"][0]),
    ("weight", 1, "another layer's delta", lambda v, s: s["d"][0].T @ s["a"][1]),
    ("weight", 2, "another layer's activation", lambda v, s: s["d"][2].T @ s["a"][1]),
    ("weight", 1, "shuffled examples", lambda v, s: s["d"][1].T @ np.roll(s["a"][1], 1, axis=0)),
    ("weight", 1, "one example only", lambda v, s: np.outer(s["d"][1][0], s["a"][1][0])),
    ("weight", 1, "penalty added", lambda v, s: v + 1e-3 * s["W"][1]),
    ("weight", 1, "single entry", lambda v, s: with_entry(v, (2, 3), lambda v: -v[2, 3])),
    ("weight", 1, "swapped entries", lambda v, s: with_entry(v, ([2, 1], [3, 1]), lambda v: v[[1, 2], [1, 3]])),
    ("weight", 0, "clipped", lambda v, s: np.clip(v, -0.02, 0.02)),
    ("bias", 0, "zero", lambda v, s: 0 * v),
    ("bias", 2, "factor", lambda v, s: 3 * v),
    ("bias", 1, "divided twice", lambda v, s: v / s["B"]),
    ("bias", 1, "sum for mean", lambda v, s: v * s["B"]),
]


@pytest.mark.parametrize(("site", "layer", "cause", "change"), few(MISTAKES, *range(0, len(MISTAKES), 4)),
                         ids=lambda v: "" if callable(v) else str(v))
def test_one_mistake_is_found_where_it_is_and_named(site, layer, cause, change):
    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=altered(site, layer, change))
    assert [(fault.site, fault.layer, fault.cause) for fault in report.faults] == [(site, layer, cause)], str(report)


def test_the_right_homework_is_right():
    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=homework())
    assert report and not report.faults and all(all(leaf.right.values()) for leaf in report.leaves)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "allowed"), [(np.float32, 1e-5), (np.float16, 1e-2)])
def test_a_gradient_rounded_to_its_own_dtype_is_right(dtype, allowed):
    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=homework(dtype=dtype))
    assert report and next(iter(report.bounds.values())) <= allowed


@pytest.mark.parametrize(("factor", "cause"), [
    (lambda B: B, "sum for mean"), (lambda B: 1 / B, "divided twice"), (lambda B: B / max(B - 1, 1), "B - 1")])
def test_what_the_whole_batch_shares_is_one_fault(factor, cause):
    report = check_network(NET, "quadratic", PARAMS, X, Y,
                           value_and_grad=altered("head", 2, lambda v, s: v * factor(s["B"])))
    assert [(fault.site, fault.layer, fault.cause) for fault in report.faults] == [("batch", None, cause)]


def test_a_penalty_on_every_weight_is_one_fault_with_its_size():
    decayed = homework(lambda name, l, v, s: v + 1e-3 * s["W"][l] if name == "weight" else v)
    (fault,) = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=decayed).faults
    assert (fault.site, fault.cause) == ("penalty", "penalty added") and "0.001" in fault.message


def test_two_mistakes_are_told_apart():
    def step(name, layer, value, scene):
        if (name, layer) == ("pullback", 1):
            return scene["g"]
        return -value if (name, layer) == ("weight", 0) else value
    report = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=homework(step))
    assert {(fault.site, fault.layer, fault.cause) for fault in report.faults} == {
        ("pullback", 1, "missing derivative"), ("weight", 0, "sign")}


def test_an_unknown_mistake_is_unexplained_and_not_guessed():
    change = altered("pullback", 0, lambda v, s: np.sin(37 * v) * np.abs(s["z"][0]))
    (fault,) = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=change).faults
    assert (fault.site, fault.layer, fault.cause) == ("pullback", 0, "unexplained")


def test_not_summed_over_the_examples():
    (fault,) = check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=altered("bias", 1, lambda v, s: s["d"][1])).faults
    assert (fault.site, fault.layer, fault.leaf, fault.cause) == ("structure", 1, "[1]['b']", "missing reduction")


def in_layout(outer, inner, turned):
    """(params, value_and_grad) of the homework in another form: `outer` and `inner` make it, weights `turned` or not."""
    def to(params):
        return outer([inner(p["w"].T if turned else p["w"], p["b"]) for p in params])

    def back(params):
        layers = params if isinstance(params, list) else params["params"].values()
        pairs = [tuple(layer.values()) if isinstance(layer, dict) else layer for layer in layers]
        pairs = [pair if np.ndim(pair[0]) == 2 else pair[::-1] for pair in pairs]
        return [{"w": w.T if turned else w, "b": b} for w, b in pairs]

    return to(PARAMS), lambda params, X, Y: (0.0, to(altered("pullback", 1, lambda v, s: -v)(back(params), X, Y)[1]))


@pytest.mark.parametrize("turned", [False, True])
def test_lists_of_tuples_are_read(turned):
    params, function = in_layout(list, lambda w, b: (w, b), turned)
    (fault,) = check_network(NET, "quadratic", params, X, Y, value_and_grad=function).faults
    assert (fault.site, fault.layer, fault.cause, fault.leaf) == ("pullback", 1, "sign", "[1][0]")


def test_flax_parameters_are_read():
    params, function = in_layout(lambda layers: {"params": {f"Dense_{i}": p for i, p in enumerate(layers)}},
                                 lambda w, b: {"bias": b, "kernel": w}, True)
    (fault,) = check_network(NET, "quadratic", params, X, Y, value_and_grad=function).faults
    assert (fault.layer, fault.cause, fault.leaf) == (1, "sign", "['params']['Dense_1']['kernel']")


def test_a_function_that_changes_its_arguments_or_fails_is_said():
    def changes(params, X, Y):
        X += 1
        return homework()(params, X, Y)

    def fails(params, X, Y):
        raise ValueError("no such thing")
    with pytest.raises(ValueError, match="changed its argument X in place"):
        check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=changes)
    with pytest.raises(ValueError, match=r"value_and_grad of 6 example.s. failed: ValueError: no such thing"):
        check_network(NET, "quadratic", PARAMS, X, Y, value_and_grad=fails)


def test_parameters_of_another_network_are_refused():
    with pytest.raises(ValueError, match="params"):
        check_network(fnn.mlp((4, 5, 3)), "quadratic", PARAMS, X, Y, value_and_grad=homework())


ANY = st.sampled_from(["sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "gelu", "silu", "softmax", "linear", "step"])
BLOCKS = st.sampled_from([lambda a: dense(5, a), lambda a: maxout(5, 2), lambda a: layer_norm(), lambda a: dropout(0.3),
                          lambda a: residual(dense(4, a), dense(5, a)), lambda a: residual(layer_norm(), dense(5, a))])
PAIRS = st.sampled_from([("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy"), ("linear", "quadratic"),
                         ("tanh", "huber"), ("relu", "mae"), ("softmax", "quadratic"), ("linear", "hinge")])


@pytest.mark.slow
@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.lists(st.tuples(BLOCKS, ANY), max_size=4), PAIRS, st.integers(0, 9))
def test_no_right_gradient_is_accused(blocks, pair, seed):
    output, loss = pair
    net = fnn.sequential(5, *(block(activation) for block, activation in blocks), dense(3, output, init="nielsen"))
    keys = jax.random.split(jax.random.key(seed), 3)
    params, X = net.init(keys[0]), jax.random.normal(keys[1], (6, 5))
    Y = jax.random.randint(keys[2], (6,), 0, 3) if loss == "cross_entropy" else jax.random.uniform(keys[2], (6, 3))
    report = check_network(net, loss, params, X, Y, value_and_grad=jax.jit(fnn.backprop.value_and_grad(net, loss)))
    assert report, str(report)


@pytest.mark.slow
def test_faults_in_other_layers_than_dense():
    net = fnn.sequential(5, dense(6, "tanh"), maxout(6, 2), residual(layer_norm(), dense(6, "tanh")), dense(3))
    params, X, Y = net.init(jax.random.key(0)), jnp.asarray(RNG.normal(size=(6, 5))), jnp.asarray(RNG.normal(size=(6, 3)))
    right = jax.jit(fnn.backprop.value_and_grad(net, "quadratic"))

    def wrong(params, X, Y):
        cost, grads = right(params, X, Y)
        grads = jax.tree.map(lambda g: g, grads)
        grads[1]["w"] = -grads[1]["w"]
        grads[2][0]["gain"] = 2 * grads[2][0]["gain"]
        return cost, grads
    report = check_network(net, "quadratic", params, X, Y, value_and_grad=wrong)
    assert {(fault.site, fault.layer, fault.leaf, fault.cause) for fault in report.faults} == {
        ("weight", 1, "[1]['w']", "sign"), ("weight", 2, "[2][0]['gain']", "factor")}
