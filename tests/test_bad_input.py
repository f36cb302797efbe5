"""Bad input: an error of the right type that names the argument, what it got and what it wants. One row a mistake."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn

VALUE, TYPE, KEY = ValueError, TypeError, jax.random.key(0)
NET = fnn.mlp((4, 5, 3), hidden="tanh", output="softmax")
PARAMS = NET.init(KEY)
DEEPER, WIDER = fnn.mlp((4, 5, 5, 3)).init(KEY), fnn.mlp((4, 6, 3)).init(KEY)
X, Y = np.linspace(-1, 1, 24, dtype=np.float32).reshape(6, 4), np.array([0, 1, 2, 0, 1, 2])
NAN = np.where(np.arange(24).reshape(6, 4) == 9, np.nan, X)
INF = np.where(np.arange(24).reshape(6, 4) == 4, -np.inf, X)
BINARY, REGRESSION = fnn.mlp((4, 1), output="sigmoid"), fnn.mlp((4, 2))
CALLS = {
    "backprop": lambda p, X, Y, **k: fnn.backprop.value_and_grad(NET, "cross_entropy")(p, X, Y, **k),
    "autodiff": lambda p, X, Y, **k: fnn.autodiff.value_and_grad(NET, "cross_entropy")(p, X, Y, **k),
    "cost": lambda p, X, Y: fnn.cost(NET, "cross_entropy")(p, X, Y),
    "per_example_gradients": lambda p, X, Y: fnn.backprop.per_example_gradients(NET, "cross_entropy")(p, X, Y),
    "per_example_norms": lambda p, X, Y: fnn.backprop.per_example_norms(NET, "cross_entropy")(p, X, Y),
    "fit": lambda p, X, Y: fit(data=(X, Y), params=p),
}


def fit(net=NET, loss="cross_entropy", optimizer=None, data=(X, Y), **changes):
    options = {"key": KEY, "epochs": 1, "batch_size": 3, "progress": False} | changes
    return fnn.fit(net, loss, fnn.optimizers.sgd(0.1) if optimizer is None else optimizer, data, **options)


def legacy():
    return jax.random.PRNGKey(0)


# Mistakes that every call on a batch must see: (params, X, Y) -> type, words
BATCHES = {
    "X has other features": (lambda: (PARAMS, X[:, :3], Y), VALUE, ["X", "(examples, 4)", "(6, 3)"]),
    "X is one example": (lambda: (PARAMS, X[0], Y[:1]), VALUE, ["X", "(examples, 4)", "(4,)", "x[None]"]),
    "X is an image": (lambda: (PARAMS, X.reshape(6, 2, 2), Y), VALUE, ["X", "(examples, 4)", "(6, 2, 2)"]),
    "X is empty": (lambda: (PARAMS, X[:0], Y[:0]), VALUE, ["X", "at least one example", "(0, 4)"]),
    "X holds integers": (lambda: (PARAMS, X.astype(int), Y), TYPE, ["X", "floating-point", "int64", "X.astype(float)"]),
    "X holds booleans": (lambda: (PARAMS, X > 0, Y), TYPE, ["X", "floating-point", "bool"]),
    "X is complex": (lambda: (PARAMS, X + 1j, Y), TYPE, ["X", "real", "complex"]),
    "X holds words": (lambda: (PARAMS, X.astype(str), Y), TYPE, ["X", "floating-point", "U"]),
    "X has a NaN": (lambda: (PARAMS, NAN, Y), VALUE, ["X", "finite", "X[2][1] = nan", "1 NaN or inf of 24"]),
    "X has an inf": (lambda: (PARAMS, INF, Y), VALUE, ["X", "finite", "X[1][0] = -inf"]),
    "Y is shorter": (lambda: (PARAMS, X, Y[:5]), VALUE, ["Y", "each of the 6 examples of X", "(5,)"]),
    "Y is one number": (lambda: (PARAMS, X, np.int64(1)), VALUE, ["Y", "each of the 6 examples of X", "()"]),
    "a label is too large": (lambda: (PARAMS, X, Y + 1), VALUE, ["Y", "from 0 to 2", "Y[2] = 3", "number the classes"]),
    "a label is negative": (lambda: (PARAMS, X, Y - 1), VALUE, ["Y", "from 0 to 2", "Y[0] = -1"]),
    "labels are floats": (lambda: (PARAMS, X, Y.astype(float)), TYPE, ["Y", "integer classes", "Y.astype(int)"]),
    "labels are words": (lambda: (PARAMS, X, np.array(list("abcabc"))), TYPE, ["Y", "integer classes", "U1"]),
    "Y is complex": (lambda: (PARAMS, X, np.eye(3)[Y] + 1j), TYPE, ["Y", "real", "complex128"]),
    "Y is None": (lambda: (PARAMS, X, None), TYPE, ["Y", "real", "object"]),
    "Y has other classes": (lambda: (PARAMS, X, np.eye(4)[Y]), VALUE, ["Y", "(6, 3)", "(6, 4)"]),
    "Y is a column of labels": (lambda: (PARAMS, X, Y[:, None]), VALUE, ["Y", "(6, 3)", "(6, 1)", "shape (B,)"]),
    "Y has a NaN": (lambda: (PARAMS, X, np.full((6, 3), np.nan)), VALUE, ["Y", "finite", "Y[0][0] = nan"]),
    "params of a deeper network": (lambda: (DEEPER, X, Y), VALUE, ["params", "[1]['b']", "(3,)", "(5,)"]),
    "params of a wider network": (lambda: (WIDER, X, Y), VALUE, ["params", "[0]['b']", "(5,)", "(6,)"]),
    "params lack a layer": (lambda: (PARAMS[:1], X, Y), VALUE, ["params", "[1]['b']", "(3,)", "missing"]),
    "params have one too many": (lambda: ((*PARAMS, PARAMS[1]), X, Y), VALUE, ["params", "[2]['b']", "has not"]),
    "params are integers": (
        lambda: (jax.tree.map(lambda p: p.astype(int), PARAMS), X, Y), TYPE, ["params[0]['b']", "floating", "int32"]),
}
# Mistakes of single calls
ROWS = {
    "apply: a batch": (lambda: NET.apply(PARAMS, X), VALUE, ["x", "ONE example", "(4,)", "(6, 4)", "vmap"]),
    "apply: integers": (lambda: NET.apply(PARAMS, [1, 2, 3, 4]), TYPE, ["x", "floating-point", "int64"]),
    "apply: other params": (lambda: NET.apply(WIDER, X[0]), VALUE, ["params", "[0]['b']", "(5,)", "(6,)"]),
    "apply: legacy key": (lambda: NET.apply(PARAMS, X[0], key=legacy()), TYPE, ["key", "legacy", "jax.random.key"]),
    "init: legacy key": (lambda: NET.init(legacy()), TYPE, ["key", "legacy", "jax.random.key(seed)"]),
    "init: a seed": (lambda: NET.init(0), TYPE, ["key", "typed key", "0"]),
    "init: several keys": (lambda: NET.init(jax.random.split(KEY, 3)), VALUE, ["key", "one key", "(3,)"]),
    "init: integers": (lambda: NET.init(KEY, jnp.int32), TYPE, ["dtype", "floating-point", "int32"]),
    "init: float64 is off": (lambda: NET.init(KEY, jnp.float64), VALUE, ["dtype", "float64", "enable_x64"]),
    "mlp: a size of 0": (lambda: fnn.mlp((4, 0, 3)), VALUE, ["sizes[1]", "at least 1", "0"]),
    "mlp: a negative size": (lambda: fnn.mlp((-4, 3)), VALUE, ["sizes[0]", "at least 1", "-4"]),
    "mlp: a fraction": (lambda: fnn.mlp((4, 2.5)), TYPE, ["sizes[1]", "integer", "2.5"]),
    "mlp: one size": (lambda: fnn.mlp((4,)), VALUE, ["sizes", "(4,)", "at least one layer"]),
    "net is no network": (lambda: fnn.cost(PARAMS, "mse"), TYPE, ["net", "fnn.mlp", "tuple"]),
    "an unknown loss": (lambda: fnn.cost(NET, "cross_entrpy"), VALUE, ["loss", "'cross_entrpy'", "'cross_entropy'"]),
    "an unknown reduction": (lambda: fnn.cost(REGRESSION, "mse", "average"), VALUE, ["reduction", "'average'", "mean"]),
    "an unknown head": (lambda: fnn.cost(REGRESSION, "mse", head="stabel"), VALUE, ["head", "'stabel'", "'stable'"]),
    "deltas: a batch": (lambda: deltas(X, Y), VALUE, ["x", "ONE example", "(4,)", "(6, 4)", "vmap"]),
    "deltas: a number": (lambda: deltas(1.0, 0), VALUE, ["x", "ONE example", "(4,)", "()"]),
    "deltas: integers": (lambda: deltas(np.arange(4), 0), TYPE, ["x", "floating-point", "int64"]),
    "deltas: no such class": (lambda: deltas(X[0], 3), VALUE, ["from 0 to 2", "= 3"]),
    "deltas: a word": (lambda: deltas(X[0], "a"), TYPE, ["y", "real", "U1"]),
    "deltas: other params": (lambda: fnn.backprop.deltas(NET, "cross_entropy")(DEEPER, X[0], 0), VALUE, ["params"]),
    "classes for a regression": (
        lambda: fnn.cost(REGRESSION, "mse")(REGRESSION.init(KEY), X, Y), VALUE, ["Y", "(6, 2)", "(6,)", "one_hot"]),
    "one output, two columns": (
        lambda: fnn.cost(BINARY, "binary_cross_entropy")(BINARY.init(KEY), X, np.eye(2)[Y % 2]), VALUE,
        ["Y", "(6, 1)", "(6, 2)"]),
    "weights: too few": (lambda: weighted(np.ones(5)), VALUE, ["sample_weights", "(6,)", "(5,)"]),
    "weights: negative": (lambda: weighted(1.0 - Y), VALUE, ["sample_weights", "at least 0", "-1"]),
    "weights: all 0": (lambda: weighted(np.zeros(6)), VALUE, ["sample_weights", "not all 0"]),
    "weights: NaN": (lambda: weighted(np.array([1, 1, 1, np.nan, 1, 1])), VALUE, ["sample_weights", "[3] = nan"]),
    "weights: integers": (lambda: weighted(np.ones(6, int)), TYPE, ["sample_weights", "int64", "astype(float)"]),
    "gradient: legacy key": (lambda: CALLS["backprop"](PARAMS, X, Y, key=legacy()), TYPE, ["key", "legacy"]),
    "gradient: a seed": (lambda: CALLS["autodiff"](PARAMS, X, Y, key=1), TYPE, ["key", "typed key", "1"]),
    "fit: legacy key": (lambda: fit(key=legacy()), TYPE, ["key", "legacy", "jax.random.key"]),
    "fit: batch_size 0": (lambda: fit(batch_size=0), VALUE, ["batch_size", "1 to 6", "0"]),
    "fit: batch_size above the set": (lambda: fit(batch_size=7), VALUE, ["batch_size", "1 to 6", "7", "None"]),
    "fit: batch_size a fraction": (lambda: fit(batch_size=1.5), TYPE, ["batch_size", "integer", "1.5"]),
    "fit: no epochs": (lambda: fit(epochs=0), VALUE, ["epochs", "at least 1", "0"]),
    "fit: epochs a fraction": (lambda: fit(epochs=2.0), TYPE, ["epochs", "integer", "2.0"]),
    "fit: a data set": (lambda: fit(data=fnn.data.load("iris")), TYPE, ["data", "(X, Y)", "Dataset", "x_train"]),
    "fit: X alone": (lambda: fit(data=X), TYPE, ["data", "(X, Y)", "ndarray"]),
    "fit: a name for an optimiser": (lambda: fit(optimizer="sgd"), TYPE, ["optimizer", "optax", "'sgd'"]),
    "fit: an optimiser not called": (lambda: fit(optimizer=fnn.optimizers.sgd), TYPE, ["optimizer", "optax", "sgd"]),
    "fit: no network": (lambda: fit(net=(4, 3)), TYPE, ["net", "fnn.mlp", "tuple"]),
    "fit: validation of other features": (
        lambda: fit(validation=(X[:, :2], Y)), VALUE, ["validation", "X", "(examples, 4)", "(6, 2)"]),
    "fit: validation with NaN": (lambda: fit(validation=(NAN, Y)), VALUE, ["validation", "X", "finite"]),
    "fit: validation labels": (lambda: fit(validation=(X, Y + 9)), VALUE, ["validation", "Y", "from 0 to 2", "9"]),
    "fit: validation is X": (lambda: fit(validation=X), TYPE, ["validation", "(X, Y)", "ndarray"]),
    "fit: integers": (lambda: fit(data=(X.astype(int), Y), params=None), TYPE, ["X", "floating-point", "int64"]),
    "fit: empty": (lambda: fit(data=(X[:0], Y[:0]), params=None), VALUE, ["X", "at least one example", "(0, 4)"]),
}


def deltas(x, y):
    return fnn.backprop.deltas(NET, "cross_entropy")(PARAMS, x, y)


def weighted(weights):
    return fnn.backprop.value_and_grad(NET, "cross_entropy")(PARAMS, X, Y, sample_weights=weights)


def refused(call, kind, words):
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    text = str(caught.value)
    assert not [word for word in words if word not in text], text
    assert words[0] in text.split(",")[0], text  # the argument comes first
    assert len(text) < 400 and "\n" not in text, text


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("mistake", BATCHES)
def test_every_call_on_a_batch_says_what_is_wrong(mistake, call):
    arguments, kind, words = BATCHES[mistake]
    refused(lambda: CALLS[call](*arguments()), kind, words)


@pytest.mark.parametrize("mistake", ROWS)
def test_a_call_says_what_is_wrong(mistake):
    refused(*ROWS[mistake])


def test_shapes_are_seen_under_jit_too():
    """Values cannot be looked at there, and pass; shapes and types can."""
    run = jax.jit(fnn.backprop.value_and_grad(NET, "cross_entropy"))
    for name in ("X is an image", "X holds integers", "Y is shorter", "labels are floats", "params lack a layer"):
        arguments, kind, words = BATCHES[name]
        with pytest.raises(kind, match=words[0]):
            run(*arguments())
    cost, _ = run(PARAMS, NAN, Y)
    assert jnp.isnan(cost)


def test_what_is_right_passes():
    for call in CALLS.values():
        call(PARAMS, X, Y)
        call(PARAMS, X.tolist(), Y.tolist())
        call(PARAMS, X.astype(np.float16), np.eye(3)[Y])
    fit(validation=[X, Y], batch_size=None)
    fit(batch_size=6, epochs=np.int64(1))
