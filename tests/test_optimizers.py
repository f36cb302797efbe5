"""Every optimiser follows its optax twin step by step, and sits wherever optax lets one sit."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from functional_nn import optimizers, schedules

# One row a variant: (ours, optax's), each a function of the learning rate alone.
TWINS = {
    "sgd": (optimizers.sgd, optax.sgd),
    "sgd, momentum": (
        functools.partial(optimizers.sgd, momentum=0.9),
        functools.partial(optax.sgd, momentum=0.9)),
    "sgd, nesterov": (
        functools.partial(optimizers.sgd, momentum=0.9, nesterov=True),
        functools.partial(optax.sgd, momentum=0.9, nesterov=True)),
}
SCHEDULES = {
    "number": 0.1,
    "constant": schedules.constant(0.1),
    "step_decay": schedules.step_decay(0.1, 0.5, 8),
    "exponential_decay": schedules.exponential_decay(0.1, 0.9, 7),
    "inverse_time_decay": schedules.inverse_time_decay(0.1, 2.0, 7),
    "polynomial_decay": schedules.polynomial_decay(0.1, 0.01, 2.5, 20),
    "cosine_decay": schedules.cosine_decay(0.1, 20),
    "linear_warmup": schedules.linear_warmup(6, schedules.cosine_decay(0.1, 20)),
    "optax's": optax.exponential_decay(0.1, 7, 0.9),
}
every_twin = pytest.mark.parametrize(("ours", "twin"), TWINS.values(), ids=TWINS)
every_optimizer = pytest.mark.parametrize("ours", [ours for ours, _ in TWINS.values()], ids=TWINS)


def parameters(dtype=float):
    """Every kind of leaf and node: a matrix, a vector, a scalar, one of no size, None; dictionaries, tuples, a list."""
    layer = {"w": jnp.linspace(-1, 1, 6, dtype=dtype).reshape(3, 2), "b": jnp.zeros(3, dtype)}
    return {"layers": [(layer,), ()], "scale": jnp.asarray(2, dtype), "none": None,
            "empty": jnp.zeros((0, 4), dtype)}


@jax.jit
def gradient(params, step):
    """A gradient that depends on where the parameters are, so that one wrong step makes the next ones worse."""
    return jax.tree.map(lambda p: jnp.sin(jnp.asarray(step, p.dtype) + 3 * p) + p, params)


def trajectory(optimizer, params, steps):
    """The parameters after each step."""
    state, path = optimizer.init(params), []
    for step in range(steps):
        updates, state = optimizer.update(gradient(params, step), state, params)
        params = optax.apply_updates(params, updates)
        path.append(params)
    return path


@every_twin
@pytest.mark.parametrize("learning_rate", SCHEDULES.values(), ids=SCHEDULES)
def test_follows_its_twin_step_by_step(ours, twin, learning_rate):
    with jax.enable_x64(True):
        mine = trajectory(ours(learning_rate), parameters(), 50)
        theirs = trajectory(twin(learning_rate), parameters(), 50)
        for here, there in zip(mine, theirs, strict=True):
            chex.assert_trees_all_equal_dtypes(here, there, parameters(jnp.float64))
            chex.assert_trees_all_close(here, there, rtol=1e-12, atol=1e-15)


@every_twin
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize("x64", [False, True])
def test_keeps_the_dtype_and_the_values_of_its_twin(ours, twin, dtype, x64):
    with jax.enable_x64(x64):
        params = parameters(dtype)
        here, there = trajectory(ours(0.1), params, 10), trajectory(twin(0.1), params, 10)
        chex.assert_trees_all_equal_dtypes(here[-1], there[-1], params)
        chex.assert_trees_all_equal(here, there)
        velocity = ours(0.1).init(params).velocity
        assert velocity is None or jax.tree.map(jnp.result_type, velocity) == jax.tree.map(jnp.result_type, params)


@every_twin
def test_a_leaf_may_have_a_dtype_of_its_own(ours, twin):
    params = {"w": jnp.ones(3, jnp.bfloat16), "b": jnp.ones(2, jnp.float32)}
    here, there = trajectory(ours(0.1), params, 10), trajectory(twin(0.1), params, 10)
    chex.assert_trees_all_equal_dtypes(here[-1], params)
    chex.assert_trees_all_equal(here, there)


@every_twin
def test_sits_in_a_chain_with_clipping_and_decay(ours, twin):
    def chained(optimizer):
        return optax.chain(optax.clip_by_global_norm(0.5), optax.add_decayed_weights(0.01), optimizer(0.1))

    with jax.enable_x64(True):
        mine, theirs = trajectory(chained(ours), parameters(), 20), trajectory(chained(twin), parameters(), 20)
        chex.assert_trees_all_close(mine, theirs, rtol=1e-12, atol=1e-15)


@every_optimizer
def test_compiled_is_eager_and_is_traced_once(ours):
    params, optimizer = parameters(), ours(schedules.step_decay(0.1, 0.5, 3))
    chex.clear_trace_counter()
    update = jax.jit(chex.assert_max_traces(optimizer.update, n=1))
    compiled = trajectory(optax.GradientTransformation(optimizer.init, update), params, 10)
    chex.assert_trees_all_close(compiled, trajectory(optimizer, params, 10), rtol=1e-5, atol=1e-6)


@every_optimizer
def test_the_state_is_carried_through_a_scan(ours):
    params, optimizer = parameters(), ours(schedules.cosine_decay(0.1, 10))

    def one(carry, step):
        params, state = carry
        updates, state = optimizer.update(gradient(params, step), state)
        return (optax.apply_updates(params, updates), state), state.count

    (scanned, state), counts = jax.lax.scan(one, (params, optimizer.init(params)), jnp.arange(10))
    chex.assert_trees_all_close(scanned, trajectory(optimizer, params, 10)[-1], rtol=1e-5, atol=1e-6)
    assert counts.tolist() == list(range(1, 11)) and state.count.dtype == jnp.int32


@every_optimizer
def test_learning_rates_swept_by_vmap_are_the_runs_one_by_one(ours):
    rates, params = jnp.asarray([0.01, 0.1, 0.3]), parameters()
    swept = jax.vmap(lambda rate: trajectory(ours(rate), params, 5)[-1])(rates)
    looped = [trajectory(ours(float(rate)), params, 5)[-1] for rate in rates]
    chex.assert_trees_all_close(swept, jax.tree.map(lambda *runs: jnp.stack(runs), *looped), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momenta_swept_by_vmap_are_the_runs_one_by_one_and_zero_is_plain(nesterov):
    momenta, params = jnp.asarray([0.0, 0.5, 0.9]), parameters()
    swept = jax.vmap(lambda mu: trajectory(optimizers.sgd(0.1, mu, nesterov), params, 10)[-1])(momenta)
    looped = [trajectory(optimizers.sgd(0.1, mu, nesterov and mu > 0), params, 10)[-1] for mu in (0.0, 0.5, 0.9)]
    chex.assert_trees_all_close(swept, jax.tree.map(lambda *runs: jnp.stack(runs), *looped), rtol=1e-5, atol=1e-6)


@every_twin
def test_hyper_parameters_can_be_injected_and_changed(ours, twin):
    def run(optimizer):
        injected, params = optax.inject_hyperparams(optimizer)(learning_rate=0.1), parameters()
        state = injected.init(params)
        for step in range(10):
            if step == 5:
                state.hyperparams["learning_rate"] = jnp.asarray(0.01, params["scale"].dtype)
            updates, state = jax.jit(injected.update)(gradient(params, step), state, params)
            params = optax.apply_updates(params, updates)
        return params

    with jax.enable_x64(True):
        chex.assert_trees_all_close(run(ours), run(twin), rtol=1e-12, atol=1e-15)


def test_every_numeric_argument_of_sgd_is_injected():
    injected = optax.inject_hyperparams(optimizers.sgd)(schedules.constant(0.1), momentum=0.9, nesterov=True)
    plain = optimizers.sgd(0.1, momentum=0.9, nesterov=True)
    chex.assert_trees_all_close(
        trajectory(injected, parameters(), 10), trajectory(plain, parameters(), 10), rtol=1e-6, atol=1e-7)


@every_optimizer
def test_extra_arguments_are_accepted(ours):
    optimizer, params = ours(0.1), parameters()
    assert isinstance(optimizer, optax.GradientTransformationExtraArgs)
    with_extra, _ = optimizer.update(params, optimizer.init(params), params, value=1.0)
    without, _ = optimizer.update(params, optimizer.init(params))
    chex.assert_trees_all_equal(with_extra, without)


@every_optimizer
def test_a_leaf_without_a_gradient_stays_and_so_does_its_state(ours):
    optimizer, params = ours(0.1), {"frozen": jnp.ones(2), "free": jnp.ones(3)}
    start = optimizer.init(params)
    updates, state = optimizer.update({"frozen": None, "free": jnp.ones(3)}, start)
    assert updates["frozen"] is None
    assert jax.tree.structure(state) == jax.tree.structure(start)
    chex.assert_trees_all_equal(updates["free"], optimizer.update(params, start)[0]["free"])


@every_optimizer
def test_python_and_numpy_numbers_are_leaves_too(ours):
    updates, _ = ours(0.5).update({"a": 1.0, "b": np.ones(2)}, ours(0.5).init({"a": 1.0, "b": np.ones(2)}))
    assert updates["a"].dtype == updates["b"].dtype == jnp.float32


def test_the_count_stays_at_the_largest_integer():
    optimizer, largest = optimizers.sgd(lambda count: count), jnp.iinfo(jnp.int32).max
    state = optimizer.init(jnp.ones(()))
    for count, after in [(0, 1), (largest - 1, largest), (largest, largest)]:
        _, ahead = jax.jit(optimizer.update)(jnp.ones(()), state._replace(count=jnp.asarray(count, jnp.int32)))
        assert ahead.count == after


def test_plain_descent_keeps_no_velocity_and_is_the_notes_rule():
    optimizer, w = optimizers.sgd(0.25), jnp.asarray([4.0, -8.0])
    updates, state = optimizer.update(w, optimizer.init(w))
    assert state == (1, None)
    assert optax.apply_updates(w, updates).tolist() == [3.0, -6.0]  # w − γ ∇C with C = |w|² / 2


def test_a_constant_gradient_moves_by_the_rate_over_one_minus_momentum_in_the_end():
    for optimizer in (optimizers.sgd(0.1, 0.8), optimizers.sgd(0.1, 0.8, nesterov=True)):
        state = optimizer.init(jnp.ones(()))
        for _ in range(100):
            updates, state = optimizer.update(jnp.ones(()), state)
        np.testing.assert_allclose(updates, -0.1 / (1 - 0.8), rtol=1e-5)


MOMENTUM = "momentum must be a number of at least 0 and below 1"
RATE = "learning_rate must be a finite number of at least 0 or a schedule (count -> learning rate)"


@pytest.mark.parametrize(("arguments", "kind", "words"), [
    ({"learning_rate": -0.1}, ValueError, f"{RATE}, got -0.1"),
    ({"learning_rate": float("nan")}, ValueError, f"{RATE}, got nan"),
    ({"learning_rate": "0.1"}, TypeError, f"{RATE}, got '0.1'"),
    ({"learning_rate": None}, TypeError, f"{RATE}, got None"),
    ({"learning_rate": jnp.ones(2)}, ValueError,
     "learning_rate must be one number, got an array of shape (2,); sweep with jax.vmap"),
    ({"momentum": 1.0}, ValueError, f"{MOMENTUM}, got 1.0"),
    ({"momentum": -0.5}, ValueError, f"{MOMENTUM}, got -0.5"),
    ({"momentum": float("nan")}, ValueError, f"{MOMENTUM}, got nan"),
    ({"momentum": None}, TypeError, f"{MOMENTUM}, got None"),
    ({"nesterov": True}, ValueError,
     "nesterov=True needs momentum above 0, got 0: it looks ahead along the velocity, and without momentum there is "
     "none; pass momentum=0.9, or nesterov=False"),
])
def test_names_the_bad_argument(arguments, kind, words):
    with pytest.raises(kind) as error:
        optimizers.sgd(**{"learning_rate": 0.1} | arguments)
    assert str(error.value) == words
