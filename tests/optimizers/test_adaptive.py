"""Adagrad, RMSprop and Adadelta: how long their steps are, and which arguments are refused."""

import numpy as np
import pytest

from functional_nn import optimizers
from tests.optimizers.runs import steps


def test_adagrads_rate_falls_as_one_over_the_root_of_the_steps():
    taken = steps(optimizers.adagrad(1.0, initial_accumulator_value=0.0, eps=0.0),
                  np.full(16, 5.0, np.float32))
    np.testing.assert_allclose(taken, -1 / np.sqrt(np.arange(1, 17)), rtol=1e-5)


def test_adagrad_without_a_gradient_yet_stays():
    assert not steps(optimizers.adagrad(1.0, initial_accumulator_value=0.0, eps=0.0),
                     np.zeros(2, np.float32)).any()


def test_rmsprop_begins_with_longer_steps_and_ends_with_steps_of_the_rate():
    """Under a constant gradient n = (1 − ρᵗ) g², which has no bias correction."""
    taken = steps(optimizers.rmsprop(0.1, decay=0.75, eps=0.0), np.full(40, -5.0, np.float32))
    np.testing.assert_allclose(taken, 0.1 / np.sqrt(1 - 0.75 ** np.arange(1, 41)), rtol=1e-5)


def test_adadeltas_first_step_is_set_by_epsilon_and_its_steps_grow():
    taken = -steps(optimizers.adadelta(rho=0.75, eps=1e-4), np.full(40, 5.0, np.float32))
    np.testing.assert_allclose(taken[0], np.sqrt(1e-4 / 0.25), rtol=1e-4)
    assert (np.diff(taken[1:]) > 0).all()


@pytest.mark.parametrize("optimizer", [
    optimizers.adagrad(0.1, 0.0, 0.0), optimizers.rmsprop(0.1, eps=0.0), optimizers.adadelta()],
    ids=["adagrad", "rmsprop", "adadelta"])
def test_the_scale_of_the_cost_does_not_matter(optimizer):
    gradients = np.sin(np.arange(1.0, 9.0, dtype=np.float32))
    np.testing.assert_allclose(
        steps(optimizer, 1000 * gradients), steps(optimizer, gradients), rtol=1e-4)


SHARE = "must be a number of at least 0 and below 1"
POSITIVE = "must be a finite number of at least 0"
AHEAD = ("nesterov=True needs momentum above 0, got 0: it looks ahead along the velocity, and "
         "without momentum there is none; pass momentum=0.9, or nesterov=False")


@pytest.mark.parametrize(("optimizer", "arguments", "kind", "words"), [
    ("rmsprop", {"nesterov": True}, ValueError, AHEAD),
    ("rmsprop", {"decay": 1.0}, ValueError, f"decay {SHARE}, got 1.0"),
    ("rmsprop", {"momentum": 2}, ValueError, f"momentum {SHARE}, got 2"),
    ("rmsprop", {"eps": -1e-8}, ValueError, f"eps {POSITIVE}, got -1e-08"),
    ("adagrad", {"initial_accumulator_value": -1}, ValueError,
     f"initial_accumulator_value {POSITIVE}, got -1"),
    ("adagrad", {"eps": "small"}, TypeError, f"eps {POSITIVE}, got 'small'"),
    ("adadelta", {"rho": 1.5}, ValueError, f"rho {SHARE}, got 1.5"),
    ("adadelta", {"eps": float("inf")}, ValueError, f"eps {POSITIVE}, got inf"),
])
def test_names_the_bad_argument(optimizer, arguments, kind, words):
    with pytest.raises(kind) as error:
        getattr(optimizers, optimizer)(**{"learning_rate": 0.1} | arguments)
    assert str(error.value) == words
