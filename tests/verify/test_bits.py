"""Rounded gradients to the last bit: small mistakes behind the rounding, names that every entry bears out, sums of batches."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.layers import dense, layer_norm, maxout, residual
from functional_nn.verify import check_network
from functional_nn.verify.bits import KNOWN, Bits, _factors
from functional_nn.verify.hypothesis import written
from functional_nn.verify.mistakes.summing import _weights
from tests.slow import few

NETS = {"chain": fnn.mlp((4, 6, 6, 3), hidden="tanh"), "relu": fnn.mlp((4, 6, 6, 3), hidden="relu"),
        "maxout": fnn.sequential(4, maxout(6, pieces=2), dense(3)),
        "layer norm": fnn.sequential(4, dense(6, "tanh"), layer_norm(), dense(3)),
        "block": fnn.sequential(4, dense(6, "tanh"), residual(dense(6, "tanh")), dense(3))}
RNG = np.random.default_rng(5)
EACH = {name: jax.jit(fnn.backprop.per_example_gradients(net, "quadratic")) for name, net in NETS.items()}
PARAMS = {name: jax.tree.map(lambda p: RNG.normal(size=p.shape) / 2, net.init(jax.random.key(0)))
          for name, net in NETS.items()}
X, Y = RNG.normal(size=(7, 4)), RNG.normal(size=(7, 3))


def rounded(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64).astype(ml_dtypes.bfloat16), tree)


def given(name="chain", leaf=None, change=lambda g: g, sums=None, others=()):
    """A right gradient with mistakes in leaves, (layer, name, change), or in how examples are summed; rounded to bfloat16."""
    net, each = NETS[name], EACH[name]

    def value_and_grad(params, X, Y):
        with jax.enable_x64(True):
            grads = each(jax.tree.map(jnp.asarray, params), jnp.asarray(X), jnp.asarray(Y))
        found = [dict(own) if isinstance(own, dict) else own for own in jax.tree.map(
            (lambda g: np.asarray(g).mean(axis=0)) if sums is None else (lambda g: sums(np.asarray(g))), list(grads))]
        for layer, part, how in (*([(*leaf, change)] if leaf else []), *others):
            found[layer][part] = how(found[layer][part])
        return 0.0, rounded(tuple(found))

    return net, PARAMS[name], value_and_grad


def faults(net, params, function, Y=Y, **options):
    report = check_network(net, "quadratic", params, X, Y, value_and_grad=function, **options)
    return [(fault.site, fault.layer, fault.cause) for fault in report.faults], str(report)


@pytest.mark.parametrize("name", few(NETS, "chain"))
def test_what_is_right_comes_out_to_the_last_bit(name):
    found, text = faults(*given(name))
    assert found == [], text


def two_decimals(g):
    return np.round(g, 2)


@pytest.mark.parametrize(("change", "cause"), few([
    (two_decimals, "rounded"), (lambda g: 1.01 * g, "factor"), (lambda g: g + 0.01, "offset"),
    (lambda g: np.sign(g) * g**2, "another power"), (lambda g: g - g.mean(), "normalised")], 1))
@pytest.mark.parametrize("beside", few([False, True], 0))
def test_small_mistakes_are_named_alone_and_beside_a_large_one(change, cause, beside):
    others = [(2, "w", lambda g: -g)] if beside else []
    found, text = faults(*given(leaf=(1, "b"), change=change, others=others))
    assert set(found) == {("bias", 1, cause), *([("weight", 2, "sign")] if beside else [])}, text


def test_the_number_is_the_one_that_was_written():
    report = check_network(NETS["chain"], "quadratic", PARAMS["chain"], X, Y,
                           value_and_grad=given(leaf=(1, "w"), change=lambda g: 1.01 * g)[2])
    assert [fault.value for fault in report.faults] == ["1.01"]
    assert [leaf.path for leaf in report.leaves if not all(leaf.right.values())] == ["[1]['w']"]


@pytest.mark.parametrize(("number", "told"), [(0.2503, 0.25), (0.14293, 1 / 7), (1.0099, 1.01), (-0.9991, -1.0)])
def test_factors_that_people_write(number, told):
    assert any(np.isclose(c, told, rtol=1e-12) and slack == KNOWN for c, slack in _factors(number, 2.0**-8))


def test_a_number_far_from_any_short_one_is_left():
    assert written(0.3333, 1e-4) == 0.3333 and _factors(0.0, 0.1) == []


def test_what_nothing_reproduces_is_unexplained():
    odd = np.array([1.3, 0.7, 1.1, 0.9, 1.6, 0.4])
    found, text = faults(*given(leaf=(1, "b"), change=lambda g: odd * np.sin(3 * g) + 0.1 * odd[::-1]))
    assert found == [("bias", 1, "unexplained")], text


SUMS = {
    "last left out": (lambda g: g[:-1].sum(axis=0) / len(g), "examples left out"),
    "first alone": (lambda g: g[0], "one example only"),
    "sum for mean": (lambda g: g.sum(axis=0), "sum for mean"),
    "discounted": (lambda g: np.tensordot(0.9 ** np.arange(len(g)), g, axes=1) / len(g), "examples weighted"),
    "median": (lambda g: np.median(g, axis=0), "wrong reduction"),
    "largest left out": (lambda g: np.delete(g, np.linalg.norm(g.reshape(len(g), -1), axis=1).argmax(), axis=0).sum(axis=0)
                         / len(g), "examples left out"),
}


@pytest.mark.parametrize("name", few(["chain", "maxout"], "chain"))
@pytest.mark.parametrize("case", few(SUMS, "last left out"))
def test_sums_of_rounded_batches_are_named(case, name):
    how, cause = SUMS[case]
    found, text = faults(*given(name, sums=how))
    assert found == [("batch", None, cause)], text


def test_weights_of_a_batch_are_no_mean():
    """Each way of summing is another than the right one, for a batch of several with different lengths and classes."""
    y = np.eye(3)[[0, 0, 1, 2]]
    told = list(_weights(4, y, np.array([1.0, 3.0, 2.0, 0.5])))
    assert not any(np.allclose(weights, 1) for *_, weights in told) and len({text for _, text, _ in told}) > 10


@pytest.mark.slow
def test_a_limit_of_the_norm_is_no_division_by_it():
    net, params, _ = given()
    right = jax.jit(fnn.backprop.value_and_grad(net, "quadratic"))
    for limit, cause in ((lambda norm: np.minimum(1, 0.02 / norm), "clipped"), (lambda norm: 0.02 / norm, "normalised")):
        for dtype in (np.float64, ml_dtypes.bfloat16):
            def function(params, X, Y, limit=limit, dtype=dtype):
                with jax.enable_x64(True):
                    _, grads = right(params, X, Y)
                g = np.asarray(grads[1]["w"])
                grads = (grads[0], {**grads[1], "w": g * limit(np.sqrt((g**2).sum()))}, grads[2])
                return 0.0, jax.tree.map(lambda leaf: np.asarray(leaf).astype(dtype), grads)
            found, text = faults(net, params, function)
            assert found == [("weight", 1, cause)], text


def test_entries_that_fit_are_told_from_those_a_unit_off():
    """The one place where a number counts as given: half a distance of two numbers, and a little for computing it."""
    from types import SimpleNamespace
    exact = np.array([[1.0, 1.0 + 2**-7, -3.0, 0.1]])
    held = exact.astype(ml_dtypes.bfloat16).astype(np.float64)
    scene = SimpleNamespace(gradients=[{"w": held}], inner=2.0**-53, floor=0.0, single=True)
    bits = Bits(scene, np.dtype(ml_dtypes.bfloat16), None, 0.0, [{"w": 0.0}])
    assert bits.fits(0, "w", exact) and bits.fits(0, "w", held * (1 + 2**-10))
    assert list(bits.off(0, "w", held * (1 + 2**-7))[0]) == [True, True, True, True]


def test_a_penalty_is_seen_where_it_is_rounded_to_its_own_size():
    net, params, _ = given()

    def function(params, X, Y):
        with jax.enable_x64(True):
            grads = EACH["chain"](jax.tree.map(jnp.asarray, params), jnp.asarray(X), jnp.asarray(Y))
        means = jax.tree.map(lambda g: np.asarray(g).mean(axis=0), grads)
        return 0.0, rounded(tuple({**g, "w": g["w"] + 1e-3 * p["w"]} for g, p in zip(means, params, strict=True)))

    report = check_network(net, "quadratic", params, X, Y, value_and_grad=function)
    assert [(fault.site, fault.cause, fault.value) for fault in report.faults] == [("penalty", "penalty added", "0.001")]
