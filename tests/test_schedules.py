"""Every schedule follows its twin (optax, or NumPy in float64), compiles, sweeps and refuses what makes no sense."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn import schedules

WARMED = optax.join_schedules([optax.linear_schedule(0.1, 0.7, 6), optax.cosine_decay_schedule(0.7, 20)], [6])

# One row a variant: (ours, its twin).
TWINS = {
    "constant": (schedules.constant(0.3), optax.constant_schedule(0.3)),
    "step_decay": (schedules.step_decay(0.3, 0.5, 8), optax.exponential_decay(0.3, 8, 0.5, staircase=True)),
    "exponential_decay": (schedules.exponential_decay(0.3, 0.9, 7), optax.exponential_decay(0.3, 7, 0.9)),
    "exponential growth": (schedules.exponential_decay(1e-6, 10.0, 7), optax.exponential_decay(1e-6, 7, 10.0)),
    "inverse_time_decay": (schedules.inverse_time_decay(0.3, 2.0, 7), lambda t: np.float64(0.3) / (1 + 2.0 * t / 7)),
    "polynomial_decay": (schedules.polynomial_decay(0.3, 0.01, 2.5, 20), optax.polynomial_schedule(0.3, 0.01, 2.5, 20)),
    "polynomial growth": (schedules.polynomial_decay(0.0, 0.3, 1, 20), optax.linear_schedule(0.0, 0.3, 20)),
    "cosine_decay": (schedules.cosine_decay(0.3, 20), optax.cosine_decay_schedule(0.3, 20)),
    "cosine_decay to a share": (schedules.cosine_decay(0.3, 20, 0.2), optax.cosine_decay_schedule(0.3, 20, 0.2)),
    "linear_warmup": (schedules.linear_warmup(6, schedules.cosine_decay(0.7, 20), start=0.1), WARMED),
    "linear_warmup to a number": (
        schedules.linear_warmup(6, 0.7),
        optax.join_schedules([optax.linear_schedule(0.0, 0.7, 6), optax.constant_schedule(0.7)], [6])),
}
OURS = {name: ours for name, (ours, _) in TWINS.items()}
every_schedule = pytest.mark.parametrize("schedule", OURS.values(), ids=OURS)


@pytest.mark.exact
@pytest.mark.parametrize(("ours", "twin"), TWINS.values(), ids=TWINS)
def test_follows_its_twin(ours, twin):
    with jax.enable_x64(True):
        for count in range(50):
            np.testing.assert_allclose(np.float64(ours(count)), np.float64(twin(count)), rtol=1e-12, atol=1e-18)


@every_schedule
@pytest.mark.parametrize("x64", [False, True])
def test_gives_the_default_float_for_python_and_traced_counts(schedule, x64):
    with jax.enable_x64(x64):
        chex.clear_trace_counter()
        compiled = jax.jit(chex.assert_max_traces(schedule, n=1))
        for count in range(0, 50, 2):
            plain, traced = schedule(count), compiled(jnp.asarray(count, jnp.int32))
            assert plain.dtype == traced.dtype == (jnp.float64 if x64 else jnp.float32)
            assert plain.shape == traced.shape == ()
            np.testing.assert_allclose(traced, plain, rtol=1e-12 if x64 else 1e-5, atol=1e-7 if not x64 else 1e-16)


@every_schedule
def test_is_mapped_over_counts(schedule):
    counts = jnp.arange(40, dtype=jnp.int32)
    np.testing.assert_allclose(jax.vmap(schedule)(counts), [schedule(t) for t in range(40)], rtol=1e-5, atol=1e-7)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(every=st.integers(1, 2000), drops=st.integers(1, 2000))
def test_step_decay_drops_at_the_step_and_not_one_late(every, drops):
    powers_of_a_half = schedules.step_decay(1.0, 0.5, every)
    at, before = float(powers_of_a_half(every * drops)), float(powers_of_a_half(every * drops - 1))
    np.testing.assert_allclose(at, np.float32(0.5) ** drops, rtol=1e-5, atol=1e-37)
    np.testing.assert_allclose(before, np.float32(0.5) ** (drops - 1), rtol=1e-5, atol=1e-37)


@pytest.mark.exact
def test_compiled_step_decay_drops_at_the_step():
    for every in (3, 41, 47, 49, 55, 82, 97, 107):  # floor(t / every) in compiled float32 is one too small for some t
        counts = every * jnp.arange(50, dtype=jnp.int32)
        got = jax.jit(jax.vmap(schedules.step_decay(1.0, 0.5, every)))(counts)
        np.testing.assert_allclose(got, 0.5 ** np.arange(50), rtol=1e-5)


@pytest.mark.parametrize("schedule", [
    schedules.polynomial_decay(0.3, 0.02, 1.5, 20),
    schedules.cosine_decay(0.1, 20, 0.2),
    schedules.linear_warmup(20, 0.02),
])
def test_stays_at_its_end(schedule):  # compiled, 20 / 20 is just above 1 in float32, and (1 - 20 / 20) ** 1.5 is NaN
    for count in (20, 21, 10**6, 2**31 - 1):
        np.testing.assert_allclose(jax.jit(schedule)(jnp.asarray(count, jnp.int32)), 0.02, rtol=1e-6)


def test_then_counts_from_zero_after_the_warmup():
    seen = schedules.linear_warmup(5, lambda count: 1.0 + jnp.asarray(count, float))
    assert [round(float(seen(count)), 5) for count in range(9)] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 3.0, 4.0]


SWEEPS = {
    "constant": (schedules.constant, (0.1,)),
    "step_decay": (schedules.step_decay, (0.1, 0.5, 4)),
    "exponential_decay": (schedules.exponential_decay, (0.1, 0.5, 4)),
    "inverse_time_decay": (schedules.inverse_time_decay, (0.1, 0.5, 4)),
    "polynomial_decay": (schedules.polynomial_decay, (0.1, 0.01, 2.0, 4)),
    "cosine_decay": (schedules.cosine_decay, (0.1, 9, 0.3)),
    "linear_warmup": (schedules.linear_warmup, (9, 0.1, 0.01)),
}


@pytest.mark.parametrize(("make", "arguments"), SWEEPS.values(), ids=SWEEPS)
@pytest.mark.parametrize("x64", [False, True])
def test_every_hyper_parameter_is_swept_by_vmap(make, arguments, x64):
    with jax.enable_x64(x64):
        swept = [jnp.stack([jnp.asarray(value), jnp.asarray(2 * value)]) for value in arguments]
        rates = jax.jit(jax.vmap(lambda *arguments: make(*arguments)(7)))(*swept)
        looped = [make(*arguments)(7), make(*(2 * value for value in arguments))(7)]
        np.testing.assert_allclose(rates, looped, rtol=1e-5)


def test_as_schedule_keeps_a_schedule_and_wraps_a_number():
    decay = optax.exponential_decay(0.1, 10, 0.5)
    assert schedules.as_schedule(decay) is decay
    for rate in (0.25, np.float16(0.25), np.float32(0.25), jnp.asarray(0.25), jnp.asarray(0.25, jnp.bfloat16)):
        assert float(schedules.as_schedule(rate)(7)) == 0.25
    assert float(schedules.as_schedule(1)(7)) == 1.0


RATE = "must be a finite number of at least 0"
OR_SCHEDULE = f"{RATE} or a schedule (count -> learning rate)"
ABOVE = "must be a finite number above 0"
STEPS = "must be an integer of at least 1"
BAD_ARGUMENTS = [
    (lambda: schedules.as_schedule(-0.1), ValueError, f"learning_rate {OR_SCHEDULE}, got -0.1"),
    (lambda: schedules.as_schedule(float("nan")), ValueError, f"learning_rate {OR_SCHEDULE}, got nan"),
    (lambda: schedules.as_schedule(float("inf")), ValueError, f"learning_rate {OR_SCHEDULE}, got inf"),
    (lambda: schedules.as_schedule("fast"), TypeError, f"learning_rate {OR_SCHEDULE}, got 'fast'"),
    (lambda: schedules.as_schedule(None), TypeError, f"learning_rate {OR_SCHEDULE}, got None"),
    (lambda: schedules.as_schedule(True), TypeError, f"learning_rate {OR_SCHEDULE}, got True"),
    (lambda: schedules.as_schedule(jnp.ones(3)), ValueError,
     "learning_rate must be one number, got an array of shape (3,); sweep with jax.vmap"),
    (lambda: schedules.constant(-1), ValueError, f"rate {OR_SCHEDULE}, got -1"),
    (lambda: schedules.step_decay(-1.0, 0.5, 1), ValueError, f"initial {RATE}, got -1.0"),
    (lambda: schedules.step_decay(1.0, 0.0, 1), ValueError, f"factor {ABOVE}, got 0.0"),
    (lambda: schedules.step_decay(1.0, 0.5, 0), ValueError, f"every {STEPS}, got 0"),
    (lambda: schedules.step_decay(1.0, 0.5, 2.5), TypeError, f"every {STEPS}, got 2.5"),
    (lambda: schedules.step_decay(1.0, 0.5, jnp.ones(())), TypeError, f"every {STEPS}, got an array of float32"),
    (lambda: schedules.exponential_decay(float("inf"), 0.5, 1), ValueError, f"initial {RATE}, got inf"),
    (lambda: schedules.exponential_decay(1.0, -0.5, 1), ValueError, f"rate {ABOVE}, got -0.5"),
    (lambda: schedules.exponential_decay(1.0, 0.5, 0), ValueError, f"steps {STEPS}, got 0"),
    (lambda: schedules.inverse_time_decay("1", 0.5, 1), TypeError, f"initial {RATE}, got '1'"),
    (lambda: schedules.inverse_time_decay(1.0, -0.5, 1), ValueError, f"rate {RATE}, got -0.5"),
    (lambda: schedules.inverse_time_decay(1.0, 0.5, -3), ValueError, f"steps {STEPS}, got -3"),
    (lambda: schedules.polynomial_decay(1.0, -0.1, 1, 5), ValueError, f"final {RATE}, got -0.1"),
    (lambda: schedules.polynomial_decay(1.0, 0.1, 0, 5), ValueError, f"power {ABOVE}, got 0"),
    (lambda: schedules.polynomial_decay(1.0, 0.1, 1, True), TypeError, f"steps {STEPS}, got True"),
    (lambda: schedules.cosine_decay(1.0, 0), ValueError, f"steps {STEPS}, got 0"),
    (lambda: schedules.cosine_decay(1.0, 5, 1.5), ValueError, "final_share must be a number from 0 to 1, got 1.5"),
    (lambda: schedules.linear_warmup(0, 0.1), ValueError, f"steps {STEPS}, got 0"),
    (lambda: schedules.linear_warmup(5, "cosine"), TypeError, f"then {OR_SCHEDULE}, got 'cosine'"),
    (lambda: schedules.linear_warmup(5, 0.1, start=-1.0), ValueError, f"start {RATE}, got -1.0"),
]


@pytest.mark.parametrize(("make", "kind", "words"), BAD_ARGUMENTS, ids=[words for *_, words in BAD_ARGUMENTS])
def test_names_the_bad_argument(make, kind, words):
    with pytest.raises(kind) as error:
        make()
    assert str(error.value) == words
