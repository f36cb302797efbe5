"""Runs of the same kind share their compiled functions; what is compiled = what is not."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.objective import objective
from functional_nn.training.program import penalty_value, program, watch
from functional_nn.training.sources import Arrays
from tests.training.runs import MOMENTUM, NET, SGD, N, X, Y, close, fit, same

LOSS = fnn.losses.cross_entropy
MADE_OF = {"net": NET, "loss": LOSS, "optimizer": SGD, "penalty": None, "weighted": False,
           "value_and_grad": fnn.backprop.value_and_grad}


@pytest.mark.parametrize(("batch_size", "traces"), [(4, 2), (None, 1), (1, 1)])
def test_the_epoch_is_traced_once_however_many_there_are(batch_size, traces):
    """One trace for the full batches and one for the rest; a similar run needs none at all."""
    count = []

    def counting(net, loss):
        run = fnn.backprop.value_and_grad(net, loss)
        return lambda *args: count.append(1) or run(*args)

    run = functools.partial(fit, batch_size=batch_size, value_and_grad=counting,
                            optimizer=fnn.optimizers.sgd(0.1))
    run(epochs=30)
    assert len(count) == traces
    first = run(data=(X + 1, Y), key=jax.random.key(1))
    assert len(count) == traces
    alone = fit(data=(X + 1, Y), key=jax.random.key(1), batch_size=batch_size,
                optimizer=fnn.optimizers.sgd(0.1))
    close(first.params, alone.params, 1e-6)


def test_an_optimizer_that_cannot_be_hashed_trains_too():
    @dataclasses.dataclass(eq=True)
    class Plain:
        init: object
        update: object

    with pytest.raises(TypeError):
        hash(Plain(*SGD))
    same(fit(optimizer=Plain(*SGD), epochs=1).params, fit(epochs=1).params)


def test_the_same_arguments_give_the_same_program():
    assert program(**MADE_OF) is program(**MADE_OF)


@pytest.mark.parametrize("change", [
    {"loss": fnn.losses.quadratic}, {"optimizer": MOMENTUM}, {"weighted": True},
    {"penalty": fnn.penalties.l2(0.1)}, {"value_and_grad": fnn.autodiff.value_and_grad}],
    ids=lambda change: next(iter(change)))
def test_another_argument_gives_another_program(change):
    assert program(**{**MADE_OF, **change}) is not program(**MADE_OF)


def test_the_value_of_a_penalty_is_compiled_once():
    penalty, params = fnn.penalties.l2(0.1) + fnn.penalties.l1(0.5), NET.init(jax.random.key(0))
    assert penalty_value(penalty) is penalty_value(penalty)
    np.testing.assert_allclose(penalty_value(penalty)(params), penalty.value(params), rtol=1e-6)


@pytest.mark.parametrize(("n", "watched"), [(N, N), (100, 32), (1200, 60), (20_000, 256)])
def test_the_monitor_costs_one_watched_example_for_sixty_trained_on(n, watched):
    """It watches a twentieth of the examples, but 32 to 256 where there are so many."""
    source = Arrays((np.zeros((n, 3), np.float32), np.zeros(n, int)))
    epochs, _ = watch(program(**MADE_OF), objective(NET, LOSS), source, weighted=False)
    assert (epochs - 1) * n < 60 * watched <= epochs * n


def test_the_monitor_weighs_its_examples_alike():
    source = Arrays((X.astype(np.float32), Y, np.linspace(0, 2, N, dtype=np.float32))).on_device()
    params = NET.init(jax.random.key(0))
    plain, weighted = (
        watch(program(**{**MADE_OF, "weighted": weights}), objective(NET, LOSS), source,
              weights)[1](params, SGD.init(params)) for weights in (False, True))
    close(weighted, plain, 1e-5)
