"""SGD: the rule of the notes, what momentum adds to it, and which arguments are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_nn as fnn
from functional_nn import optimizers
from tests.optimizers.runs import steps


@pytest.mark.parametrize("nesterov", [False, True])
def test_momenta_swept_by_vmap_are_the_runs_one_by_one_and_zero_is_plain(nesterov):
    momenta, gradients = jnp.asarray([0.0, 0.5, 0.9]), jnp.arange(1.0, 11.0)

    def path(mu, ahead):
        optimizer = optimizers.sgd(0.1, mu, ahead)

        def one(state, g):
            step, state = optimizer.update(g, state)
            return state, step

        return jax.lax.scan(one, optimizer.init(jnp.zeros(())), gradients)[1]

    looped = [path(mu, nesterov and mu > 0) for mu in (0.0, 0.5, 0.9)]
    np.testing.assert_allclose(
        jax.vmap(lambda mu: path(mu, nesterov))(momenta), jnp.stack(looped), rtol=1e-5)


def test_every_numeric_argument_of_sgd_is_injected():
    injected = optax.inject_hyperparams(optimizers.sgd)(
        fnn.schedules.constant(0.1), momentum=0.9, nesterov=True)
    plain = optimizers.sgd(0.1, momentum=0.9, nesterov=True)
    gradients = np.sin(np.arange(10.0, dtype=np.float32))
    np.testing.assert_allclose(steps(injected, gradients), steps(plain, gradients), rtol=1e-5)


def test_plain_descent_remembers_nothing_and_is_the_notes_rule():
    optimizer, w = optimizers.sgd(0.25), jnp.asarray([4.0, -8.0])
    updates, state = optimizer.update(w, optimizer.init(w))
    assert state == (1, {})
    assert optax.apply_updates(w, updates).tolist() == [3.0, -6.0]  # w − γ ∇C with C = |w|² / 2


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_constant_gradient_moves_by_the_rate_over_one_minus_momentum_in_the_end(nesterov):
    last = steps(optimizers.sgd(0.1, 0.8, nesterov=nesterov), np.ones(100, np.float32))[-1]
    np.testing.assert_allclose(last, -0.1 / (1 - 0.8), rtol=1e-5)


SHARE = "must be a number of at least 0 and below 1"
RATE = ("learning_rate must be a finite number of at least 0 or a schedule "
        "(count -> learning rate)")
AHEAD = ("nesterov=True needs momentum above 0, got 0: it looks ahead along the velocity, and "
         "without momentum there is none; pass momentum=0.9, or nesterov=False")


@pytest.mark.parametrize(("optimizer", "arguments", "kind", "words"), [
    ("sgd", {"learning_rate": -0.1}, ValueError, f"{RATE}, got -0.1"),
    ("sgd", {"learning_rate": float("nan")}, ValueError, f"{RATE}, got nan"),
    ("sgd", {"learning_rate": "0.1"}, TypeError, f"{RATE}, got '0.1'"),
    ("sgd", {"learning_rate": None}, TypeError, f"{RATE}, got None"),
    ("sgd", {"learning_rate": jnp.ones(2)}, ValueError,
     "learning_rate must be one number, got an array of shape (2,); sweep with jax.vmap"),
    ("sgd", {"momentum": 1.0}, ValueError, f"momentum {SHARE}, got 1.0"),
    ("sgd", {"momentum": -0.5}, ValueError, f"momentum {SHARE}, got -0.5"),
    ("sgd", {"momentum": float("nan")}, ValueError, f"momentum {SHARE}, got nan"),
    ("sgd", {"momentum": None}, TypeError, f"momentum {SHARE}, got None"),
    ("sgd", {"nesterov": True}, ValueError, AHEAD),
])
def test_names_the_bad_argument(optimizer, arguments, kind, words):
    with pytest.raises(kind) as error:
        getattr(optimizers, optimizer)(**{"learning_rate": 0.1} | arguments)
    assert str(error.value) == words
