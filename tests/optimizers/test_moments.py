"""Adam, AdamW, NAdam, AMSGrad and Lion: the law of each, and which arguments are refused."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_nn as fnn
from functional_nn import optimizers
from tests.optimizers.runs import steps


def test_a_scheduled_weight_decay_is_that_of_its_twin_and_a_weight_decay_can_be_injected():
    schedule = fnn.schedules.linear_warmup(3, 0.5)
    injected = optax.inject_hyperparams(optimizers.adamw)(0.1, weight_decay=schedule)
    with jax.enable_x64(True):
        # -3 in place of -2 would cancel to rounding at the third step
        g, w = [np.ones(2)] * 6, jnp.array([1.0, -2.0])
        with jax.numpy_dtype_promotion("standard"):
            theirs = steps(optax.adamw(0.1, weight_decay=schedule), g, w)
        ours = steps(optimizers.adamw(0.1, weight_decay=schedule), g, w)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        np.testing.assert_allclose(steps(injected, g, w), theirs, rtol=1e-12)


@pytest.mark.parametrize("optimizer", ["adamw", "lion"])
@pytest.mark.parametrize("mask", [
    {"w": True, "b": False}, {"w": {"inner": True}, "b": False}, "weights",
    lambda params: jax.tree.map(lambda p: p.ndim > 1, params)])
def test_a_mask_says_what_decays_as_it_does_in_the_twin(optimizer, mask):
    params = {"w": {"inner": jnp.ones((2, 2))}, "b": jnp.ones(2)}
    ours, without = (getattr(optimizers, optimizer)(0.1, weight_decay=0.5, mask=m)
                     for m in (mask, {"w": False, "b": False}))
    mine, _ = jax.jit(ours.update)(params, ours.init(params), params)
    plain, _ = without.update(params, without.init(params), params)
    chex.assert_trees_all_close(mine["b"], plain["b"])
    chex.assert_trees_all_close(
        mine["w"]["inner"], plain["w"]["inner"] - 0.1 * 0.5, rtol=1e-5)
    if mask != "weights":
        twin = getattr(optax, optimizer)(0.1, weight_decay=0.5, mask=mask)
        with jax.numpy_dtype_promotion("standard"):
            theirs = twin.update(params, twin.init(params), params)[0]
            chex.assert_trees_all_close(mine, theirs, rtol=1e-5)


@pytest.mark.parametrize("optimizer", [
    optimizers.adam(0.1, eps=0.0), optimizers.nadam(0.1, eps=0.0),
    optimizers.amsgrad(0.1, eps=0.0), optimizers.lion(0.1)],
    ids=["adam", "nadam", "amsgrad", "lion"])
def test_the_scale_of_the_cost_does_not_matter(optimizer):
    gradients = np.sin(np.arange(1.0, 9.0, dtype=np.float32))
    np.testing.assert_allclose(
        steps(optimizer, 1000 * gradients), steps(optimizer, gradients), rtol=1e-4)


def test_adams_first_step_is_the_rate_and_nadams_is_longer():
    gradient = np.float32([[1e-3, -1.0, 1e3]])
    np.testing.assert_allclose(
        steps(optimizers.adam(0.1), gradient), -0.1 * np.sign(gradient), rtol=1e-4)
    np.testing.assert_allclose(
        steps(optimizers.nadam(0.1), gradient), -0.1 * (1 + 0.9 / 1.9) * np.sign(gradient),
        rtol=1e-4)


def test_adamw_without_decay_is_adam_and_amsgrad_is_adam_while_gradients_grow():
    gradients = np.float32([1.0, 2.0, 4.0, 8.0])
    adam = steps(optimizers.adam(0.1), gradients)
    np.testing.assert_array_equal(
        steps(optimizers.adamw(0.1, weight_decay=0.0), gradients), adam)
    np.testing.assert_array_equal(steps(optimizers.amsgrad(0.1), gradients), adam)
    fading = gradients[::-1] ** 3
    shorter, longer = (
        abs(steps(make(0.1, b2=0.5), fading)) for make in (optimizers.amsgrad, optimizers.adam))
    assert (shorter < longer)[1:].all()


def test_every_entry_moves_by_the_rate_in_lion():
    taken = steps(optimizers.lion(0.01, weight_decay=0.0), np.float32([[1e-6, -3.0, 1e6]] * 3))
    assert np.allclose(abs(taken), 0.01)


SHARE = "must be a number of at least 0 and below 1"
POSITIVE = "must be a finite number of at least 0"
DECAY = "weight_decay must be a finite number of at least 0 or a schedule (count -> weight decay)"


@pytest.mark.parametrize(("optimizer", "arguments", "kind", "words"), [
    *((name, {argument: 1.0}, ValueError, f"{argument} {SHARE}, got 1.0")
      for name in ("adam", "adamw", "nadam", "amsgrad", "lion") for argument in ("b1", "b2")),
    *((name, {argument: -1.0}, ValueError, f"{argument} {POSITIVE}, got -1.0")
      for name in ("adam", "adamw", "nadam", "amsgrad") for argument in ("eps", "eps_root")),
    *((name, {"weight_decay": -1.0}, ValueError, f"{DECAY}, got -1.0")
      for name in ("adamw", "lion")),
    ("adamw", {"mask": "biases"}, ValueError, "unknown mask 'biases'. There are: weights"),
])
def test_names_the_bad_argument(optimizer, arguments, kind, words):
    with pytest.raises(kind) as error:
        getattr(optimizers, optimizer)(**{"learning_rate": 0.1} | arguments)
    assert str(error.value) == words


@pytest.mark.parametrize("optimizer", ["adamw", "lion"])
def test_what_needs_the_parameters_says_so(optimizer):
    optimizer, says = getattr(optimizers, optimizer)(0.1), (
        r"params must be given .* got None.*update\(gradients, state, params\)")
    with pytest.raises(ValueError, match=says):
        optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)))


def test_it_trains_a_network():
    X = jnp.linspace(-1, 1, 64)[:, None]
    optimizer = optax.chain(optimizers.adamw(0.02), optimizers.max_norm(3.0))
    result = fnn.fit(
        fnn.mlp((1, 8, 1), hidden="tanh"), "mse", optimizer, (X, X**2), key=jax.random.key(0),
        epochs=100, batch_size=16, progress=False)
    assert result.history["cost"][-1] < 0.01 < result.history["cost"][0]
