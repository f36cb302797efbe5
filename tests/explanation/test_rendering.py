"""The working as text of 60 columns."""

import itertools

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.explanation import EXAMPLES, example, explain
from tests.slow import few


@pytest.mark.parametrize(("name", "matrices"), few(
    itertools.product(EXAMPLES, [False, True]), 10, 11))
def test_the_text_fits_60_columns(name, matrices):
    for explained in example(name, matrices=matrices):
        assert max(map(len, explained.text(60).splitlines())) <= 60


def test_so_does_that_of_a_large_network():
    net = fnn.mlp((784, 30, 10), output="softmax")
    x = np.random.default_rng(0).random(784)
    for matrices in (False, True):
        explained = explain(net, "cross_entropy", net.init(jax.random.key(0)), x, 3, matrices=matrices)
        assert max(map(len, explained.text(60).splitlines())) <= 60
    assert "⋱" in str(explained)


def test_inputs_that_are_chosen_from_many_have_their_names():
    net, x = fnn.mlp((9, 1)), [0.1, 0, 0, 5, 0, 0, 0, -7, 0]
    params = ({"w": np.ones((1, 9)), "b": np.zeros(1)},)
    explained = explain(net, "mse", params, x, 1.0, most=2)
    assert "\nx₄ = 5, x₈ = −7, …\n" in str(explained)
    assert "\nx = (0.1, 0, …)\n" in str(explain(net, "mse", params, x, 1.0, most=2, matrices=True))
