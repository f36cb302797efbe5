"""A number reaches JAX with its value or not at all."""

import jax
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import functional_nn as fnn
from functional_nn import checks, metrics
from functional_nn.objective import objective
from functional_nn.sklearn import MLPClassifier, MLPRegressor
from functional_nn.training.judging import evaluate
from tests.slow import few

NUMBERS = st.sampled_from(["i1", "u1", "i2", ">i4", "<i8", ">i8", "u8", "f2", ">f4", "f8", ">f8", "?", "g"]).map(np.dtype)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(NUMBERS.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_side=0, max_dims=2))), st.booleans())
def test_no_number_becomes_another(array, x64):
    """What JAX gets is the nearest number of its dtype, and finite where the number was."""
    with jax.enable_x64(x64):
        try:
            got = checks.as_jax("X", checks.real("X", array))
        except ValueError as error:
            assert "X must hold numbers that float" in str(error)
            assert np.abs(array[np.isfinite(array)]).max() > 3e38
            return
    exact, kept = array.astype(np.longdouble), np.asarray(got).astype(np.longdouble)
    finite = np.isfinite(exact)
    assert np.array_equal(finite, np.isfinite(kept))
    error, unit = np.abs(exact[finite] - kept[finite]), 2.0**-(52 if got.dtype == np.float64 else 23)
    assert (error <= 1.2e-38 + unit * np.abs(exact[finite])).all()
    if got.dtype.kind in "iub":
        assert np.array_equal(np.asarray(got), array)


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float32])
def test_floats_of_few_bits_pass_as_they_are(dtype):
    assert checks.floating("X", np.ones(3, dtype)).dtype == dtype


NET = fnn.mlp((4, 5, 3), hidden="tanh", output="softmax")
PARAMS, KEY = NET.init(jax.random.key(0)), jax.random.key(0)
X, Y = np.linspace(-1, 1, 24).reshape(6, 4), np.array([0, 1, 2, 0, 1, 2])
PROBLEM = objective(NET, "cross_entropy")


def fit(data=(X, Y), net=NET, loss="cross_entropy", **changes):
    options = {"key": KEY, "epochs": 2, "batch_size": 3, "progress": False} | changes
    return fnn.fit(net, loss, fnn.optimizers.sgd(0.1), data, **options)


DOORS = {  # every way in for (X, Y)
    "fit": lambda X, Y: fit((X, Y)),
    "validation": lambda X, Y: fit(validation=(X, Y)),
    "monitor": lambda X, Y: fit((X, Y), monitor=True),
    "stream": lambda X, Y: fit(fnn.data.stream(X, Y)),
    "class_weights": lambda X, Y: fit((X, Y), class_weights="balanced"),
    "backprop": lambda X, Y: fnn.backprop.value_and_grad(NET, "cross_entropy")(PARAMS, X, Y),
    "deltas": lambda X, Y: fnn.backprop.deltas(NET, "cross_entropy")(PARAMS, X[-1], Y[-1]),
    "autodiff": lambda X, Y: fnn.autodiff.value_and_grad(NET, "cross_entropy")(PARAMS, X, Y),
    "cost": lambda X, Y: fnn.cost(NET, "cross_entropy")(PARAMS, X, Y),
    "evaluate": lambda X, Y: evaluate(PROBLEM, PARAMS, X, Y),
    "metrics": lambda X, Y: metrics.scores(PROBLEM, PARAMS, X, Y),
    "confusion": lambda X, Y: metrics.confusion(PROBLEM, PARAMS, X, Y),
    "check_network": lambda X, Y: fnn.verify.check_network(
        NET, "cross_entropy", PARAMS, X, Y, value_and_grad=fnn.backprop.value_and_grad(NET, "cross_entropy")),
}
LABELS = {
    "beyond 32 bits": Y.astype(np.int64) + 2**32, "beyond 63 bits": Y.astype(np.uint64) + 2**63, "negative": Y - 3,
    "one too many": Y + 1, "the last byte": (Y + 253).astype(np.uint8)}
INPUTS = {
    "beyond float32": (np.where(X[-1, -1] == X, 1e39, X), "X must hold numbers that float32 can hold, up to 3.4e+38, got X["),
    "masked": (np.ma.masked_greater(X, 0.9), "X must hold a value in every place, got a masked array"),
    "objects": (X.astype(object), "X must hold real floating-point numbers, got object"),
    "complex": (X + 1j, "complex128; take its real and imaginary parts apart")}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", LABELS)
def test_a_label_that_is_no_class_is_refused_at_every_door(door, kind):
    with pytest.raises(ValueError, match=r"Y must hold classes from 0 to 2 for 3 outputs, got Y\[") as error:
        DOORS[door](X, LABELS[kind])
    value = int(str(error.value).split(" = ")[1].split(";")[0])
    assert value in LABELS[kind] and value not in range(3)


@pytest.mark.parametrize("door", [door for door in DOORS if door != "check_network"])
@pytest.mark.parametrize("kind", INPUTS)
def test_an_input_that_is_no_number_is_refused_at_every_door(door, kind):
    array, words = INPUTS[kind]
    words = "X must be a NumPy array of numbers" if door == "stream" and kind in ("objects", "complex") else words
    with pytest.raises((ValueError, TypeError)) as error:
        DOORS[door](array, Y)
    assert (words.replace("X", "x") if door == "deltas" else words) in str(error.value)


@pytest.mark.parametrize("door", few(DOORS, *(door for door in DOORS if door != "check_network")))
def test_numbers_in_another_byte_order_are_read_at_every_door(door):
    DOORS[door](X.astype(">f8"), Y.astype(">i8"))


@pytest.mark.parametrize("dtype", [">f4", "g"])
def test_every_kind_of_float_is_trained_on(dtype):
    wanted = fit((X.astype(np.float32).astype(np.float64), Y)).params
    jax.tree.map(np.testing.assert_array_equal, fit((X.astype(np.float32).astype(dtype), Y)).params, wanted)


@pytest.mark.parametrize("size", [2.0**127, 2.0**-130, 2.0**-900])
def test_only_the_ratios_of_weights_count_however_large_they_are(size):
    ratios = np.array([1.0, 0.5, 1.0, 0.25, 1.0, 0.0])
    plain, scaled = fit(sample_weights=ratios), fit(sample_weights=size * ratios)
    jax.tree.map(np.testing.assert_array_equal, plain.params, scaled.params)
    by_class = {0: size, 1: size / 2}
    assert np.isfinite(fit(class_weights=by_class, sample_weights=size * ratios).history["cost"]).all()
    costs = [fnn.backprop.value_and_grad(NET, "cross_entropy")(PARAMS, X, Y, sample_weights=scale * ratios)
             for scale in (1.0, size)]
    jax.tree.map(np.testing.assert_array_equal, *costs)


def test_large_integers_as_values_are_their_nearest_floats():
    net = fnn.mlp((4, 1))
    large = 2**40 * np.arange(6)
    for data in ((X, large), fnn.data.stream(X, large)):
        floats = fit((X, large.astype(np.float32)), net, "mse", epochs=1, batch_size=6, shuffle=False)
        whole = fit(data, net, "mse", epochs=1, batch_size=6, shuffle=False)
        assert whole.history["cost"][0] == floats.history["cost"][0] > 1e20


@pytest.mark.parametrize("stream", [False, True])
def test_a_column_that_float32_cannot_tell_apart_is_refused_before_training(stream):
    seconds = np.column_stack([X[:, 0], 1.7e9 + np.arange(6.0)])
    net = fnn.mlp((2, 3), output="softmax")
    with pytest.raises(ValueError, match=r"X\[:, 1\] must differ by more than float32 can tell apart, got 1.7e\+09"):
        fit(fnn.data.stream(seconds, Y) if stream else (seconds, Y), net)
    with jax.enable_x64(True):
        assert fit((seconds - seconds.mean(axis=0), Y), net).stopped.reason == "epochs"
    with pytest.raises(ValueError, match="Y must differ by more than float32 can tell apart"):
        fit((X, seconds[:, 1]), fnn.mlp((4, 1)), "mse")


def masked_door(X):
    return np.ma.masked_greater(X, 0.9)


@pytest.mark.parametrize("call", [
    lambda: fnn.data.load((masked_door(X), Y)), lambda: fnn.data.Standardizer.fit(masked_door(X)),
    lambda: fnn.data.standardize(fnn.data.load("iris")).encode(masked_door(X)),
    lambda: MLPClassifier().fit(masked_door(X), Y), lambda: MLPRegressor().fit(X, np.ma.masked_greater(X[:, 0], 0.5)),
    lambda: fit(sample_weights=np.ma.masked_less(np.linspace(0.1, 1, 6), 0.5)),
    lambda: fnn.losses.mse(X[0], masked_door(X)[-1])])
def test_what_is_masked_is_never_a_number(call):
    with pytest.raises(ValueError, match=r"must hold a value in every place, got a masked array with [1-9] of "):
        call()


def test_weights_of_an_estimator_whose_sum_overflows_count_by_their_ratios():
    def fitted(size):
        return MLPClassifier((4,), max_iter=2, tol=None, random_state=0, class_weight="balanced").fit(
            X, Y, size * np.array([1.0, 0.5, 1.0, 0.25, 1.0, 0.5])).params_

    jax.tree.map(np.testing.assert_array_equal, fitted(1.0), fitted(2.0**1023))


SIGMOID, MARGINS = fnn.mlp((4, 1), output="sigmoid"), fnn.mlp((4, 1))


@pytest.mark.parametrize(("net", "loss", "Y", "words"), [
    (SIGMOID, "binary_cross_entropy", Y, r"Y must hold shares from 0 to 1 for binary_cross_entropy, got Y[2] = 2; "),
    (SIGMOID, "binary_cross_entropy", Y / 2 * 1.5, "Y must hold shares from 0 to 1 for binary_cross_entropy, got Y[2] = 1.5"),
    (MARGINS, "hinge", Y % 2, "Y must hold signs, -1 or 1, for hinge, got Y[0] = 0; write 2 * Y - 1 for classes 0 and 1"),
    (NET, "cross_entropy", np.eye(3)[Y] * 2, "Y must hold shares from 0 to 1 for cross_entropy, got Y[0][0] = 2.0"),
    (NET, "cross_entropy", -np.eye(3)[Y], "got Y[0][0] = -1.0")])
@pytest.mark.parametrize("way", ["data", "stream", "validation"])
def test_a_target_of_another_kind_than_the_loss_takes_is_not_learnt(net, loss, Y, words, way):
    right = np.where(Y > 0, 1, -1) if loss == "hinge" else np.clip(Y, 0, 1)
    with pytest.raises(ValueError) as error:
        if way == "validation":
            fit((X, right), net, loss, validation=(X, Y))
        else:
            fit((X, Y) if way == "data" else fnn.data.stream(X, Y), net, loss)
    assert words in str(error.value) and ("in validation: " in str(error.value)) == (way == "validation")


@pytest.mark.parametrize("dtype", [">f4", "g"])
def test_parameters_that_jax_has_not_are_refused_in_a_sentence(dtype):
    odd = jax.tree.map(lambda leaf: np.asarray(leaf).astype(dtype), PARAMS)
    for call in (lambda: fit(params=odd), lambda: NET.apply(odd, X[0]), lambda:
                 fnn.backprop.value_and_grad(NET, "cross_entropy")(odd, X, Y)):
        with pytest.raises(TypeError, match=r"params\[0\]\['b'\] must be of a dtype that JAX has, .* convert it with astype"):
            call()


def test_integers_of_a_stream_that_float32_cannot_tell_apart_are_refused():
    ids = np.column_stack([np.arange(6), 10**9 + np.arange(6)])
    with pytest.raises(ValueError, match=r"X\[:, 1\] must differ by more than float32 can tell apart"):
        fit(fnn.data.stream(ids, Y), fnn.mlp((2, 3), output="softmax"))
    fit(fnn.data.stream(ids, Y, transform=lambda x: (x - [0, 10**9]) / 6), fnn.mlp((2, 3), output="softmax"))
