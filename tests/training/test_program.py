"""Runs of the same kind share their compiled functions; what is compiled = what is not."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.training import sources
from functional_nn.training.program import initial, penalty_value, program, watch
from functional_nn.training.sources import Arrays
from tests.compiled import compilations
from tests.slow import few
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


@pytest.mark.parametrize("init", few(fnn.initializers.INITIALIZERS, "glorot_uniform", "nielsen"))
def test_a_run_starts_at_the_bits_of_init(init):
    """Compiled or not; an initialiser of another hand is not compiled."""
    for start in (init, jax.nn.initializers.normal(0.3)):
        net, key = fnn.mlp((5, 4, 2), hidden="relu", init=start), jax.random.key(3)
        same(initial(net, np.dtype("float32"))(key), net.init(key))


def test_runs_that_differ_in_rates_and_strengths_compile_nothing_new():
    """The first run compiles a handful of programs; then another rate, strength and weight none."""
    def run(rate, strength, key=0):
        optimizer = fnn.optimizers.chain(
            fnn.optimizers.clip_by_global_norm(10 * rate),
            fnn.optimizers.adamw(fnn.schedules.cosine_decay(rate, 20), weight_decay=strength))
        penalty = fnn.penalties.l2(strength) + fnn.penalties.l1(strength)
        return fit(optimizer=optimizer, penalty=penalty, key=jax.random.key(key)).params

    net = fnn.mlp((3, 6, 3), hidden="tanh", output="softmax")  # one that no other test compiles
    with compilations() as first:
        fnn.fit(net, "cross_entropy", SGD, (X, Y), key=jax.random.key(0), epochs=2, batch_size=4,
                progress=False)
    assert 3 < len(first) <= 14, first
    one = run(0.1, 0.01)
    with compilations() as more:
        other = run(0.2, 0.02, key=1)
    assert not more and any(map(lambda a, b: (a != b).any(), jax.tree.leaves(one), jax.tree.leaves(other)))


def test_the_same_arguments_give_the_same_program():
    assert program(**MADE_OF).steps.func is program(**MADE_OF).steps.func


@pytest.mark.parametrize("change", [
    {"loss": fnn.losses.quadratic}, {"optimizer": MOMENTUM}, {"weighted": True},
    {"penalty": fnn.penalties.l2(0.1)}, {"value_and_grad": fnn.autodiff.value_and_grad}],
    ids=lambda change: next(iter(change)))
def test_another_argument_gives_another_program(change):
    assert program(**{**MADE_OF, **change}).steps.func is not program(**MADE_OF).steps.func


def test_the_value_of_a_penalty_is_compiled_once():
    penalty, params = fnn.penalties.l2(0.1) + fnn.penalties.l1(0.5), NET.init(jax.random.key(0))
    assert penalty_value(penalty).func is penalty_value(
        fnn.penalties.l2(0.7) + fnn.penalties.l1(0.2)).func
    np.testing.assert_allclose(penalty_value(penalty)(params), penalty.value(params), rtol=1e-6)


@pytest.mark.parametrize(("n", "watched"), [(N, N), (100, 32), (1200, 60), (20_000, 256)])
def test_the_monitor_costs_one_watched_example_for_sixty_trained_on(n, watched):
    """It watches a twentieth of the examples, but 32 to 256 where there are so many."""
    source = Arrays((np.zeros((n, 3), np.float32), np.zeros(n, int)))
    epochs, _ = watch(program(**MADE_OF), source)
    assert (epochs - 1) * n < 60 * watched <= epochs * n


def test_the_monitor_weighs_its_examples_alike():
    source = Arrays((X.astype(np.float32), Y, np.linspace(0, 2, N, dtype=np.float32))).on_device()
    params = NET.init(jax.random.key(0))
    plain, weighted = (
        watch(program(**{**MADE_OF, "weighted": weights}), source)[1](params, SGD.init(params))
        for weights in (False, True))
    close(weighted, plain, 1e-5)


def of_length(n, **changes):
    x, y = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32), np.arange(500) % 3
    return fit(data=(x[:n], y[:n]), batch_size=32, epochs=2, monitor=True, every=3, **changes)


@pytest.mark.parametrize("changes", [
    {}, {"validation": 0.2, "class_weights": "balanced", "metrics": ["f1", "log_loss"]}])
def test_other_numbers_of_examples_compile_nothing_new(changes):
    """They have the same room, and the rest of an epoch fills up its batch."""
    of_length(500, **changes)  # the rooms of 500, or of 400 and 100, examples
    with compilations() as more:
        of_length(485, **changes)
        of_length(490, **changes)
    assert not more, more


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2.0, 402)])
def test_examples_with_room_are_trained_on_as_without(monkeypatch, weights):
    """A rest that rows without weight fill up gives the step of the rest alone."""
    roomy = of_length(402, sample_weights=weights)
    monkeypatch.setattr(sources, "ROOMY", 0)
    tight = of_length(402, sample_weights=weights)
    close(roomy.params, tight.params, 1e-5)
    close(roomy.history["cost"], tight.history["cost"], 1e-6)
