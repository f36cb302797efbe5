"""What each optimiser is for, as a law; what the frame keeps; and what is said about a bad argument."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_nn as fnn
from functional_nn import optimizers


def steps(optimizer, gradients, params=None):
    """The step for each gradient in turn, at parameters that stay."""
    params = jnp.zeros_like(jnp.asarray(gradients[0])) if params is None else params
    state, taken, update = optimizer.init(params), [], jax.jit(optimizer.update)
    for g in gradients:
        step, state = update(jnp.asarray(g), state, params)
        taken.append(np.asarray(step))
    return np.array(taken)


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
    np.testing.assert_allclose(jax.vmap(lambda mu: path(mu, nesterov))(momenta), jnp.stack(looped), rtol=1e-5)


def test_every_numeric_argument_of_sgd_is_injected():
    injected = optax.inject_hyperparams(optimizers.sgd)(fnn.schedules.constant(0.1), momentum=0.9, nesterov=True)
    plain = optimizers.sgd(0.1, momentum=0.9, nesterov=True)
    gradients = np.sin(np.arange(10.0, dtype=np.float32))
    np.testing.assert_allclose(steps(injected, gradients), steps(plain, gradients), rtol=1e-5)


def test_a_scheduled_weight_decay_is_that_of_its_twin_and_a_weight_decay_can_be_injected():
    schedule = fnn.schedules.linear_warmup(3, 0.5)
    injected = optax.inject_hyperparams(optimizers.adamw)(0.1, weight_decay=schedule)
    with jax.enable_x64(True):
        g, w = [np.ones(2)] * 6, jnp.array([1.0, -2.0])  # -3 would cancel to rounding at the third step
        with jax.numpy_dtype_promotion("standard"):
            theirs = steps(optax.adamw(0.1, weight_decay=schedule), g, w)
        np.testing.assert_allclose(steps(optimizers.adamw(0.1, weight_decay=schedule), g, w), theirs, rtol=1e-12)
        np.testing.assert_allclose(steps(injected, g, w), theirs, rtol=1e-12)


@pytest.mark.parametrize("optimizer", ["adamw", "lion"])
@pytest.mark.parametrize("mask", [{"w": True, "b": False}, {"w": {"inner": True}, "b": False}, "weights",
                                  lambda params: jax.tree.map(lambda p: p.ndim > 1, params)])
def test_a_mask_says_what_decays_as_it_does_in_the_twin(optimizer, mask):
    params = {"w": {"inner": jnp.ones((2, 2))}, "b": jnp.ones(2)}
    ours, without = (getattr(optimizers, optimizer)(0.1, weight_decay=0.5, mask=m) for m in (mask, {"w": False, "b": False}))
    mine, _ = jax.jit(ours.update)(params, ours.init(params), params)
    plain, _ = without.update(params, without.init(params), params)
    chex.assert_trees_all_close(mine["b"], plain["b"])
    chex.assert_trees_all_close(mine["w"]["inner"], plain["w"]["inner"] - 0.1 * 0.5, rtol=1e-5)
    if mask != "weights":
        twin = getattr(optax, optimizer)(0.1, weight_decay=0.5, mask=mask)
        with jax.numpy_dtype_promotion("standard"):
            chex.assert_trees_all_close(mine, twin.update(params, twin.init(params), params)[0], rtol=1e-5)


def test_the_count_stays_at_the_largest_integer():
    optimizer, largest = optimizers.sgd(lambda count: count), jnp.iinfo(jnp.int32).max
    state = optimizer.init(jnp.ones(()))
    for count, after in [(0, 1), (largest - 1, largest), (largest, largest)]:
        _, ahead = jax.jit(optimizer.update)(jnp.ones(()), state._replace(count=jnp.asarray(count, jnp.int32)))
        assert ahead.count == after


def test_plain_descent_remembers_nothing_and_is_the_notes_rule():
    optimizer, w = optimizers.sgd(0.25), jnp.asarray([4.0, -8.0])
    updates, state = optimizer.update(w, optimizer.init(w))
    assert state == (1, {})
    assert optax.apply_updates(w, updates).tolist() == [3.0, -6.0]  # w − γ ∇C with C = |w|² / 2


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_constant_gradient_moves_by_the_rate_over_one_minus_momentum_in_the_end(nesterov):
    last = steps(optimizers.sgd(0.1, 0.8, nesterov=nesterov), np.ones(100, np.float32))[-1]
    np.testing.assert_allclose(last, -0.1 / (1 - 0.8), rtol=1e-5)


def test_adagrads_rate_falls_as_one_over_the_root_of_the_steps():
    taken = steps(optimizers.adagrad(1.0, initial_accumulator_value=0.0, eps=0.0), np.full(16, 5.0, np.float32))
    np.testing.assert_allclose(taken, -1 / np.sqrt(np.arange(1, 17)), rtol=1e-5)


def test_adagrad_without_a_gradient_yet_stays():
    assert not steps(optimizers.adagrad(1.0, initial_accumulator_value=0.0, eps=0.0), np.zeros(2, np.float32)).any()


@pytest.mark.parametrize("optimizer", [
    optimizers.adagrad(0.1, 0.0, 0.0), optimizers.rmsprop(0.1, eps=0.0), optimizers.adam(0.1, eps=0.0),
    optimizers.nadam(0.1, eps=0.0), optimizers.amsgrad(0.1, eps=0.0), optimizers.lion(0.1)],
    ids=["adagrad", "rmsprop", "adam", "nadam", "amsgrad", "lion"])
def test_the_scale_of_the_cost_does_not_matter(optimizer):
    gradients = np.sin(np.arange(1.0, 9.0, dtype=np.float32))
    np.testing.assert_allclose(steps(optimizer, 1000 * gradients), steps(optimizer, gradients), rtol=1e-4)


def test_adams_first_step_is_the_rate_and_nadams_is_longer():
    gradient = np.float32([[1e-3, -1.0, 1e3]])
    np.testing.assert_allclose(steps(optimizers.adam(0.1), gradient), -0.1 * np.sign(gradient), rtol=1e-4)
    np.testing.assert_allclose(
        steps(optimizers.nadam(0.1), gradient), -0.1 * (1 + 0.9 / 1.9) * np.sign(gradient), rtol=1e-4)


def test_adamw_without_decay_is_adam_and_amsgrad_is_adam_while_gradients_grow():
    gradients = np.float32([1.0, 2.0, 4.0, 8.0])
    adam = steps(optimizers.adam(0.1), gradients)
    np.testing.assert_array_equal(steps(optimizers.adamw(0.1, weight_decay=0.0), gradients), adam)
    np.testing.assert_array_equal(steps(optimizers.amsgrad(0.1), gradients), adam)
    fading = gradients[::-1] ** 3
    assert (abs(steps(optimizers.amsgrad(0.1, b2=0.5), fading)) < abs(steps(optimizers.adam(0.1, b2=0.5), fading)))[1:].all()


def test_every_entry_moves_by_the_rate_in_lion():
    assert np.allclose(abs(steps(optimizers.lion(0.01, weight_decay=0.0), np.float32([[1e-6, -3.0, 1e6]] * 3))), 0.01)


SHARE, POSITIVE = "must be a number of at least 0 and below 1", "must be a finite number of at least 0"
RATE = "learning_rate must be a finite number of at least 0 or a schedule (count -> learning rate)"
DECAY = "weight_decay must be a finite number of at least 0 or a schedule (count -> weight decay)"
AHEAD = ("nesterov=True needs momentum above 0, got 0: it looks ahead along the velocity, and without momentum there is "
         "none; pass momentum=0.9, or nesterov=False")


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
    ("rmsprop", {"nesterov": True}, ValueError, AHEAD),
    ("rmsprop", {"decay": 1.0}, ValueError, f"decay {SHARE}, got 1.0"),
    ("rmsprop", {"momentum": 2}, ValueError, f"momentum {SHARE}, got 2"),
    ("rmsprop", {"eps": -1e-8}, ValueError, f"eps {POSITIVE}, got -1e-08"),
    ("adagrad", {"initial_accumulator_value": -1}, ValueError, f"initial_accumulator_value {POSITIVE}, got -1"),
    ("adagrad", {"eps": "small"}, TypeError, f"eps {POSITIVE}, got 'small'"),
    ("adadelta", {"rho": 1.5}, ValueError, f"rho {SHARE}, got 1.5"),
    ("adadelta", {"eps": float("inf")}, ValueError, f"eps {POSITIVE}, got inf"),
    *((name, {argument: 1.0}, ValueError, f"{argument} {SHARE}, got 1.0")
      for name in ("adam", "adamw", "nadam", "amsgrad", "lion") for argument in ("b1", "b2")),
    *((name, {argument: -1.0}, ValueError, f"{argument} {POSITIVE}, got -1.0")
      for name in ("adam", "adamw", "nadam", "amsgrad") for argument in ("eps", "eps_root")),
    *((name, {"weight_decay": -1.0}, ValueError, f"{DECAY}, got -1.0") for name in ("adamw", "lion")),
    ("adamw", {"mask": "biases"}, ValueError, "unknown mask 'biases'. There are: weights"),
])
def test_names_the_bad_argument(optimizer, arguments, kind, words):
    with pytest.raises(kind) as error:
        getattr(optimizers, optimizer)(**{"learning_rate": 0.1} | arguments)
    assert str(error.value) == words


@pytest.mark.parametrize("optimizer", ["adamw", "lion"])
def test_what_needs_the_parameters_says_so(optimizer):
    optimizer = getattr(optimizers, optimizer)(0.1)
    with pytest.raises(ValueError, match=r"params must be given .* got None.*update\(gradients, state, params\)"):
        optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)))


def test_a_mask_of_anything_but_booleans_is_refused():
    optimizer = optimizers.adamw(0.1, mask={"w": 1.0})
    with pytest.raises(TypeError, match=r"mask must be None, 'weights', a tree of booleans .* got 1.0 in it"):
        optimizer.update({"w": jnp.ones(2)}, optimizer.init({"w": jnp.ones(2)}), {"w": jnp.ones(2)})


def test_it_trains_a_network():
    X, optimizer = jnp.linspace(-1, 1, 64)[:, None], optax.chain(optimizers.adamw(0.02), optimizers.max_norm(3.0))
    result = fnn.fit(fnn.mlp((1, 8, 1), hidden="tanh"), "mse", optimizer, (X, X**2), key=jax.random.key(0), epochs=100,
                     batch_size=16, progress=False)
    assert result.history["cost"][-1] < 0.01 < result.history["cost"][0]
