"""The scene: what quantities share is computed once, and columns in chunks are columns at once."""

import jax
import pytest

import functional_nn as fnn
from functional_nn.backprop import scene
from functional_nn.backprop.scene import Scene, quantity
from functional_nn.objective import objective
from tests.backprop.networks import close, drawn, network, quick


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_columns_in_chunks_are_columns_at_once(columns, monkeypatch):
    with jax.enable_x64(True):
        net = network("maxout")
        params, X, Y = drawn(net, 3)
        ask = fnn.backprop.quantities(net, "cross_entropy", ["ggn_diagonal"])
        at_once = quick(ask)(params, X, Y)
        monkeypatch.setattr(scene, "COLUMNS", columns)
        close(quick(lambda *args: ask(*args))(params, X, Y), at_once)


def test_the_gradient_and_the_passes_are_computed_once():
    net = network("dense")
    problem, (params, X, Y) = objective(net, "cross_entropy"), drawn(net, dtype="float32")
    here = Scene(problem, params, problem.batch(params, X, Y))
    assert here.run is here.run and here.gradient is here.gradient and here.second_moment is here.second_moment
    assert here.size == len(X)


def test_a_quantity_is_named_and_explained_by_its_function():
    @quantity("batch", options=("clip",))
    def answer(scene):
        """Forty-two."""
        return 42

    assert (answer.name, answer.of, answer.options, answer.text) == ("answer", "batch", ("clip",), "Forty-two.")
    assert answer.compute(None) == 42 and repr(answer) == "Quantity(name='answer', of='batch', options=('clip',))"
