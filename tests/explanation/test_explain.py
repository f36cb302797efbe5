"""Every written line computes to its own value, and the values are those of `jax.grad`."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.explanation import Symbol, example, explain, rendering
from tests.explanation.written import computed
from tests.slow import few
from tests.variants import KINDS


def rng():
    return np.random.default_rng(0)


def lines(explained):
    """(numbers put in, value) of every formula with numbers, at full precision."""
    full = dataclasses.replace(explained, digits=17)
    for section in full.sections:
        for formula in section.formulas:
            if not formula.words:
                yield rendering._numeric(full, formula), float(full.value(formula.symbol))


def check(explained):
    assert explained.right, explained.agreement
    count = 0
    with jax.enable_x64(True):
        for text, value in lines(explained):
            assert computed(text) == pytest.approx(value, rel=1e-12, abs=1e-14), text
            count += 1
    return count


@pytest.mark.parametrize("name", few(["2-3-4-1", "n6", "n9", "n13", "n15"], "2-3-4-1", "n15"))
def test_every_line_of_the_notes_examples_computes_to_its_value(name):
    for explained in example(name):
        assert check(explained) > 8


@pytest.mark.parametrize("activation", few(fnn.activations.ACTIVATIONS, "leaky_relu", "tanh"))
def test_so_does_every_activation(activation):
    net = fnn.mlp((2, 3, 2), hidden=activation)
    check(explain(net, "quadratic", net.init(jax.random.key(1)), [0.4, -1.3], [0.5, 2.0]))


@pytest.mark.parametrize("loss", few(fnn.losses.LOSSES, "binary_cross_entropy", "cross_entropy"))
def test_so_does_every_loss(loss):
    record = fnn.losses.get(loss)
    net = fnn.mlp((2, 3, 2), hidden="tanh", output=record.output or "linear")
    y = {"signs": [1.0, -1.0], "distribution": [0.25, 0.75]}.get(record.targets, [0.0, 1.0])
    check(explain(net, loss, net.init(jax.random.key(1)), [0.4, -1.3], y))


@pytest.mark.parametrize("kind", few(KINDS, "maxout"))
def test_every_kind_of_layer_says_what_it_computes(kind):
    net = fnn.sequential(3, *KINDS[kind](3, "gelu"), fnn.layers.dense(2, "softmax"))
    explained = explain(net, "cross_entropy", net.init(jax.random.key(0)), [0.4, -1.3, 2.0], 1)
    check(explained)
    for layer in (layer for layer in net.layers if not layer.equations.affine):
        assert (layer.equations.z or f"what {layer.kind} computes") in str(explained).replace("\n  ", " ")


def test_a_large_layer_is_shown_in_part_and_the_sums_still_come_out():
    net = fnn.mlp((40, 30, 20), hidden="sigmoid", output="softmax")
    explained = explain(net, "cross_entropy", net.init(jax.random.key(0)), rng().normal(size=40), 7)
    check(explained)
    said = str(explained)
    assert "6 of the 30 nodes are shown, 6 of the 40 inputs" in said
    assert "36 of the 1,200 weights are shown" in said.replace("\n  ", " ")
    assert len(said.splitlines()) < 500


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_gradient_of_a_batch_is_that_of_backprop(reduction):
    net, X, Y = fnn.mlp((2, 2, 1), hidden="tanh"), rng().normal(size=(3, 2)), rng().normal(size=3)
    params = net.init(jax.random.key(0))
    explained = explain(net, "mse", params, X, Y, reduction=reduction)
    check(explained)
    cost, grads = fnn.backprop.value_and_grad(net, "mse", reduction)(
        params, jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32))
    np.testing.assert_allclose(explained.value(Symbol("C")), cost, rtol=1e-5)
    np.testing.assert_allclose(explained.value(Symbol("∂w", 3)), grads[1]["w"], rtol=1e-5)


def test_the_matrices_hold_the_numbers_of_the_nodes():
    nodes, [matrices] = example("2-3-4-1")[0], example("2-3-4-1", matrices=True)
    for letter, layer in (("z", 3), ("δ", 2), ("∂w", 3), ("w+", 4)):
        whole = matrices.value(Symbol(letter, layer))
        for place in np.ndindex(whole.shape):
            assert whole[place] == nodes.value(Symbol(letter, layer, place))


def test_a_wrong_backward_pass_is_told(monkeypatch):
    """Planted: BP2 without σ′."""
    right = fnn.activations.Activation.pullback
    monkeypatch.setattr(fnn.activations.Activation, "pullback", lambda self, z, v: v)
    [explained] = example("2-3-4-1")
    assert not explained.right and "DIFFERS FROM jax.grad" in str(explained)
    monkeypatch.setattr(fnn.activations.Activation, "pullback", right)
    assert example("2-3-4-1")[0].right


def test_no_setting_of_jax_is_changed():
    before = dict(jax.config.values)
    str(example("n13")[0])
    assert dict(jax.config.values) == before


@pytest.mark.parametrize(("change", "error"), [
    ({"x": [1.0]}, r"x must be ONE example of shape \(2,\)"),
    ({"x": np.ones((17, 2)), "y": np.ones(17)}, r"x must hold at most 16 examples, got 17; pass x\[:16\]"),
    ({"loss": "quadratc"}, "did you mean 'quadratic'"),
    ({"most": 0}, "most must be an integer of at least 1"),
    ({"learning_rate": -1.0}, "learning_rate"),
    ({"reduction": "means"}, "did you mean 'mean'"),
    ({"biases": False}, "biases must be True where a bias is not 0"),
    ({"params": ()}, "params is not of this network"),
    ({"y": [1.0, 2.0]}, "Y must have shape"),
    ({"x": [np.nan, 1.0]}, "X")])
def test_bad_input_is_named(change, error):
    given = {"loss": "quadratic", "params": ({"w": np.ones((1, 2)), "b": np.ones(1)},),
             "x": [1.0, 2.0], "y": 1.0} | change
    with pytest.raises((ValueError, TypeError), match=error):
        explain(fnn.mlp((2, 1)), given.pop("loss"), given.pop("params"), given.pop("x"), given.pop("y"), **given)
