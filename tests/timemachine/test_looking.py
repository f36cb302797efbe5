"""Who moved a weight: the terms of the gradient, example by example."""

import jax
import numpy as np
import pytest

import functional_nn as fnn
from tests.timemachine.conftest import small

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchecked")]


def test_the_largest_terms_are_those_of_the_per_example_gradients():
    given = small(batch_size=14, epochs=1)
    shown = fnn.replay(**given, examples=9)
    looks, (X, Y) = shown.tracks[0].looks, given["data"]
    start = fnn.fit(**given | {"optimizer": fnn.optimizers.sgd(0.0)}, progress=False).params
    each = fnn.backprop.per_example_gradients(given["net"], given["loss"])(start, X, Y)
    norms = fnn.backprop.per_example_norms(given["net"], given["loss"])(start, X, Y)
    kept = looks.rows[0]
    assert set(kept.tolist()) == set(np.argsort(-norms)[:9].tolist())
    for w, symbol in enumerate(shown.layout.weights):
        terms = np.asarray(each[symbol.layer - 2][symbol.letter])[(kept, *symbol.index)] / 14
        order = np.argsort(-abs(terms))[:3]
        np.testing.assert_allclose(looks.pushes[0, w], terms[order], rtol=1e-4, atol=1e-8)
        np.testing.assert_array_equal(looks.pushers[0, w], order)


def test_the_memory_of_an_optimiser_is_its_step_without_a_gradient():
    given = small(epochs=1)
    plain = fnn.replay(**given | {"optimizer": fnn.optimizers.sgd(0.1)}).tracks[0].looks
    assert not plain.memory.any()
    np.testing.assert_allclose(plain.step, -0.1 * plain.gradient, rtol=1e-5, atol=1e-9)
    heavy = fnn.replay(**given | {"optimizer": fnn.optimizers.sgd(0.1, momentum=0.9)}).tracks[0].looks
    assert not heavy.memory[0].any()
    np.testing.assert_allclose(heavy.memory[1], 0.9 * heavy.step[0], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(heavy.fresh, -0.1 * heavy.gradient, rtol=1e-3, atol=1e-7)


def test_a_layer_without_weights_is_recorded_too():
    net = fnn.sequential(3, fnn.layers.layer_norm(), fnn.layers.maxout(4), fnn.layers.dense(2, "softmax"))
    shown = fnn.replay(**small(net=net, epochs=1))
    assert {s.letter for s in shown.layout.passes if s.layer == 2} == {"z", "a", "δ", "σ′", "∂a"}
    assert {s.layer for s in shown.layout.weights} == {4}
    assert np.isfinite(shown.tracks[0].looks.step).all() and jax.tree.leaves(shown.tracks[0].last)

