"""check_gradients: right gradients of any function pass, wrong ones are caught and the right leaf is named."""

import collections
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.verify import GradientError, assert_gradients, check_gradients
from tests.slow import few

EVERY = ("autodiff", "forward", "fd")
each_reference = pytest.mark.parametrize("reference", EVERY)


@functools.cache
def network_case():
    """f, manual, params, X, Y of a small network, in float32 as users have them."""
    net = fnn.mlp((3, 5, 4, 2), hidden="tanh", output="softmax")
    X = jax.random.normal(jax.random.key(1), (6, 3))
    by_hand = jax.jit(fnn.backprop.value_and_grad(net, "cross_entropy"))
    cost = jax.jit(fnn.cost(net, "cross_entropy"))
    return cost, lambda *args: by_hand(*args)[1], net.init(jax.random.key(0)), X, jnp.array([0, 1, 1, 0, 1, 0])


def polynomial(p, c=3.0):
    """A function of a dictionary of a tuple, a scalar and a matrix, with its gradient below."""
    return c * jnp.sum(p["pair"][0] * p["pair"][1]) + p["scalar"] ** 3 + jnp.sum(p["matrix"] ** 2) * p["scalar"]


def polynomial_gradient(p, c=3.0):
    return {"pair": (c * p["pair"][1], c * p["pair"][0]), "matrix": 2 * p["matrix"] * p["scalar"],
            "scalar": 3 * p["scalar"] ** 2 + jnp.sum(p["matrix"] ** 2)}


POINT = {"pair": (jnp.array([1.0, -2.0]), jnp.array([0.5, 3.0])), "scalar": jnp.array(1.5),
         "matrix": jnp.arange(6.0).reshape(2, 3) - 2}


@pytest.mark.slow
@each_reference
def test_right_gradients_pass(reference):
    report = check_gradients(*network_case(), reference=reference)
    assert report and not report.faults and len(report.leaves) == 6
    assert 0 < report.max_relative_error < (1e-6 if reference == "fd" else 1e-13)
    assert check_gradients(polynomial, polynomial_gradient, POINT, reference=reference)
    assert check_gradients(polynomial, polynomial_gradient, POINT, -2.0, reference=reference)
    assert check_gradients(lambda p: jnp.sin(p), jnp.cos, 0.5, reference=reference)  # a Python float


@each_reference
def test_a_large_leaf_is_probed_by_directions(reference):
    def f(p):
        return jnp.sum(jnp.sin(p["w"])) + p["b"] ** 2

    def manual(p, spoilt=0.0):
        return {"w": jnp.cos(p["w"]).at[3, 17].add(spoilt), "b": 2 * p["b"]}

    params = {"w": jax.random.normal(jax.random.key(0), (70, 71)), "b": 2.0}
    report = check_gradients(f, manual, params, reference=reference)
    assert report
    probed = {leaf.path: leaf.probed[reference] for leaf in report.leaves}
    assert probed == {"['w']": "entries" if reference == "autodiff" else "30 directions", "['b']": "entries"}
    wrong = check_gradients(f, lambda p: manual(p, 0.01), params, reference=reference)
    assert [fault.leaf for fault in wrong.faults] == ["['w']"]
    (fault,) = wrong.faults
    assert fault.cause == "single entry" and fault.index == (3, 17)
    assert fault.given - fault.expected == pytest.approx(0.01, rel=1e-6)
    alone = check_gradients(lambda w: f({"w": w, "b": 0.0}), jnp.cos, params["w"], reference=reference)
    assert alone


WRONG = {  # what is done to the gradient, and the causes that are a right name for it
    "a sign": (lambda g: -g, {"sign"}), "a factor": (lambda g: 2 * g, {"factor"}),
    "a small factor": (lambda g: (1 + 1e-5) * g, {"factor"}), "a constant": (lambda g: g + 0.1, {"offset"}),
    "one entry": (lambda g: g.at[(0,) * g.ndim].add(1e-3), {"single entry", "unexplained"}),
    "zeros": (jnp.zeros_like, {"zero"}), "NaN": (lambda g: g * jnp.nan, {"not a number"}),
    "one NaN": (lambda g: g.at[(-1,) * g.ndim].set(jnp.nan), {"not a number"}),
    "inf": (lambda g: g + jnp.inf, {"not a number"}), "reversed": (lambda g: jnp.flip(g), {"swapped entries", "sign"}),
    "ones": (jnp.ones_like, {"unexplained"}), "clipped": (lambda g: jnp.clip(g, -1e-3, 1e-3), {"clipped", "unexplained"}),
    "rounded": (lambda g: g.astype(jnp.float16).astype(g.dtype), {"rounded"})}


@pytest.mark.parametrize("mistake", few(WRONG, "one entry", "NaN", "clipped"))
def test_wrong_gradients_are_caught_and_the_leaf_is_named(mistake):
    cost, manual, params, X, Y = network_case()
    spoil, causes = WRONG[mistake]
    for layer, name, path in ((0, "w", "[0]['w']"), (2, "b", "[2]['b']")):
        def spoilt(*args, layer=layer, name=name):
            gradient = manual(*args)
            wrong = {**gradient[layer], name: spoil(gradient[layer][name])}
            return (*gradient[:layer], wrong, *gradient[layer + 1:])

        reference = EVERY if mistake == "a sign" else "autodiff"
        report = check_gradients(cost, spoilt, params, X, Y, reference=reference)
        assert not report and [fault.leaf for fault in report.faults] == [path]
        fault, true = report.faults[0], manual(params, X, Y)[layer][name]
        assert fault.cause in causes and len(fault.index) == true.ndim
        error = np.nan_to_num(np.abs(np.asarray(spoil(true) - true)), nan=np.inf)
        assert error[fault.index] == pytest.approx(error.max(), rel=0.1) and f"{path}[" in fault.message
        if fault.cause == "unexplained":
            errors = [leaf.errors["autodiff"] for leaf in report.leaves if leaf.path == path]
            assert fault.residual < 0.5 if "closest" in fault.what else [fault.residual] == errors
        elif fault.cause != "not a number":
            assert fault.residual < 1e-6 and fault.yours != fault.wanted == f"df/d{path}"
            assert fault.given == pytest.approx(float(spoil(true)[fault.index]), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(("gradient", "path", "words"), [
    (lambda g: {k: g[k] for k in ("pair", "scalar")}, "['matrix']", "no gradient"),
    (lambda g: {**g, "scalar": None}, "['scalar']", "no gradient"),
    (lambda g: {**g, "matrix": g["matrix"].T}, "['matrix']", "(3, 2)"),
    (lambda g: {**g, "scalar": g["scalar"][None]}, "['scalar']", "(1,)"),
    (lambda g: {**g, "pair": g["pair"][:1]}, "['pair'][1]", "no gradient")])
def test_another_structure_is_a_fault_with_its_path(gradient, path, words):
    report = check_gradients(polynomial, lambda p: gradient(polynomial_gradient(p)), POINT)
    assert not report and [(fault.site, fault.leaf) for fault in report.faults] == [("structure", path)]
    assert words in report.faults[0].message and path in str(report)


def test_what_the_gradient_has_beside_the_parameters_is_noted():
    """Such as dZ1 beside dW1: it is no mistake, as long as every parameter has its gradient."""
    report = check_gradients(polynomial, lambda p: {**polynomial_gradient(p), "dZ1": np.ones(7)}, POINT)
    assert report and "['dZ1'] of manual's gradient is no parameter's and was left out" in report.notes



def test_containers_may_differ_where_the_paths_agree():
    """A list for a tuple, and dictionaries in another order, are the same leaves."""
    params = collections.OrderedDict(w=jnp.ones(2), b=(jnp.full(2, 3.0),))
    assert check_gradients(lambda p: jnp.sum(p["w"] ** 2) + jnp.sum(p["b"][0] ** 3),
                           lambda p: {"b": [3 * p["b"][0] ** 2], "w": 2 * p["w"]}, params)


@pytest.mark.parametrize(("f", "params", "options", "kind", "words"), [
    (lambda p: p ** 2, jnp.ones(3), {}, ValueError, r"f must return one real number, got \('float64', \(3,\)\)"),
    (lambda p: (p, p), jnp.ones(()), {}, ValueError, "f must return one real number"),
    (lambda p: p > 1, jnp.ones(()), {}, ValueError, "f must return one real number, got .*bool"),
    (lambda p: p.astype(complex), jnp.ones(()), {}, ValueError, "f must return one real number, got .*complex"),
    (jnp.sum, jnp.arange(3), {}, TypeError, "params must hold real floating-point numbers, got int32"),
    (lambda p: p["w"], {"w": jnp.ones(()), "n": 3}, {}, TypeError, r"params\['n'\] must hold real floating-point"),
    (jnp.sum, jnp.ones(3, complex), {}, TypeError, "params must hold real floating-point numbers, got complex64"),
    (lambda p: 1.0, (), {}, ValueError, "params must hold at least one array"),
    (jnp.sum, jnp.ones(3), {"reference": "finite"}, ValueError, "unknown reference 'finite'"),
    (jnp.sum, jnp.ones(3), {"reference": ()}, ValueError, "reference must name one or more of autodiff, forward, fd")])
def test_what_cannot_be_checked_is_refused_in_words(f, params, options, kind, words):
    with pytest.raises(kind, match=words):
        check_gradients(f, lambda p: p, params, **options)
    assert not jax.config.jax_enable_x64


@pytest.mark.slow
def test_the_verdict_does_not_depend_on_the_order_or_on_x64():
    def f(p):
        return jnp.sum(jnp.tanh(p["w"] @ p["x"])) + jnp.sum(p["a"] ** 3)

    def manual(p):
        delta = 1 - jnp.tanh(p["w"] @ p["x"]) ** 2
        return {"w": jnp.outer(delta, p["x"]), "x": p["w"] @ delta, "a": 3 * p["a"] ** 2}  # x: wᵀ was forgotten

    w = np.random.default_rng(0).normal(size=(3, 3)).astype("float32")
    values = {"w": w, "x": jnp.ones(3), "a": jnp.arange(2.0)}
    verdicts = []
    for order in (["w", "x", "a"], ["a", "x", "w"], ["x", "a", "w"]):
        for x64 in (False, True):
            with jax.enable_x64(x64):
                params = collections.OrderedDict((name, values[name]) for name in order)
                report = check_gradients(f, manual, params, reference=EVERY)
                assert jax.config.jax_enable_x64 == x64
            verdicts.append((sorted((leaf.path, tuple(leaf.right.values())) for leaf in report.leaves),
                             [(fault.leaf, fault.index, f"{fault.residual:.6e}") for fault in report.faults]))
    assert [fault[0] for fault in verdicts[0][1]] == ["['x']"] and all(verdict == verdicts[0] for verdict in verdicts)


@pytest.mark.slow
def test_nor_do_excuses_notes_and_large_leaves():
    def f(p):
        return jnp.sum(jnp.abs(p["kink"])) + jnp.sum(jnp.sin(p["wide"])) + jnp.sum(p["wrong"] ** 3)

    def manual(p):
        return {"kink": np.sign(p["kink"]) + 0.5 * (p["kink"] == 0), "wide": np.cos(p["wide"]), "wrong": 2 * p["wrong"] ** 2}

    random = np.random.default_rng(0)
    values = {"kink": np.array([0.0, 1.0, 0.0]), "wide": random.normal(size=5000), "wrong": random.normal(size=3)}
    for reference in ("autodiff", "forward", "fd"):
        orders = (["kink", "wide", "wrong"], ["wrong", "kink", "wide"])
        reports = [check_gradients(f, manual, collections.OrderedDict((name, values[name]) for name in order),
                                   reference=reference) for order in orders]
        assert [(fault.leaf, fault.cause, fault.value) for fault in reports[0].faults] == [("['wrong']", "factor", "0.666667")]
        first, second = ([fault.message for fault in report.faults] + sorted(report.notes) for report in reports)
        assert first == second


def test_x64_is_left_alone_when_f_or_manual_raises():
    def broken(p):
        raise RuntimeError("mine")

    for f, manual in ((broken, jnp.cos), (jnp.sin, broken)):
        with pytest.raises(RuntimeError, match="mine"):
            check_gradients(f, manual, 1.0)
        assert not jax.config.jax_enable_x64 and jnp.ones(1).dtype == "float32"


def test_the_arguments_are_left_alone():
    """float32 is computed in float64, and integers, keys and other things go through as they are."""
    params, before = {"w": np.ones(3, np.float32)}, np.ones(3, np.float32)
    seen = []

    def f(p, x, labels, key, scale):
        seen.append((p["w"].dtype, x.dtype, labels.dtype, type(scale)))
        return jnp.sum(p["w"] * x * labels.astype(x.dtype)) + jax.random.normal(key, dtype=x.dtype)

    rest = jnp.ones(3, jnp.bfloat16), jnp.array([1, 0, 2]), jax.random.key(0), "words"
    assert check_gradients(f, lambda p, x, labels, *_: {"w": x * labels.astype(x.dtype)}, params, *rest)
    assert set(seen) == {(jnp.dtype("float64"), jnp.dtype("float64"), jnp.dtype("int32"), str)}
    assert params["w"].dtype == "float32" and (params["w"] == before).all()


@each_reference
def test_a_gradient_that_is_zero_is_no_false_alarm(reference):
    """Exactly zero, zero by cancellation beside leaves that are not, zero everywhere: a minimum of least squares."""
    def shifted(p):  # a shift of all inputs changes no softmax
        return -jax.nn.log_softmax(p["w"] * jnp.array([1.0, 2.0, 4.0]) + p["shift"])[0] + 0 * p["unused"]

    def manual(p):
        d = jax.nn.softmax(p["w"] * jnp.array([1.0, 2.0, 4.0]) + p["shift"]) - jnp.array([1.0, 0.0, 0.0])
        return {"w": d @ jnp.array([1.0, 2.0, 4.0]), "shift": jnp.sum(d), "unused": jnp.zeros(())}

    assert check_gradients(shifted, manual, {"w": 0.7, "shift": 0.3, "unused": 5.0}, reference=reference)
    random = np.random.default_rng(0)
    A, b = random.normal(size=(20, 3)), random.normal(size=20)

    def squares(w, target):
        return jnp.sum((A @ w - target) ** 2)

    def right(w, target):
        return 2 * A.T @ (A @ w - target)

    for target in (b, A @ np.ones(3)):  # the second is met exactly
        best = np.linalg.lstsq(A, target, rcond=None)[0]
        assert check_gradients(squares, right, best, target, reference=reference)
        assert check_gradients(squares, right, best + 1e-4, target, reference=reference)
        assert not check_gradients(squares, lambda *a: 1.01 * right(*a), best + 1e-4, target, reference=reference)


@pytest.mark.parametrize(("reference", "size"), [("autodiff", 1e6), ("forward", 1e-6), ("fd", 1e-6), ("fd", 1e6)])
def test_the_size_of_the_parameters_does_no_harm(reference, size):
    params = size * jnp.array([1.0, -2.5, 3.3])
    assert check_gradients(lambda p: jnp.sum(p ** 2), lambda p: 2 * p, params, reference=reference)
    assert not check_gradients(lambda p: jnp.sum(p ** 2), lambda p: 2.1 * p, params, reference=reference)


def test_a_kink_lets_no_wrong_convention_through():
    """z = 0 by cancellation: any slope of relu from 0 to 1 is a convention, which is noted; what lies outside is a mistake."""
    params = jnp.array([1.0, -1.0])

    def f(w):
        return jax.nn.relu(jnp.sum(w)) + w[0]

    def manual(w, slope):
        slope = np.where(np.sum(w) == 0, slope, np.sum(w) > 0)
        return np.array([1.0 + slope, slope])

    for slope in (0.0, 0.5, 1.0, 1.01, -0.2, 2.0):
        report = check_gradients(f, lambda w, slope=slope: manual(w, slope), params)
        assert bool(report) == (0 <= slope <= 1), slope
        if report:
            assert all("a convention, not a mistake" in note for note in report.notes) and bool(report.notes) == (slope > 0)
        else:
            assert report.faults[0].index in ((0,), (1,)) and "outside both" in report.faults[0].message


@pytest.mark.slow
def test_the_report_reads_within_100_columns():
    cost, manual, params, X, Y = network_case()
    negative = lambda *args: jax.tree.map(jnp.negative, manual(*args))  # noqa: E731
    wrong = check_gradients(cost, negative, params, X, Y, reference=EVERY)
    many = {f"a rather long name for a weight, number {i}": jnp.ones((1000, 3)) * i for i in range(60)}
    crowd = check_gradients(lambda p: sum(jnp.sum(w ** 2) for w in p.values()), lambda p: p, many)
    right = check_gradients(cost, manual, params, X, Y)
    lost = check_gradients(polynomial, lambda p: {}, POINT)
    for report, start in ((wrong, "WRONG  0 of 6"), (crowd, "WRONG  1 of 60"), (right, "RIGHT  6 of"), (lost, "WRONG")):
        lines = str(report).splitlines()
        assert lines[0].startswith(start) and max(map(len, lines)) <= 100 and len(lines) <= 70, str(report)
    assert all(leaf.path in str(report) for report in (wrong, right) for leaf in report.leaves)
    assert "22 more" in str(crowd) and "51 more faults" in str(crowd)
    assert all(title in str(wrong) for title in ("jax.grad", "forward mode", "central differences"))


def test_a_gradient_error_is_an_assertion_that_carries_the_report():
    assert assert_gradients(jnp.sin, jnp.cos, 1.0)
    with pytest.raises(AssertionError, match=r"params  manual 0\.841471  reference 0\.540302") as caught:
        assert_gradients(jnp.sin, jnp.sin, 1.0)
    assert isinstance(caught.value, GradientError) and str(caught.value) == str(caught.value.report)
    assert [fault.leaf for fault in caught.value.report.faults] == [""]


def test_leaves_that_fit_are_compared_beside_one_that_does_not():
    report = check_gradients(polynomial, lambda p: {**polynomial_gradient(p), "matrix": p["matrix"].T, "scalar": 1.0}, POINT)
    assert [(fault.leaf, fault.site) for fault in report.faults] == [("['matrix']", "structure"), ("['scalar']", None)]
    assert [leaf.path for leaf in report.leaves if all(leaf.right.values())] == ["['pair'][0]", "['pair'][1]"]
    lost = check_gradients(polynomial, lambda p: {"matrix": p["matrix"], "scalar": p["scalar"]}, POINT).faults[1]
    assert lost.leaf == "['pair'][0]"
    assert "params is {'matrix': *, 'pair': (*, *), 'scalar': *}, manual's gradient {'matrix': *" in lost.message
    many = {f"weight number {i}": jnp.ones(2) for i in range(100)}
    crowd = check_gradients(lambda p: sum(jnp.sum(w**2) for w in p.values()), lambda p: {}, many)
    assert len(crowd.faults) == 100 and max(len(fault.message) for fault in crowd.faults) < 500


@pytest.mark.parametrize(("f", "manual", "kind", "words"), [
    (jnp.sum, lambda p: None, ValueError, "manual must return a gradient shaped like params, got None"),
    (lambda p: None, jnp.cos, ValueError, "f must return one real number, got None"),
    (jnp.sum, lambda p: p.__setitem__(0, 7.0), ValueError, "manual changed its argument params in place"),
    (lambda p: float(np.sum(np.exp(p, out=np.asarray(p)))), jnp.cos, ValueError, "f changed its argument params in place"),
    (jnp.sum, lambda p: p @ np.ones(4), ValueError, "manual failed: "),
    (jnp.sum, None, TypeError, "manual may be None only where f is decorated with jax.custom_vjp or jax.custom_jvp")])
def test_functions_that_cannot_be_checked_are_refused_in_words(f, manual, kind, words):
    with pytest.raises(kind, match=words):
        check_gradients(f, manual, np.ones(3))
    assert not jax.config.jax_enable_x64


@pytest.mark.parametrize("miss", [0.0, 1.0, -1.0, 2.0, "small", True])
def test_a_miss_that_is_no_probability_is_refused(miss):
    with pytest.raises((TypeError, ValueError), match="miss must be a probability above 0 and below 1"):
        check_gradients(jnp.sin, jnp.cos, 1.0, miss=miss)


def test_nan_is_said_of_whom_it_comes_from():
    bad = jnp.array([1.0, 4.0, 0.0, 9.0])
    (mine,) = check_gradients(jnp.sum, lambda w: jnp.array([1.0, jnp.nan, jnp.inf, 1.0]), bad).faults
    assert mine.cause == "not a number" and mine.index == (1,)
    assert "manual is nan at params[1], the first of 2 in 4" in mine.message
    trap = check_gradients(lambda w: jnp.sum(jnp.where(w > 0, jnp.sqrt(w), 0.0)), lambda w: 0 * w, bad)
    assert "jax.grad is nan at params[2], the first of 1 in 4: f is not differentiable there" in trap.faults[0].message
    infinite = check_gradients(lambda w: jnp.sum(1 / w), lambda w: -1 / jnp.asarray(w) ** 2, bad)
    assert not infinite and any("f is inf at params" in note for note in infinite.notes)
    complex_ = check_gradients(jnp.sum, lambda w: np.ones(4) * 1j, bad).faults
    assert "holds complex128; the gradient by real parameters holds real numbers" in complex_[0].message


def wrong_rule(kind):
    """log(1 + eˣ), summed, with the derivative sigmoid(−x), where sigmoid(x) is right."""
    f = getattr(jax, kind)(lambda x: jnp.sum(jnp.log1p(jnp.exp(x))))
    if kind == "custom_vjp":
        f.defvjp(lambda x: (f(x), x), lambda x, g: (g * jax.nn.sigmoid(-x),))
    else:
        f.defjvp(lambda x, dx: (f(*x), jnp.vdot(jax.nn.sigmoid(-x[0]), dx[0])))
    return f


@pytest.mark.parametrize("kind", few(["custom_vjp", "custom_jvp"], 0))
def test_a_function_s_own_rule_is_checked_against_its_primal(kind):
    x, wrong = jnp.array([-1.0, 0.3, 2.0]), wrong_rule(kind)
    for f, references in ((wrong, ["autodiff"]), (jax.jit(wrong), ["autodiff", "fd"])):
        for reference in references:
            assert not check_gradients(f, None, x, reference=reference)
            assert check_gradients(f, jax.nn.sigmoid, x, reference=reference)
            assert not check_gradients(f, lambda x: jax.nn.sigmoid(-x), x, reference=reference)
    right = jax.custom_jvp(lambda x: jnp.sum(jnp.sin(x)))
    right.defjvp(lambda x, dx: (right(*x), jnp.vdot(jnp.cos(x[0]), dx[0])))
    assert check_gradients(right, None, x)


@pytest.mark.slow
def test_references_that_disagree_are_said_to():
    """What is stopped inside f is out of sight of jax.grad alone; another reference gives it away."""
    x, inner = jnp.array([-1.0, 0.3, 2.0]), wrong_rule("custom_vjp")
    report = check_gradients(lambda x: jnp.sum(x * jax.lax.stop_gradient(x)), lambda x: x, x, reference=("autodiff", "fd"))
    assert not report and any("jax.grad and central differences disagree at params" in note for note in report.notes)
    report = check_gradients(lambda x: 2 * inner(x), lambda x: 2 * jax.nn.sigmoid(x), x, reference=("autodiff", "fd"))
    assert report and any("the reference differentiates f without it" in note for note in report.notes)  # a wrong rule is none
    agree = check_gradients(*network_case(), reference=EVERY)
    assert agree.notes == ()
    wide = jnp.ones(5000)
    for second in ("forward", "fd"):
        assert not any("disagree" in note for note in check_gradients(
            lambda w: jnp.sum(jnp.sin(w)), jnp.cos, wide, reference=("autodiff", second)).notes)
        stopped = check_gradients(lambda w: jnp.sum(w * jax.lax.stop_gradient(w)), lambda w: w, wide, reference=("fd", second))
        assert second == "fd" or any("disagree" in note for note in stopped.notes)


def test_what_all_leaves_share_is_said_once():
    cost, manual, params, X, Y = network_case()
    for spoil, words in ((lambda g, p: 6 * g, "multiplied by a constant (6)"),
                         (lambda g, p: g + 0.25 * (p + 1), None)):
        def spoilt(params, X, Y, spoil=spoil):
            return jax.tree.map(spoil, manual(params, X, Y), params)

        report = check_gradients(cost, spoilt, params, X, Y)
        assert len(report.faults) == 6
        assert [note for note in report.notes if "all 6 leaves share it" in note] == [
            f"all 6 leaves share it: {words}; one mistake, made before their ways part"] * (words is not None)
