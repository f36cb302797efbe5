"""check_intermediates blames the one step that is wrong, in any architecture, for JAX and for NumPy forward passes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn.verify import check_intermediates
from tests.slow import few

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def broadcasting():
    """Vectors are added to the rows of matrices, as everybody writes it."""
    with jax.numpy_rank_promotion("allow"):
        yield


def wrong(fault, name, right, instead):
    """A step of a backward pass: `instead` of `right` where this is the fault."""
    return instead if fault == name else right


# --- batch norm, ReLU and softmax cross-entropy

def norm_forward(p, x, y, tap, np=jnp):
    h = tap("h", x @ p["W"])
    mu = tap("mu", h.mean(axis=0))
    d = tap("d", h - mu)
    var = tap("var", (d**2).mean(axis=0))
    hat = tap("hat", d * (var + 1e-5) ** -0.5)
    out = tap("out", np.maximum(p["gamma"] * hat + p["beta"], 0))
    s = tap("s", out @ p["V"])
    top = s.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(s - top).sum(axis=1)) + top[:, 0] - (s * y).sum(axis=1))


def norm_backward(p, x, y, fault=None):
    h = x @ p["W"]
    d = h - h.mean(0)
    var = (d**2).mean(0)
    inv = (var + 1e-5) ** -0.5
    hat = d * inv
    z = p["gamma"] * hat + p["beta"]
    s = np.maximum(z, 0) @ p["V"]
    e = np.exp(s - s.max(1, keepdims=True))
    ds = (e / e.sum(1, keepdims=True) - y) / len(x)
    dout = ds @ p["V"].T
    dz = dout * (z > 0)
    dhat = dz * p["gamma"]
    dvar = wrong(fault, "var", -0.5 * (dhat * d).sum(0) * (var + 1e-5) ** -1.5, -0.5 * (dhat * d).sum(0) * inv)
    dd = dhat * inv + wrong(fault, "d", 2 / len(x) * d * dvar, 0)
    dmu = -dd.sum(0)
    dh = dd + wrong(fault, "h", dmu / len(x), 0)
    return ({"W": x.T @ dh, "gamma": (dz * hat).sum(0), "beta": dz.sum(0), "V": np.maximum(z, 0).T @ ds},
            {"h": dh, "mu": dmu, "d": dd, "var": dvar, "hat": dhat, "out": dout, "s": ds})


NORM = ({"W": RNG.normal(size=(3, 4)), "gamma": RNG.normal(size=4), "beta": RNG.normal(size=4), "V": RNG.normal(size=(4, 3))},
        RNG.normal(size=(6, 3)), np.eye(3)[RNG.integers(3, size=6)])


# --- attention of one head

def head_forward(p, x, y, tap, np=jnp):
    q, k, v = (tap(name, x @ p[f"W{name}"]) for name in "qkv")
    scores = tap("scores", q @ k.T / 2.0)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    a = tap("a", e / e.sum(axis=1, keepdims=True))
    o = tap("o", a @ v)
    return 0.5 * np.sum((o - y) ** 2)


def head_backward(p, x, y, fault=None):
    q, k, v = (x @ p[f"W{name}"] for name in "qkv")
    scores = q @ k.T / 2.0
    e = np.exp(scores - scores.max(1, keepdims=True))
    a = e / e.sum(1, keepdims=True)
    do = a @ v - y
    dv, da = a.T @ do, do @ v.T
    dv = wrong(fault, "v", dv, a @ do)
    dscores = wrong(fault, "scores", a * (da - (da * a).sum(1, keepdims=True)), a * (1 - a) * da)
    dq, dk = dscores @ k / 2.0, dscores.T @ q / 2.0
    dk = wrong(fault, "k", dk, 2 * dk)
    return {f"W{n}": x.T @ d for n, d in (("q", dq), ("k", dk), ("v", dv))}, {
        "q": dq, "k": dk, "v": dv, "scores": dscores, "a": da, "o": do}


HEAD = ({name: RNG.normal(size=(3, 4)) for name in ("Wq", "Wk", "Wv")}, RNG.normal(size=(5, 3)), RNG.normal(size=(5, 4)))


# --- one step of an LSTM

def lstm_forward(p, x, h, c, tap, np=jnp):
    z = tap("z", p["W"] @ np.concatenate([x, h]) + p["b"])
    i, f, o = (tap(name, 1 / (1 + np.exp(-z[4 * n:4 * n + 4]))) for n, name in enumerate("ifo"))
    g = tap("g", np.tanh(z[12:]))
    new = tap("c", f * c + i * g)
    out = tap("h", o * np.tanh(new))
    return np.sum(out**2) + np.sum(new)


def lstm_backward(p, x, h, c, fault=None):
    z = p["W"] @ np.concatenate([x, h]) + p["b"]
    (i, f, o), g = (1 / (1 + np.exp(-z[4 * n:4 * n + 4])) for n in range(3)), np.tanh(z[12:])
    new = f * c + i * g
    dh = 2 * o * np.tanh(new)
    dc = 1 + wrong(fault, "c", dh * o * (1 - np.tanh(new) ** 2), np.zeros(4))
    do, df = dh * np.tanh(new), wrong(fault, "f", dc * c, dc * g)
    di, dg = dc * g, dc * i
    dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)])
    dz = wrong(fault, "z", dz, np.concatenate([dz[:12], dg]))
    return {"W": np.outer(dz, np.concatenate([x, h])), "b": dz}, {
        "z": dz, "i": di, "f": df, "o": do, "g": dg, "c": dc, "h": dh}


LSTM = ({"W": RNG.normal(size=(16, 7)), "b": RNG.normal(size=16)}, RNG.normal(size=3), RNG.normal(size=4), RNG.normal(size=4))


# --- a convolution, ReLU and a sum

def patches(x):
    return np.stack([x[:, i:i + 4, j:j + 4] for i in range(3) for j in range(3)], axis=-1)


def conv_forward(p, x, y, tap, np=jnp):
    columns = np.stack([x[:, i:i + 4, j:j + 4] for i in range(3) for j in range(3)], axis=-1)
    z = tap("z", np.einsum("nijk,ck->ncij", columns, p["K"]) + p["b"][:, None, None])
    a = tap("a", np.maximum(z, 0))
    pooled = tap("pooled", a.reshape(len(x), -1, 2, 2, 2, 2).mean(axis=(3, 5)))
    return 0.5 * np.sum((np.einsum("ncij,cij->n", pooled, p["V"]) - y) ** 2)


def conv_backward(p, x, y, fault=None):
    z = np.einsum("nijk,ck->ncij", patches(x), p["K"]) + p["b"][:, None, None]
    pooled = np.maximum(z, 0).reshape(len(x), -1, 2, 2, 2, 2).mean(axis=(3, 5))
    d = np.einsum("ncij,cij->n", pooled, p["V"]) - y
    dpooled = d[:, None, None, None] * p["V"]
    da = np.repeat(np.repeat(dpooled, 2, axis=2), 2, axis=3) / 4
    da = wrong(fault, "a", da, np.tile(dpooled, (1, 1, 2, 2)) / 4)
    dz = wrong(fault, "z", da * (z > 0), da)
    dK = np.einsum("nijk,ncij->ck", patches(x), dz)
    dK = wrong(fault, "['K']", dK, dK[:, ::-1])
    return {"K": dK, "b": dz.sum(axis=(0, 2, 3)), "V": np.einsum("n,ncij->cij", d, pooled)}, {"z": dz, "a": da, "pooled": dpooled}


CONV = ({"K": RNG.normal(size=(2, 9)), "b": RNG.normal(size=2), "V": RNG.normal(size=(2, 2, 2))}, RNG.normal(size=(3, 6, 6)),
        RNG.normal(size=3))

CASES = {"batch norm": (norm_forward, norm_backward, NORM), "attention": (head_forward, head_backward, HEAD),
         "LSTM": (lstm_forward, lstm_backward, LSTM), "convolution": (conv_forward, conv_backward, CONV)}
FAULTS = {  # the planted fault's place, and its cause
    "batch norm": {"var": "unexplained", "d": "share forgotten", "h": "share forgotten"},
    "attention": {"v": "unexplained", "scores": "unexplained", "k": "factor"},
    "LSTM": {"c": "share forgotten", "f": "unexplained", "z": "unexplained"},
    "convolution": {"a": "swapped entries", "z": "unexplained", "['K']": "swapped entries"}}


def in_numpy(forward):
    return lambda *args: forward(*args, np=np)


@pytest.mark.parametrize(("name", "numpy"), few([(name, numpy) for name in CASES for numpy in (False, True)], 3))
def test_the_step_with_the_fault_is_blamed_alone(name, numpy):
    forward, backward, point = CASES[name]
    if numpy:
        forward = in_numpy(forward)
    report = check_intermediates(forward, backward, *point)
    assert report and list(report.bounds) == ["fd" if numpy else "autodiff"], str(report)
    for fault, cause in FAULTS[name].items():
        report = check_intermediates(forward, lambda *args, fault=fault: backward(*args, fault=fault), *point)
        assert [each.leaf for each in report.faults] == [fault], (fault, str(report))
        assert report.faults[0].cause in (cause, "unexplained"), (fault, str(report))
        assert numpy or report.faults[0].cause == cause, (fault, str(report))


def test_several_faults_are_each_placed():
    def backward(p, x, y):
        grads, taps = head_backward(p, x, y, "scores")
        return {**grads, "Wv": 2 * grads["Wv"]}, taps

    report = check_intermediates(head_forward, backward, *HEAD)
    assert {(fault.leaf, fault.cause) for fault in report.faults} == {("scores", "unexplained"), ("['Wv']", "factor")}


def test_with_fewer_taps_a_fault_is_placed_between_two_of_them():
    """The step behind a tap that has no gradient is checked together with those that use it."""
    def backward(p, x, y, fault):
        grads, taps = norm_backward(p, x, y, fault)
        return grads, {name: taps[name] for name in ("h", "hat", "s")}

    for fault in ("var", "d", "h"):
        report = check_intermediates(norm_forward, lambda *args, fault=fault: backward(*args, fault), *NORM)
        assert [each.leaf for each in report.faults] == ["h"], str(report)
        assert any("gradient of 'var'" in note for note in report.notes)


def test_a_value_of_many_entries_is_measured_along_directions():
    def forward(p, tap):
        return np.sum(tap("big", np.tanh(np.outer(p["u"], p["v"]))) ** 2)

    def backward(p, times=1.0):
        big = np.tanh(np.outer(p["u"], p["v"]))
        d = 2 * big
        inner = times * d * (1 - big**2)
        return {"u": inner @ p["v"], "v": inner.T @ p["u"]}, {"big": d}

    p = {"u": RNG.normal(size=40), "v": RNG.normal(size=30)}
    assert check_intermediates(forward, backward, p)
    assert {fault.leaf for fault in check_intermediates(forward, lambda p: backward(p, 1.001), p).faults} == {"['u']", "['v']"}


@pytest.mark.parametrize(("forward", "backward", "words"), [
    (lambda p, tap: jnp.sum(p), lambda p: (p, {}), "names no tap"),
    (lambda p, tap: jnp.sum(tap("a", p)) + jnp.sum(tap("a", p)), lambda p: (p, {}), "named twice"),
    (lambda p, tap: tap("a", p), lambda p: (p, {}), "must return the loss, one number"),
    (lambda p, tap: jnp.sum(tap("a", p)), lambda p: p, "must return .gradient shaped like params"),
    (lambda p, tap: jnp.sum(tap("a", p)), lambda p: (np.ones(3), {"b": p}), "gradient of 'b', which forward does not tap")])
def test_what_cannot_be_checked_is_said_in_a_sentence(forward, backward, words):
    with pytest.raises((TypeError, ValueError), match=words):
        check_intermediates(forward, backward, np.ones(3))


def test_a_gradient_of_another_shape_is_a_fault_of_its_name():
    report = check_intermediates(lambda p, tap: jnp.sum(tap("a", 2 * p) ** 2), lambda p: (8 * p, {"a": 4 * p[None]}), np.ones(3))
    assert [(fault.site, fault.leaf) for fault in report.faults] == [("structure", "a")]


def test_it_reports_with_jax_grad_as_the_backward_pass_too():
    """Gradients by jax.grad, of the parameters and of the taps, are right."""
    def backward(p, x, y):
        taps = {name: 0.0 for name in ("q", "k", "v", "scores", "a", "o")}
        grad = jax.grad(lambda p, shifts: head_forward(p, x, y, lambda name, value: value + shifts[name]), argnums=(0, 1))
        shapes = {"q": (5, 4), "k": (5, 4), "v": (5, 4), "scores": (5, 5), "a": (5, 5), "o": (5, 4)}
        return grad(p, {name: jnp.zeros(shapes[name]) for name in taps})

    assert check_intermediates(head_forward, backward, *HEAD)
