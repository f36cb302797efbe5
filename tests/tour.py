"""A tour of the surface in the mode of the process: `python -m tests.tour FOLDER` prints a digest of its numbers.

`tests/test_modes.py` runs it once in each mode of JAX and of Python that a user may have switched on.
"""

import contextlib
import hashlib
import io
import json
import sys
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import functional_nn as fnn
from functional_nn import cli
from functional_nn.objective import objective
from functional_nn.training.judging import evaluate
from tests.cli.runs import write_data

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(64, 4)), np.arange(64) % 3
NET = fnn.sequential(4, fnn.layers.dense(8, "tanh"), fnn.layers.layer_norm(), fnn.layers.dropout(0.1),
                     fnn.layers.dense(3, "softmax"))
MLP = fnn.mlp((4, 5, 3), hidden="relu", output="softmax")
KEY = jax.random.key(0)


def training(folder):
    """`fit` with all it offers, a run that goes on from checkpoints and from a result, and a stream."""
    common = {"key": KEY, "epochs": 4, "batch_size": 16, "progress": False}
    options = common | {"validation": 0.25, "monitor": True, "class_weights": "balanced", "restore_best": True,
                        "penalty": fnn.penalties.l2(1e-3) + fnn.penalties.l1(1e-4), "metrics": ["f1"],
                        "sample_weights": np.linspace(0.5, 2, 64)}
    adam = fnn.optimizers.adam(fnn.schedules.cosine_decay(0.02, 16))
    whole = fnn.fit(NET, "cross_entropy", adam, (X, Y), **options)
    assert whole.stopped.reason == "epochs", whole.stopped
    for epochs in (2, 4):
        with fnn.checkpoint.Checkpoints(folder / "ck", run={"seed": 0}) as checkpoints:
            again = fnn.fit(NET, "cross_entropy", adam, (X, Y), **options | {"epochs": epochs}, checkpoints=checkpoints,
                            every=1)
    jax.tree.map(np.testing.assert_array_equal, whole.params, again.params)
    yield whole.params, dict(whole.history), dict(whole.layers)
    part = fnn.fit(MLP, "cross_entropy", optax.sgd(0.1), (X, Y), **common | {"epochs": 2})
    rest = fnn.fit(MLP, "cross_entropy", optax.sgd(0.1), (X, Y), **common, resume=part)
    yield rest.params
    stream = fnn.data.stream(X.astype(np.float32), Y, chunk_bytes=500)
    yield fnn.fit(MLP, "cross_entropy", fnn.optimizers.sgd(0.1, momentum=0.9), stream, **common, monitor=True).params
    values = X @ np.arange(4.0)
    yield fnn.fit(fnn.mlp((4, 6, 1), hidden="gelu"), "huber", fnn.optimizers.rmsprop(0.01), (X, values), **common,
                  validation=(X, values), stop=fnn.until_converged()).params


def gradients():
    """Every quantity of backpropagation, by hand and automatic, and every optimiser."""
    params = MLP.init(KEY)
    x = X.astype(np.float32)
    for way in (fnn.backprop, fnn.autodiff):
        for head in ("stable", "general"):
            yield way.value_and_grad(MLP, "cross_entropy", head=head)(params, x, Y, sample_weights=np.ones(64))
        yield way.deltas(MLP, "cross_entropy")(params, x[0], Y[0])
        yield way.per_example_gradients(MLP, "cross_entropy")(params, x, Y)
        yield way.per_example_norms(MLP, "cross_entropy")(params, x, Y)
    yield evaluate(objective(MLP, "cross_entropy"), params, x, Y)
    yield fnn.metrics.scores(objective(MLP, "cross_entropy"), params, x, Y)
    _, slope = fnn.backprop.value_and_grad(MLP, "cross_entropy")(params, x, Y)
    for name, make in fnn.optimizers.OPTIMIZERS.items():
        optimizer = make(0.01)
        yield name, optimizer.update(slope, optimizer.init(params), params)[0]


def debugger():
    """A right gradient, a wrong one, and a wrong step of a network."""
    def loss(p, x):
        return jnp.sum(jnp.tanh(p["w"] @ x + p["b"]) ** 2)

    p = {"w": RNG.normal(size=(2, 4)), "b": np.zeros(2)}
    for reference in ("autodiff", "forward", "fd", "complex"):
        assert fnn.verify.check_gradients(loss, jax.grad(loss), p, X[0], reference=reference)
    report = fnn.verify.check_gradients(loss, lambda p, x: jax.tree.map(jnp.negative, jax.grad(loss)(p, x)), p, X[0])
    assert [fault.cause for fault in report.faults] == ["sign", "sign"], str(report)
    assert fnn.verify.check_network(MLP, "cross_entropy", MLP.init(KEY), X[:5], Y[:5],
                                    value_and_grad=fnn.backprop.value_and_grad(MLP, "cross_entropy"))

    def forgets(params, X, Y):
        (W0, b0), (W1, b1) = params
        a = np.tanh(X @ W0.T + b0)
        d1 = (a @ W1.T + b1 - Y) / len(X)
        d0 = d1 @ W1
        return [(d0.T @ X, d0.sum(0)), (d1.T @ a, d1.sum(0))]

    net = fnn.mlp((4, 5, 2), hidden="tanh")
    report = fnn.verify.check_network(net, "quadratic", [(p["w"], p["b"]) for p in net.init(KEY)], X[:5], X[:5, :2],
                                      value_and_grad=forgets)
    assert [fault.cause for fault in report.faults] == ["missing derivative"], str(report)
    nothing = fnn.verify.check_gradients(loss, lambda p, x: jax.tree.map(lambda leaf: leaf * np.nan, p), p, X[0])
    yield str(report), str(nothing)


def estimators():
    """scikit-learn's interface, with early stopping and weights."""
    from functional_nn.sklearn import MLPClassifier, MLPRegressor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # three epochs do not converge
        for options in ({}, {"early_stopping": True}, {"loss": "hinge"}, {"batch_size": None}):
            model = MLPClassifier((8,), max_iter=3, random_state=0, **options).fit(X, Y, np.linspace(0.5, 2, 64))
            yield model.predict(X), model.loss_curve_
        yield MLPRegressor((8,), max_iter=3, random_state=0).fit(X, X[:, :2]).predict(X)


def handed_over(folder):
    """A model saved and loaded, of arrays and of a table."""
    params = MLP.init(KEY)
    model = fnn.handover.load(fnn.handover.save(folder / "model", MLP, params, "cross_entropy"))
    yield model.predict(X), model.outputs(X)
    write_data(folder)
    data = fnn.data.standardize(fnn.data.load(folder / "trees.csv"))
    net = fnn.mlp((data.x_train.shape[1], 2), output="softmax")
    model = fnn.handover.load(fnn.handover.save(folder / "trees", net, net.init(KEY), "cross_entropy", data))
    yield model.predict(folder / "trees.csv")


GRADIENT = """
import numpy as np

def loss(w, x):
    return np.sum(np.sin(w * x))

def grad(w, x):
    return np.cos(w * x) * x

def example():
    return np.arange(3.0), np.ones(3)
"""


def command_line(folder):
    """Every command, as a user calls it."""
    write_data(folder)
    (folder / "g.py").write_text(GRADIENT)
    run = str(folder / "run")
    for arguments in (
            ["train", folder / "trees.csv", "--out", run, "--epochs", "3", "--monitor", "--class-weights", "balanced"],
            ["resume", run], ["evaluate", run], ["predict", run, folder / "trees.csv", "--probabilities"], ["describe", run],
            ["train", folder / "line.csv", "--out", f"{run}2", "--epochs", "2", "--schedule", "constant"],
            ["resume", f"{run}2", "--epochs", "3"], ["predict", f"{run}2", folder / "line.csv"], ["verify", folder / "g.py"]):
        said, progress = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(progress):
            code = cli.main([str(argument) for argument in arguments])
        assert code == 0, (arguments, said.getvalue(), progress.getvalue())
        if arguments[0] in ("evaluate", "predict"):
            yield said.getvalue()


def digest(values) -> str:
    """A checksum of a tree of numbers and texts, in the order in which it is given."""
    summed = hashlib.sha256()
    for leaf in jax.tree.leaves(values):
        summed.update(leaf.encode() if isinstance(leaf, str) else np.asarray(leaf).tobytes())
    return summed.hexdigest()[:16]


def main(folder: Path) -> None:
    stations = {"training": training(folder), "gradients": gradients(), "debugger": debugger(), "estimators": estimators(),
                "handover": handed_over(folder), "command line": command_line(folder)}
    print(json.dumps({name: digest(list(values)) for name, values in stations.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
