"""fit: by hand = by jax, ours = optax's, the same key = the same bits; wrong arguments are named."""

import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_nn as fnn
from functional_nn.layers import dense, dropout
from tests.training.runs import NET, N, X, Y, close, fit, same

STILL = fnn.optimizers.sgd(0.0)


@pytest.mark.parametrize("batch_size", [pytest.param(None, marks=pytest.mark.slow), 4])
def test_by_hand_is_by_jax_and_ours_is_optaxs(batch_size):
    with jax.enable_x64(True):
        run = functools.partial(fit, batch_size=batch_size, validation=(X, Y))
        ours = run(optimizer=fnn.optimizers.sgd(0.05, momentum=0.9))
        assert jax.tree.leaves(ours.params)[0].dtype == "float64"
        for other in (run(optimizer=fnn.optimizers.sgd(0.05, momentum=0.9), value_and_grad=fnn.autodiff.value_and_grad),
                      run(optimizer=optax.sgd(0.05, momentum=0.9))):
            close(ours.params, other.params)
            close(ours.history, other.history)


def test_the_history_is_what_one_gets_by_evaluating():
    """Going on from `params` epoch by epoch, with the keys that `fit` draws, gives every number of the record."""
    validation = (X[:5] + 0.1, Y[:5])
    result = fit(epochs=4, validation=validation)
    assert set(result.history) == {"epoch", "cost", "validation_cost", "validation_accuracy"}
    assert all(numbers.shape == (4,) for numbers in result.history.values()) and result.stopped == "epochs are over"
    assert result.history["epoch"].tolist() == [1, 2, 3, 4]
    assert set(fit().history) == {"epoch", "cost"}
    for epochs in (1, 3):
        params = fit(epochs=epochs).params
        cost = fnn.cost(NET, "cross_entropy")(params, *validation)
        predicted = jnp.argmax(jax.vmap(NET.apply, (None, 0))(params, jnp.asarray(validation[0])), axis=1)
        assert result.history["validation_cost"][epochs - 1] == pytest.approx(float(cost), rel=1e-5)
        assert result.history["validation_accuracy"][epochs - 1] == pytest.approx(np.mean(predicted == validation[1]))


def test_the_same_key_gives_the_same_bits_and_another_key_others():
    first, again, other = fit(), fit(), fit(key=jax.random.key(1))
    same(first.params, again.params)
    same(first.history, again.history)
    assert first.history["cost"][0] != other.history["cost"][0]
    start = NET.init(jax.random.key(5))
    runs = [fit(params=start, key=jax.random.key(seed), epochs=1, batch_size=1) for seed in (0, 1)]
    assert runs[0].history["cost"][0] != runs[1].history["cost"][0]  # the order of the examples hangs on it too


@pytest.mark.slow
def test_two_processes_give_the_same_bits():
    code = """
import hashlib, jax, numpy as np, functional_nn as fnn
net = fnn.sequential(3, fnn.layers.dense(16, "relu"), fnn.layers.dropout(0.3), fnn.layers.dense(3, "softmax"))
X = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
result = fnn.fit(net, "cross_entropy", fnn.optimizers.sgd(0.1, momentum=0.9), (X, np.arange(50) % 3),
                 key=jax.random.key(7), epochs=3, batch_size=8, progress=False)
print(hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(result.params))).hexdigest())
"""
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (run.communicate(timeout=120)[0] for run in runs)
    assert first == second and len(first.strip()) == 64


def test_given_parameters_are_the_start_and_are_not_changed():
    start = NET.init(jax.random.key(3))
    before = jax.tree.map(np.array, start)
    still = fit(params=start, optimizer=STILL)
    same(still.params, before)
    assert still.history["cost"][0] == pytest.approx(float(fnn.cost(NET, "cross_entropy")(start, X, Y)), rel=1e-5)
    moved = fit(params=jax.tree.map(np.asarray, before))  # NumPy's arrays do as well
    same(start, before)
    same(moved.params, fit(params=start).params)


def test_a_run_can_go_on():
    """The optimiser's state comes back with the parameters: its count has seen every step."""
    result = fit(epochs=3)
    assert int(result.optimizer_state.count) == 3 * 4  # 3 batches of 4, and one of 1


def test_a_rule_stops_the_run_and_says_so():
    seen = []
    result = fit(epochs=50, stop=lambda costs: seen.append(list(costs)) or len(costs) == 3)
    assert result.history["epoch"].tolist() == [1, 2, 3] and result.stopped == "the stopping rule was met after epoch 3"
    np.testing.assert_allclose(seen[-1], result.history["cost"])
    fit(epochs=2, validation=(X, Y), stop=lambda costs: seen.append(list(costs)) and False)
    np.testing.assert_allclose(seen[-1], fit(epochs=2, validation=(X, Y)).history["validation_cost"])
    flat = fit(epochs=50, optimizer=STILL, shuffle=False, stop=fnn.until_converged(patience=4))
    assert len(flat.history["epoch"]) == 5


def test_progress_is_plain_lines_where_there_is_no_terminal(capsys):
    fit(epochs=20, progress=True, validation=(X, Y))
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert not out and 2 <= len(lines) <= 12 and "20/20" in lines[-1] and "\x1b" not in err
    assert all("training" in line and "cost" in line and len(line) <= 80 for line in lines)
    fit(epochs=3)
    assert capsys.readouterr() == ("", "")


def test_any_gradient_will_do():
    """`value_and_grad` is made of (net, loss) and may do as it likes, such as clip or ascend."""
    def uphill(net, loss):
        assert net is NET and loss is fnn.losses.cross_entropy
        run = fnn.backprop.value_and_grad(net, loss)
        return lambda params, X, Y: (run(params, X, Y)[0], jax.tree.map(jnp.negative, run(params, X, Y)[1]))

    assert fit(value_and_grad=uphill).history["cost"][-1] > fit().history["cost"][0]


def test_dropout_draws_anew_every_epoch_and_evaluates_without():
    net = fnn.sequential(3, dense(30, "tanh"), dropout(0.5), dense(3, "softmax"))
    start = net.init(jax.random.key(0))
    still = fit(net, params=start, optimizer=STILL, shuffle=False, batch_size=None, validation=(X, Y))
    assert len(set(still.history["cost"])) == 5 and len(set(still.history["validation_cost"])) == 1
    cost = fnn.cost(net, "cross_entropy")(start, X, Y)
    assert still.history["validation_cost"][0] == pytest.approx(float(cost), rel=1e-5)


@pytest.mark.slow
def test_with_dropout_too_by_hand_is_by_jax_and_learns():
    net = fnn.sequential(3, dense(30, "tanh"), dropout(0.5), dense(3, "softmax"))
    with jax.enable_x64(True):
        run = functools.partial(fit, net, data=(X, X.argmax(axis=1)), epochs=30, optimizer=fnn.optimizers.sgd(0.1))
        ours = run()
        close(ours.params, run(value_and_grad=fnn.autodiff.value_and_grad).params)
    assert ours.history["cost"][-1] < 0.8 * ours.history["cost"][0]


def test_regression_reaches_the_least_squares_solution():
    """N15: Σ(w₁x₁ + w₂x₂ + b − y)² by full-batch descent, against the solution in closed form."""
    random = np.random.default_rng(1)
    with jax.enable_x64(True):
        X, noise = random.normal(size=(40, 2)), random.normal(size=40)
        y = X @ [2.0, -3.0] + 0.5 + 0.1 * noise
        result = fit(fnn.mlp((2, 1)), "squared_error", (X, y), fnn.optimizers.sgd(0.2), epochs=200, batch_size=None)
        wanted = np.linalg.lstsq(np.column_stack([X, np.ones(40)]), y, rcond=None)[0]
        np.testing.assert_allclose(np.append(result.params[0]["w"][0], result.params[0]["b"]), wanted, rtol=1e-10)


@pytest.mark.parametrize(("net", "loss"), [
    (fnn.mlp((2, 8, 2), hidden="relu", output="softmax"), "cross_entropy"),
    pytest.param(fnn.mlp((2, 8, 1), hidden="relu", output="sigmoid"), "binary_cross_entropy", marks=pytest.mark.slow)],
    ids=["softmax", "sigmoid"])
def test_what_is_learnt_separates_what_can_be(net, loss):
    """Two classes (N21)."""
    Y = np.repeat([0, 1], 30)
    X = np.random.default_rng(0).normal(size=(60, 2)) / 4 + np.array([[1, 0], [-1, 1]])[Y]
    result = fit(net, loss, (X, Y), epochs=30, batch_size=16, validation=(X, Y))
    assert result.history["validation_accuracy"][-1] == 1 and result.history["cost"][-1] < 0.1


@pytest.mark.parametrize(("options", "words"), [
    ({"callbacks": [3]}, "callbacks[0] must be a function of a Moment, got 3"),
    ({"every": 0}, "every must be an integer of at least 1, got 0"),
    ({"penalty": 0.1},
     "penalty must be one of fnn.penalties such as fnn.penalties.l2(1e-4), got 0.1"),
    ({"resume": 3}, "resume must be the Result of a run, got int"),
    ({"metrics": ["f1"]}, "metrics are of validation data, got ['f1'] without any; "
     "pass validation=0.1 or (X, Y)"),
    ({"metrics": ["r2"], "validation": (X, Y)},
     "metrics must be of classes here, got 'r2', which is of values"),
    ({"metrics": ["f3"], "validation": (X, Y)}, "unknown metric 'f3'"),
    ({"validation": 1.5}, "validation must be a pair (X, Y), or the share of the examples to keep "
     "for it, between 0 and 1"),
    ({"validation": 0.01}, "validation=0.01 leaves too few of 13 examples on one side"),
    ({"data": fnn.data.stream(X, Y), "validation": 0.2},
     "validation must be a pair (X, Y) where data is a stream, got 0.2"),
    ({"data": fnn.data.stream(X, Y), "class_weights": "balanced"},
     "class_weights must be left out where data is a stream"),
    ({"sample_weights": np.ones(3, np.float32)},
     "sample_weights must have one weight for each of the 13 examples"),
    ({"sample_weights": -np.ones(N, np.float32)}, "sample_weights must be at least 0 and not all 0"),
    ({"class_weights": "even"}, "unknown class_weights 'even'"),
    ({"class_weights": 3}, "class_weights must be 'balanced' or"),
    ({"class_weights": {0: -1}}, "class_weights[0] must be a finite number of at least 0, got -1"),
    ({"class_weights": {0: 0, 1: 0, 2: 0}}, "class_weights must leave some example a weight above 0"),
    ({"data": (X, np.eye(3)[Y]), "class_weights": "balanced"},
     "class_weights needs Y to hold integer classes")])
def test_what_cannot_be_meant_is_said(options, words):
    with pytest.raises((TypeError, ValueError)) as error:
        fit(**options)
    assert words in str(error.value)


def test_what_cannot_go_on_is_said():
    done = fit(epochs=1)
    diverged = done._replace(stopped=fnn.Stop("diverged", 1, 1, "diverged at step 1"))
    for options, words in (
            ({"params": done.params}, "resume goes on from a result"),
            ({"optimizer": fnn.optimizers.adam(0.1)},
             "resume must be of the same network and optimiser"),
            ({"resume": diverged}, "resume must be a run that ended well")):
        with pytest.raises(ValueError, match=words):
            fit(**{"resume": done, **options})
