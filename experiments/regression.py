"""Does descent find what the closed form finds, and a hidden layer more? (N1, N15, N21)

Fits a line and then the diabetes data, ten features, by gradient descent on the hand-written
gradient of squared errors, and compares the weights with those of least squares. Then it trains a
network with a hidden layer and compares R² on test rows, over many splits, all trained together.

Command: python -m experiments.regression

Expect: gradient descent ends at the weights of least squares, to fourteen digits. R² on the test
rows is about 0.46. A hidden layer without regularisation does worse: these data have little bend in
them, and it learns their noise.

Cost: half a minute on two cores.
"""

import sys
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import r2_score

import functional_nn as fnn
from experiments.common import Picture, command_line, publish, settled
from experiments.seeds import compiled, interval, whole_run
from functional_nn import plots
from functional_nn.data import Standardizer
from functional_nn.report import Table


@dataclass(frozen=True)
class Config:
    """What is trained."""

    hidden: int = 16
    """units of the hidden layer"""
    steps: int = 3000
    """steps of gradient descent on the linear neuron"""
    epochs: int = 150
    """of the network, in batches of 32"""
    seeds: int = 20
    """splits of the data into training and test"""
    seed: int = 0
    """of the first split"""
    quick: bool = False
    """ten seeds, fewer epochs"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/regression/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config, seeds=10, epochs=80)
    found = measure(config)
    scores = found["r2"]
    finding = (
        f"Gradient descent ends at the weights of least squares (they differ by "
        f"{found['line']['difference']:.0e} on a line and {found['difference']:.0e} on the ten "
        f"features of diabetes). R² on test rows: {scores['linear neuron'].mean:.3f}, with a hidden "
        f"layer {scores['hidden layer'].mean:.3f}.")
    table = Table(("feature", "least squares", "gradient descent"), [
        (name, *pair) for name, *pair in zip(
            found["features"], found["least_squares"], found["descent"], strict=True)],
        caption="Weights of the first split, on standardised features")
    return publish(config, finding, found, [
        Picture("regression", "Predicted against true", plots.predictions(
            found["test"], found["predicted"], "progression (points)"),
            "The linear neuron on the test rows of the first split; a right prediction lies on "
            "the dashed line."),
        Picture("r2", "Weights and scores", draw(found),
                "Left: the cost above that of least squares, by step. Right: R² on test rows; a "
                "dot is a split, the diamond the mean with its 95 % interval.")], [table])


def measure(config: Config) -> dict[str, Any]:
    """The weights of both ways on the first split, and R² of both networks on every split."""
    splits = [split(config.seed + i) for i in range(config.seeds)]
    x_train, y_train, x_test, y_test = (np.stack(part) for part in zip(*splits, strict=True))
    exact = solve(x_train[0], y_train[0])
    w, b, costs = descend(x_train[0], y_train[0], config.steps)
    scores = {}
    for name, sizes in (("linear neuron", (10, 1)), ("hidden layer", (10, config.hidden, 1))):
        net = fnn.mlp(sizes, hidden="tanh")
        run = whole_run(net, "mse", fnn.optimizers.adam(0.01), epochs=config.epochs, batch_size=32)
        keys = jax.random.split(jax.random.key(config.seed), config.seeds)
        params, _ = compiled(jax.vmap(run))(keys, x_train, y_train)
        told = jax.vmap(jax.vmap(net.apply, in_axes=(None, 0)))(params, x_test)[..., 0]
        scores[name] = [r2_score(y, a) for y, a in zip(y_test, np.asarray(told), strict=True)]
    raw = fnn.data.load("diabetes", seed=config.seed)
    mean, deviation = raw.y_train.mean(), raw.y_train.std()
    residuals = x_train[0] @ exact[:-1] + exact[-1] - y_train[0]
    return {"line": line(), "features": raw.feature_names, "least_squares": exact[:-1],
            "descent": w, "difference": float(np.max(np.abs(np.append(w, b) - exact))),
            "excess": np.maximum(costs - np.mean(np.square(residuals)), 1e-16),
            "scores": scores, "r2": {name: interval(values) for name, values in scores.items()},
            "test": raw.y_test, "predicted": mean + deviation * (x_test[0] @ w + b)}


def split(seed: int):
    """(x_train, y_train, x_test, y_test) of diabetes, all standardised by the training rows."""
    data = fnn.data.standardize(fnn.data.load("diabetes", seed=seed))
    target = Standardizer.fit(data.y_train[:, None])
    y_train, y_test = (target(y[:, None])[:, 0] for y in (data.y_train, data.y_test))
    return data.x_train, y_train, data.x_test, y_test


def line() -> dict[str, float]:
    """The line y = 2x + 1 with noise, both ways."""
    x = np.linspace(-1, 1, 50)
    y = 2 * x + 1 + 0.1 * np.random.default_rng(0).normal(size=50)
    exact = solve(x[:, None], y)
    w, b, _ = descend(x[:, None], y, 3000)
    return {"w": float(w[0]), "b": float(b),
            "difference": float(np.max(np.abs(np.append(w, b) - exact)))}


def solve(X, y) -> np.ndarray:
    """The weights and, last, the bias of least squares, in closed form."""
    A = np.column_stack([X, np.ones(len(X))]).astype(np.float64)
    return np.linalg.lstsq(A, y.astype(np.float64), rcond=None)[0]


def descend(X, y, steps: int):
    """Weights, bias and costs of gradient descent with the longest rate that is surely stable."""
    net = fnn.mlp((X.shape[1], 1))
    with jax.enable_x64(True):
        X, y = jnp.asarray(X, jnp.float64), jnp.asarray(y, jnp.float64)
        A = np.column_stack([X, np.ones(len(X))])
        rate = 1 / np.linalg.eigvalsh(2 * A.T @ A / len(A)).max()
        run = whole_run(net, "mse", fnn.optimizers.sgd(rate, momentum=0.9), epochs=steps)
        [layer], history = compiled(run)(jax.random.key(0), X, y)
        return (np.asarray(layer["w"])[0], np.asarray(layer["b"])[0],
                np.asarray(history["cost"]))


def draw(found: dict[str, Any]):
    """The way to least squares, and R² of every split."""
    figure, (left, right) = plots.panels(2, width=4.6, height=3.4)
    plots.draw_curves(left, np.arange(1, len(found["excess"]) + 1), {"": found["excess"]},
                      legend=False)
    left.set(yscale="log", xscale="log", xlabel="step", ylabel="cost above that of least squares")
    left.set_title("Gradient descent arrives at the closed form", fontsize=10)
    plots.draw_groups(right, {name: (values, found["r2"][name])
                              for name, values in found["scores"].items()})
    right.set(xlabel="R² on test rows (share of the variance explained)")
    right.set_title(f"{len(found['scores']['hidden layer'])} splits", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
