"""The contract: every optimiser follows its optax twin step by step, and sits wherever optax lets one sit.

The rows are `optimizers.TWINS`. The twin runs under JAX's standard promotion: some of optax's raise under the strict one, in
which ours run here.
"""

import functools
import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from functional_nn import optimizers, schedules
from functional_nn.optimizers import TWINS, State, adaptive, moments, momentum
from tests.slow import few

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
every_twin = pytest.mark.parametrize("twin", TWINS.values(), ids=TWINS)
SOME = ("nesterov", "rmsprop", "adamw", "clipped by norm")  # a rule of each kind, and a chain, for what all share
some_twins = pytest.mark.parametrize("twin", [TWINS[name] for name in SOME], ids=SOME)
RULES = {name: twin for name, twin in TWINS.items() if isinstance(twin.ours, functools.partial)}  # no chains
every_rule = pytest.mark.parametrize("twin", RULES.values(), ids=RULES)


def parameters(dtype=float):
    """Every kind of leaf and node: a matrix, a vector, a scalar, one of no size, None; dictionaries, tuples, a list."""
    layer = {"w": jnp.linspace(-1, 1, 6, dtype=dtype).reshape(3, 2), "b": jnp.zeros(3, dtype)}
    return {"layers": [(layer,), ()], "scale": jnp.asarray(2, dtype), "none": None,
            "empty": jnp.zeros((0, 4), dtype)}


def few_parameters(dtype=float):
    """Fewer, where what is asked does not depend on the kinds of leaves, and compiling them takes long."""
    return {"w": jnp.linspace(-1, 1, 6, dtype=dtype).reshape(3, 2), "scale": jnp.asarray(2, dtype)}


@jax.jit
def gradient(params, step):
    """A gradient that depends on where the parameters are, so that one wrong step makes the next ones worse."""
    return jax.tree.map(lambda p: jnp.sin(jnp.asarray(step, p.dtype) + 3 * p) + p, params)


def trajectory(optimizer, params, steps, promotion="strict", compiled=lambda update: update):
    """The parameters after each step, taken one by one."""
    with jax.numpy_dtype_promotion(promotion):
        state, path, update = optimizer.init(params), [], compiled(optimizer.update)
        for step in range(steps):
            updates, state = update(gradient(params, step), state, params)
            params = optax.apply_updates(params, updates)
            path.append(params)
    return path


def scanned(optimizer, params, steps, promotion="strict"):
    """The same, stacked, as one compiled loop."""
    @jax.jit
    def run(params):
        def one(carry, step):
            params, state = carry
            updates, state = optimizer.update(gradient(params, step), state, params)
            params = optax.apply_updates(params, updates)
            return (params, state), params

        return jax.lax.scan(one, (params, optimizer.init(params)), jnp.arange(steps))[1]

    with jax.numpy_dtype_promotion(promotion):
        return run(params)


def assert_same_path(mine, twin, params, steps, rtol=1e-12):
    """The path `mine` is that of the twin."""
    theirs = trajectory(twin, params, steps, "standard")
    for here, there in zip(mine, theirs, strict=True):
        chex.assert_trees_all_equal_dtypes(here, there, params)
        chex.assert_trees_all_close(here, there, rtol=rtol, atol=1e-14)


@pytest.mark.exact
@every_twin
def test_follows_its_twin_step_by_step_in_one_compiled_loop(twin):
    with jax.enable_x64(True):
        mine, theirs = scanned(twin.ours(0.1), parameters(), 50), scanned(twin.optax(0.1), parameters(), 50, "standard")
        chex.assert_trees_all_close(mine, theirs, rtol=1e-12, atol=1e-14)  # parameters near 0 come from some near 1
        chex.assert_trees_all_equal_dtypes(mine, theirs, parameters())


@pytest.mark.parametrize("learning_rate", SCHEDULES.values(), ids=SCHEDULES)
def test_follows_its_twin_along_every_schedule(learning_rate):
    with jax.enable_x64(True):
        mine = scanned(optimizers.adam(learning_rate), few_parameters(), 50)
        theirs = scanned(optax.adam(learning_rate), few_parameters(), 50, "standard")
        chex.assert_trees_all_close(mine, theirs, rtol=1e-12, atol=1e-14)


@some_twins
def test_each_leaf_keeps_its_dtype_and_the_values_of_its_twin(twin):
    """To the bit in most cases; elsewhere a step that rounds otherwise is off by a few units in the last place."""
    params = {"w": jnp.linspace(-1, 1, 6, dtype=jnp.bfloat16).reshape(3, 2), "b": jnp.ones(2, jnp.float32)}
    here, there = trajectory(twin.ours(0.1), params, 10), trajectory(twin.optax(0.1), params, 10, "standard")
    chex.assert_trees_all_equal_dtypes(here[-1], there[-1], params)
    for name in params:
        unit = float(jnp.finfo(params[name].dtype).eps)
        for mine, theirs in zip(here, there, strict=True):
            np.testing.assert_allclose(mine[name].astype(float), theirs[name].astype(float), rtol=4 * unit, atol=4 * unit)


@pytest.mark.parametrize("name", ["nesterov", "adam", "lion"])
def test_bfloat16_stays_where_x64_is_on(name):
    with jax.enable_x64(True):
        params = few_parameters(jnp.bfloat16)
        ours = TWINS[name].ours(SCHEDULES["cosine_decay"])
        updates, state = ours.update(params, ours.init(params), params)
        assert {leaf.dtype for leaf in jax.tree.leaves((updates, state.memory))} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.exact
@some_twins
def test_compiled_is_eager_and_is_traced_once(twin):
    params, optimizer = few_parameters(), twin.ours(schedules.step_decay(0.1, 0.5, 3))
    chex.clear_trace_counter()
    compiled = trajectory(optimizer, params, 10, compiled=lambda update: jax.jit(chex.assert_max_traces(update, n=1)))
    chex.assert_trees_all_close(compiled, trajectory(optimizer, params, 10), rtol=1e-4, atol=1e-5)


@every_twin
def test_the_state_is_a_plain_pytree_that_keeps_its_shape(twin):
    params, optimizer = {"python": 1.0, "numpy": np.ones(2), "jax": jnp.ones(3, jnp.bfloat16)}, twin.ours(0.1)
    start = optimizer.init(params)
    updates, state = optimizer.update(params, start, params)
    assert updates["python"].dtype == updates["numpy"].dtype == jnp.float32 and updates["jax"].dtype == jnp.bfloat16
    assert all(isinstance(leaf, jax.Array) and not leaf.weak_type for leaf in jax.tree.leaves((start, state)))
    chex.assert_trees_all_equal_structs(start, state)
    chex.assert_trees_all_equal_shapes_and_dtypes(start, state)


@every_rule
def test_it_remembers_by_name_what_its_twin_does(twin):
    params, ours = parameters(), twin.ours(0.1)
    with jax.numpy_dtype_promotion("standard"):
        theirs = twin.optax(0.1)
        there = theirs.update(gradient(params, 1), theirs.init(params), params)[1]
    here = ours.update(gradient(params, 1), ours.init(params), params)[1]
    assert isinstance(here, State) and here.count == 1
    for name, kept in here.memory.items():
        sign = -1 if name == "velocity" and "nu" in here.memory else 1  # optax's RMSprop gathers steps, downhill
        name = {"velocity": "trace"}.get(name, name)
        chex.assert_trees_all_close(kept, jax.tree.map(lambda s, sign=sign: sign * s, optax.tree.get(there, name)), rtol=1e-6)


@some_twins
def test_learning_rates_swept_by_vmap_are_the_runs_one_by_one(twin):
    rates, params = jnp.asarray([0.01, 0.1, 0.3]), few_parameters()
    swept = jax.vmap(lambda rate: trajectory(twin.ours(rate), params, 5)[-1])(rates)
    looped = [trajectory(twin.ours(float(rate)), params, 5)[-1] for rate in rates]
    chex.assert_trees_all_close(swept, jax.tree.map(lambda *runs: jnp.stack(runs), *looped), rtol=1e-4, atol=1e-5)


@some_twins
def test_in_a_chain_with_clipping_and_decay_its_rate_can_be_injected_and_changed(twin):
    def run(optimizer, promotion):
        def chained(learning_rate):
            return optax.chain(optax.clip_by_global_norm(0.5), optax.add_decayed_weights(0.01), optimizer(learning_rate))

        with jax.numpy_dtype_promotion(promotion):
            injected, params = optax.inject_hyperparams(chained)(learning_rate=0.1), few_parameters()
            state, update = injected.init(params), jax.jit(injected.update)
            for step in range(10):
                if step == 5:
                    state.hyperparams["learning_rate"] = jnp.asarray(0.01, params["scale"].dtype)
                updates, state = update(gradient(params, step), state, params)
                params = optax.apply_updates(params, updates)
            return params

    with jax.enable_x64(True):
        chex.assert_trees_all_close(run(twin.ours, "strict"), run(twin.optax, "standard"), rtol=1e-12, atol=1e-14)


@every_twin
def test_extra_arguments_are_accepted(twin):
    optimizer, params = twin.ours(0.1), parameters()
    assert isinstance(optimizer, optax.GradientTransformationExtraArgs)
    with_extra, _ = optimizer.update(params, optimizer.init(params), params, value=1.0)
    without, _ = optimizer.update(params, optimizer.init(params), params)
    chex.assert_trees_all_equal(with_extra, without)


@some_twins
def test_a_leaf_without_a_gradient_stays_and_so_does_its_state(twin):
    optimizer, params = twin.ours(0.1), {"frozen": {"w": jnp.ones((1, 2))}, "free": jnp.ones(3)}
    start = optimizer.init(params)
    updates, state = optimizer.update({"frozen": None, "free": jnp.ones(3)}, start, params)
    assert updates["frozen"] is None
    chex.assert_trees_all_equal_structs(start, state)
    alone = twin.ours(0.1)
    free = {"free": jnp.ones(3)}
    chex.assert_trees_all_equal(updates["free"], alone.update(free, alone.init(free), free)[0]["free"])


@some_twins
def test_one_part_of_the_parameters_may_have_it_alone(twin):
    params = {"w": jnp.ones((2, 2)), "b": jnp.ones(2)}
    both = optax.multi_transform({"ours": twin.ours(0.1), "none": optax.set_to_zero()}, {"w": "ours", "b": "none"})
    updates, _ = both.update(params, both.init(params), params)
    alone = twin.ours(0.1)
    chex.assert_trees_all_equal(updates["w"], alone.update([params["w"]], alone.init([params["w"]]), [params["w"]])[0][0])
    assert not updates["b"].any()


@every_twin
def test_a_tree_without_leaves_is_no_trouble(twin):
    optimizer = twin.ours(0.1)
    assert optimizer.update((), optimizer.init(()), ())[0] == ()


def numbers(optimizer):
    """(argument, its default, another value), for each hyper-parameter."""
    for argument, parameter in inspect.signature(optimizer).parameters.items():
        if isinstance(parameter.default, float) and argument != "learning_rate":
            yield argument, parameter.default, 0.01 + 0.8 * parameter.default


NUMBERS = {f"{name}, {row[0]}": (twin, *row) for name, twin in RULES.items() for row in numbers(twin.ours.func)
           if row[0] not in {"velocity", *twin.ours.keywords} or row[0] == "weight_decay"}


def covering():
    """Places of rows in which each optimiser and each argument is met."""
    met = set()
    for place, (twin, argument, *_) in enumerate(NUMBERS.values()):
        if not {argument, id(twin)} <= met:
            met |= {argument, id(twin)}
            yield place




each_number = pytest.mark.parametrize(("twin", "argument", "default", "value"), few(NUMBERS.values(), *covering()), ids=NUMBERS)


@each_number
def test_every_hyper_parameter_means_what_it_means_to_its_twin_and_a_wrong_one_is_seen(twin, argument, default, value):
    changed = functools.partial(twin.ours, **{argument: value})
    with jax.enable_x64(True):
        mine = trajectory(changed(0.1), few_parameters(), 5)
        assert_same_path(mine, twin.optax(0.1, **{argument: value}), few_parameters(), 5)
        with pytest.raises(AssertionError):
            assert_same_path(mine, twin.optax(0.1, **{argument: default}), few_parameters(), 5)


@each_number
def test_every_hyper_parameter_can_be_swept_and_bfloat16_stays_bfloat16(twin, argument, default, value):
    params, grid = {"w": jnp.full((2, 2), 0.5, jnp.bfloat16)}, np.asarray([default, value], np.float32)

    def end(setting):
        optimizer = twin.ours(0.1, **{argument: setting})
        _, state = optimizer.update(params, optimizer.init(params), params)
        return optimizer.update(params, state, params)[0]["w"]

    swept = jax.vmap(end)(jnp.asarray(grid))
    assert swept.dtype == jnp.bfloat16
    assert jnp.allclose(swept.astype(float), jnp.stack([end(float(x)) for x in grid]).astype(float), rtol=0.02)


unbiased = moments.unbiased
FAULTS = {
    "bias correction forgotten": (moments, "unbiased", lambda beta, t, mean: mean, ["adam", "adamw", "nadam", "amsgrad"]),
    "counting from 2": (moments, "unbiased", lambda beta, t, mean: unbiased(beta, t + 1, mean), ["adam", "amsgrad"]),
    "shares exchanged": (adaptive, "average", lambda beta, mean, x: beta * x + (1 - beta) * mean, ["rmsprop", "adadelta"]),
    "the old velocity": (momentum, "push", lambda v, x, mu, ahead: (v, mu * v + x), ["momentum", "nesterov"]),
    "decay forgotten": (moments, "_with_decay", lambda direction, leaf: direction, ["adamw", "lion"]),
    "epsilon inside": (moments, "_over_root", lambda m, v, eps, root: m / jnp.sqrt(v + eps + root), ["adam", "nadam"]),
}


@pytest.mark.parametrize(("module", "function", "wrong", "names"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_breaks_the_twin(module, function, wrong, names, monkeypatch):
    monkeypatch.setattr(module, function, wrong)
    for name in names:
        with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"), pytest.raises(AssertionError):
            assert_same_path(trajectory(TWINS[name].ours(0.1), few_parameters(), 3), TWINS[name].optax(0.1), few_parameters(), 3)


def test_every_optimiser_of_the_package_has_a_row():
    rows = {twin.ours.func.__name__ for twin in RULES.values()}
    public = {name for name in optimizers.__all__ if inspect.isfunction(getattr(optimizers, name))
              and "learning_rate" in inspect.signature(getattr(optimizers, name)).parameters}
    assert public - rows == {"by_leaf", "decoupled_decay"}
