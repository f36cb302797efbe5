"""What users get wrong, said in a sentence: the checks themselves, eager and while tracing."""

import fractions

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn import checks
from functional_nn.layers import Layer, dense


def test_numbers_become_floats_and_arrays_pass():
    for value in (1, 1.0, np.float32(1), np.int8(1), fractions.Fraction(1)):
        assert type(checks.number("rate", value, wanted="a number")) is float
    array = jnp.array([5.0, 6.0])
    assert checks.number("rate", array, high=1, wanted="a number") is array
    jax.jit(lambda rate: checks.number("rate", rate, high=1, wanted="a number"))(2.0)


def test_floats_of_every_kind_are_read():
    for value in (1.5, [1.5, 2.0], np.float64(1.5), np.ones(2, np.float16), jnp.ones(2, jnp.bfloat16), np.zeros((0, 3))):
        assert jnp.issubdtype(checks.floating("x", value).dtype, jnp.floating)
    assert checks.floating("x", np.ones(2)).dtype == jnp.float32
    assert jax.jit(lambda x: checks.floating("x", x))(1.0).dtype == jnp.float32


def test_values_pass_while_tracing():
    def traced(x, label, weights):
        checks.finite("x", x)
        checks.labels("y", label, 3)
        return checks.sample_weights("w", weights, 2)

    jax.jit(traced)(jnp.array([np.nan]), jnp.array(7), jnp.array([-1.0, 0.0]))
    assert checks.is_concrete(jnp.ones(2)) and checks.is_concrete(np.ones(2))


def test_what_is_right_passes():
    checks.finite("x", np.ones((2, 3)))
    checks.finite("y", jnp.arange(3))
    checks.labels("y", np.array([0, 2, 1], np.uint8), 3)
    checks.layers("sequential", (dense(1),), Layer)
    key = jax.random.key(0)
    assert checks.typed_key("key", key) is key
    np.testing.assert_array_equal(checks.sample_weights("w", [0.0, 2.0], 2), [0, 2])


def test_float64_is_a_dtype_where_it_is_switched_on():
    assert checks.float_dtype("dtype", float) == checks.float_dtype("dtype", "float32") == jnp.float32
    assert checks.float_dtype("dtype", jnp.bfloat16) == jnp.bfloat16
    with jax.enable_x64(True):
        assert checks.float_dtype("dtype", float) == checks.float_dtype("dtype", jnp.float64) == jnp.float64


def test_a_call_reads_as_it_is_written():
    assert checks.call_text("relu", {}) == "relu" and checks.call_text("elu", {"alpha": 0.5}) == "elu(alpha=0.5)"


LIMITS = {"tau": (0.0, 1.0)}


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: checks.number("r", 2, high=1, wanted="a share"), ValueError, "r must be a share, got 2"),
    (lambda: checks.number("r", np.nan, wanted="a share"), ValueError, "r must be a share, got nan"),
    (lambda: checks.number("r", 1j, wanted="a share"), TypeError, "r must be a share, got 1j"),
    (lambda: checks.number("r", None, wanted="a share"), TypeError, "r must be a share, got None"),
    (lambda: checks.typed_key("key", 0), TypeError, "key must be a typed key, got 0; make one with jax.random.key(seed)"),
    (lambda: checks.typed_key("key", jax.random.PRNGKey(0)), TypeError, "key must be a typed key, got a legacy uint32 key"),
    (lambda: checks.typed_key("key", jax.random.split(jax.random.key(0))), ValueError, "got an array of keys of shape (2,)"),
    (lambda: checks.floating("x", [1, 2]), TypeError, "x must hold real floating-point numbers, got int64; convert it"),
    (lambda: checks.floating("x", "1.0"), TypeError, "x must hold real floating-point numbers, got <U3"),
    (lambda: checks.floating("x", None), TypeError, "x must hold real floating-point numbers, got object"),
    (lambda: checks.floating("x", 1j), TypeError, "got complex128; take its real and imaginary parts apart"),
    (lambda: checks.finite("X", np.array([[1, 2], [np.nan, np.inf]])), ValueError,
     "X must be finite, got 2 NaN or inf of 4 values, the first X[1][0] = nan; drop or impute those values first"),
    (lambda: checks.labels("y", np.array([0, 3, -1]), 3), ValueError,
     "y must hold classes from 0 to 2 for 3 outputs, got y[1] = 3; number the classes from 0"),
    (lambda: checks.layers("sequential", (), Layer), ValueError, "sequential needs at least one layer, got none"),
    (lambda: checks.layers("sequential", (dense(1), 3), Layer), TypeError, "got 3 in place 1"),
    (lambda: checks.float_dtype("dtype", np.float64), ValueError, "use it inside `with jax.enable_x64(True):`"),
    (lambda: checks.float_dtype("dtype", int), TypeError, "dtype must be a floating-point dtype such as jnp.float32, got"),
    (lambda: checks.sample_weights("w", np.ones(3), 2), ValueError, "w must have one weight for each of the 2 examples"),
    (lambda: checks.sample_weights("w", [1.0, -1.0], 2), ValueError, "w must be at least 0 and not all 0, got a minimum"),
    (lambda: checks.sample_weights("w", [0.0, 0.0], 2), ValueError, "w must be at least 0 and not all 0"),
    (lambda: checks.sample_weights("w", [1.0, np.inf], 2), ValueError, "w must be finite"),
    (lambda: checks.sample_weights("w", np.ones(2, int), 2), TypeError, "w must hold real floating-point numbers"),
    (lambda: checks.configured("pinball", {"tau": 0.5}, LIMITS, {"tau": 2}), ValueError,
     "pinball's tau must be a number from 0 to 1, got 2"),
    (lambda: checks.configured("pinball", {"tau": 0.5}, LIMITS, {"tua": 0.5}), TypeError,
     "pinball has no hyper-parameter 'tua'; it has tau"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)
