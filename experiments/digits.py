"""Handwritten digits, four ways: is backpropagation by hand right, and does it train as autodiff and optax do?

Loads scikit-learn's digits (no network needed), standardises them, proves the network's hand-written gradients leaf by leaf
against jax.grad, forward mode and central differences, and trains the same network from the same parameters and mini-batches
four ways: {by hand, jax.grad} x {hand-written SGD, optax.sgd}.

Command: python -m experiments.digits

Expect: test accuracy 97.6% (mean of 5 keys); the four ways equal to 1e-9 in float64; gradients to 1e-12.

Cost: about 30 s on two cores.
"""

import dataclasses
import functools
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.metrics import confusion_matrix

import functional_nn as fnn
from experiments.common import command_line, run_directory, versions, write_json, write_jsonl
from functional_nn import console, plots, report
from functional_nn.progress import progress

LOSS = "cross_entropy"
REFERENCES = ("autodiff", "forward", "fd")
GRADIENTS = {"by hand": fnn.backprop.value_and_grad, "jax.grad": fnn.autodiff.value_and_grad}
OPTIMIZERS = {"our sgd": fnn.optimizers.sgd, "optax.sgd": optax.sgd}


@dataclass(frozen=True)
class Config:
    """What is trained, and how."""

    hidden: tuple[int, ...] = (64,)
    """sizes of the hidden layers"""
    activation: str = "tanh"
    """the hidden layers' activation"""
    input_dropout: float = 0.1
    """share of the input pixels dropped in training"""
    learning_rate: float = 0.1
    """at the start; it falls to 0 along a cosine"""
    momentum: float = 0.9
    """of stochastic gradient descent"""
    batch_size: int = 32
    """examples a step"""
    epochs: int = 60
    """how often each example is seen"""
    keys: int = 5
    """trainings, each from a key of its own, whose mean test accuracy is reported"""
    seed: int = 0
    """of the split into training and test, and of the first key"""
    quick: bool = False
    """two keys, ten epochs, in float64 alone"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/digits/<time> if not given"""


    @property
    def dtypes(self) -> tuple[str, ...]:
        """The precisions; the other keys are trained in the last one."""
        return ("float64",) if self.quick else ("float64", "float32")


class Way(NamedTuple):
    """One training: how gradients and steps were made, in which precision, and what came of it."""

    gradient: str
    optimizer: str
    dtype: str
    result: Any
    accuracy: float
    difference: float  # largest relative difference of a parameter leaf from the first way in the same precision
    seconds: float


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `summary.json` holds."""
    start = time.perf_counter()
    if config.quick:
        config = dataclasses.replace(config, keys=min(2, config.keys), epochs=min(10, config.epochs))
    with run_directory("digits", config.out) as directory:
        net, data = assemble(config)
        print(f"data     digits: {len(data.x_train)} training and {len(data.x_test)} test images of 8 x 8 pixels")
        print(fnn.summary(net), end="\n\n")

        proof = verify(net, data, config.seed)
        print(proof, end="\n\n")
        if not proof:
            raise fnn.verify.GradientError(proof)

        ways, others = train_all(config, net, data)
        print(ways_text(ways), end="\n\n")
        accuracies = [way.accuracy for way in ways if way[:3] == ("by hand", "our sgd", config.dtypes[-1])] + others
        summary = {
            "finding": f"One network, trained four ways on the digits, ends in the same parameters to "
                       f"{largest_difference(ways, 'float64'):.0e}, and reads {np.mean(accuracies):.1%} of the test images.",
            "pictures": ["learning_curves.png", "confusion.png"],
            "test_accuracy": float(np.mean(accuracies)),
            "test_accuracy_by_key": accuracies,
            "gradient_max_relative_error": proof.max_relative_error,
            "ways_max_relative_difference": largest_difference(ways, "float64"),
            **{f"ways_max_relative_difference_{dtype}": largest_difference(ways, dtype)
               for dtype in config.dtypes if dtype != "float64"},
            "seconds": time.perf_counter() - start,
        }
        write(directory, config, net, data, proof, ways, summary)
        summary["seconds"] = time.perf_counter() - start
        write_json(directory / "summary.json", summary)
        print(f"test accuracy {summary['test_accuracy']:.2%} (mean of {config.keys} keys, "
              f"{min(accuracies):.2%} to {max(accuracies):.2%}), {summary['seconds']:.0f} s in all")
    return summary


def assemble(config: Config) -> tuple[fnn.Network, fnn.data.Dataset]:
    """The network and the standardised digits; refuses a configuration that could not be trained."""
    fnn.checks.integer("keys", config.keys)
    fnn.checks.integer("epochs", config.epochs)
    fnn.checks.number("learning_rate", config.learning_rate, low=0.0, high=1e6, wanted="a number of at least 0")
    for i, n in enumerate(config.hidden):
        fnn.checks.integer(f"hidden[{i}]", n)
    OPTIMIZERS["our sgd"](config.learning_rate, momentum=config.momentum)
    data = fnn.data.standardize(fnn.data.load("digits", seed=config.seed))
    fnn.checks.integer("batch_size", config.batch_size, high=len(data.x_train))
    hidden = [fnn.layers.dense(n, config.activation) for n in config.hidden]
    net = fnn.sequential(64, fnn.layers.dropout(config.input_dropout), *hidden, fnn.layers.dense(10, "softmax"))
    return net, data


def verify(net: fnn.Network, data: fnn.data.Dataset, seed: int) -> fnn.verify.Report:
    """The hand-written gradient of seven training images, dropout included, against three references in float64."""
    key = jax.random.key(seed)
    cost, by_hand = fnn.cost(net, LOSS), fnn.backprop.value_and_grad(net, LOSS)
    return fnn.verify.check_gradients(
        lambda params, X, Y: cost(params, X, Y, key=key), jax.jit(lambda params, X, Y: by_hand(params, X, Y, key=key)[1]),
        net.init(key), data.x_train[:7], data.y_train[:7], reference=REFERENCES)


def train_all(config: Config, net: fnn.Network, data: fnn.data.Dataset) -> tuple[list[Way], list[float]]:
    """The four ways in each precision, then the other keys by hand: -> (ways, test accuracies of the others)."""
    ways = []
    with progress(4 * len(config.dtypes) + config.keys - 1, "trainings") as advance:
        for dtype in config.dtypes:
            first = None
            for gradient in GRADIENTS:
                for optimizer in OPTIMIZERS:
                    way = train(config, net, data, gradient, optimizer, dtype, config.seed, first)
                    first = way.result.params if first is None else first
                    ways.append(way)
                    advance(f"{gradient}, {optimizer}, {dtype}")
        others = []
        for key in range(1, config.keys):
            way = train(config, net, data, "by hand", "our sgd", config.dtypes[-1], config.seed + key, first)
            others.append(way.accuracy)
            advance(f"key {config.seed + key}: {way.accuracy:.2%}")
    return ways, others


def train(config: Config, net, data, gradient: str, optimizer: str, dtype: str, seed: int, first) -> Way:
    """One training; the seed decides the parameters, the mini-batches and the pixels dropped."""
    start = time.perf_counter()
    steps = config.epochs * -(-len(data.x_train) // config.batch_size)
    with jax.enable_x64(dtype == "float64"):
        result = fnn.fit(
            net, LOSS, optimizer_of(optimizer, config, steps), (data.x_train.astype(dtype), data.y_train),
            validation=(data.x_test.astype(dtype), data.y_test),
            key=jax.random.key(seed), epochs=config.epochs, batch_size=config.batch_size, value_and_grad=GRADIENTS[gradient],
            progress=False)
    difference = 0.0 if first is None else relative_difference(result.params, first)
    accuracy = float(result.history["validation_accuracy"][-1])
    return Way(gradient, optimizer, dtype, result, accuracy, difference, time.perf_counter() - start)


@functools.cache
def optimizer_of(name: str, config: Config, steps: int):
    """One object for all trainings, so that `fit` compiles once for all keys."""
    return OPTIMIZERS[name](fnn.schedules.cosine_decay(config.learning_rate, steps), momentum=config.momentum)


def relative_difference(params, others) -> float:
    """max over the leaves of |a - b| / |b|."""
    pairs = zip(jax.tree.leaves(params), jax.tree.leaves(others), strict=True)
    return max(float(np.linalg.norm(np.asarray(a) - np.asarray(b)) / np.linalg.norm(np.asarray(b))) for a, b in pairs)


def largest_difference(ways: list[Way], dtype: str) -> float:
    """Of the ways in one precision."""
    return max(way.difference for way in ways if way.dtype == dtype)


WAYS_COLUMNS = ("gradient", "optimiser", "precision", "cost", "test accuracy", "differs by", "seconds")


def ways_rows(ways: list[Way]) -> list[tuple[str, ...]]:
    """One row a way; "differs by" is its parameters' largest relative difference from the first way of its precision."""
    return [(way.gradient, way.optimizer, way.dtype, f"{way.result.history['cost'][-1]:.6f}", f"{way.accuracy:.2%}",
             f"{way.difference:.1e}" if way.difference else "0", f"{way.seconds:.1f}") for way in ways]


def ways_text(ways: list[Way]) -> str:
    """The table for a terminal, within 80 columns."""
    return console.table([WAYS_COLUMNS, *ways_rows(ways)], numbers=range(3, len(WAYS_COLUMNS)))


def write(directory: Path, config: Config, net, data, proof, ways: list[Way], summary) -> None:
    """Everything but `summary.json`, which ends the run."""
    write_json(directory / "config.json", {**vars(config), "versions": versions()})
    write_jsonl(directory / "metrics.jsonl", (
        {"gradient": way.gradient, "optimizer": way.optimizer, "dtype": way.dtype,
         **{name: values[i] for name, values in way.result.history.items()}}
        for way in ways for i in range(len(way.result.history["epoch"]))))
    trained = next(way for way in ways if way.dtype == config.dtypes[-1]).result.params
    predicted = np.asarray(jnp.argmax(jax.vmap(net.apply, in_axes=(None, 0))(trained, data.x_test), axis=1))
    wrong = np.flatnonzero(predicted != data.y_test)
    pixels = fnn.data.load("digits", seed=config.seed).x_test.reshape(-1, *data.image_shape)
    curves = plots.learning_curves({f"{way.gradient}, {way.optimizer}": way.result.history
                                    for way in ways if way.dtype == "float64"})
    confusion = plots.confusion(confusion_matrix(data.y_test, predicted, labels=range(10)), data.class_names,
                                pixels[wrong], data.y_test[wrong], predicted[wrong])
    plots.save(curves, directory / "learning_curves.png")
    plots.save(confusion, directory / "confusion.png")
    report.write(directory / "report.html", page(net, proof, ways, summary, curves, confusion))


def page(net, proof, ways: list[Way], summary, curves, confusion) -> str:
    """The run as one HTML page."""
    titles = fnn.verify.TITLES
    errors = {leaf.path: {titles[name]: error for name, error in leaf.errors.items()} for leaf in proof.leaves}
    verdict = "the hand-written gradient is right in every leaf" if proof else "the hand-written gradient is WRONG"
    sections = [
        report.Section("The gradient, by hand and three ways automatically", (
            "Seven images, float64. Each row is one leaf of the parameters, each number ‖hand − reference‖ over the larger of "
            "both norms. Central differences themselves are good to about 1e-9."),
            report.Table(*proof.table()), plots.error_bars_by_leaf(errors, 1e-6), f"Relative error by leaf: {verdict}."),
        report.Section("One network, four ways", (
            "The same parameters and mini-batches, with gradients by hand or from jax.grad, and steps of our SGD or optax's. "
            "“Differs by” is the largest relative difference of a final parameter leaf from the first way of its precision: "
            "float32 rounds 1e-7 in every step, and training magnifies it."), report.Table(WAYS_COLUMNS, ways_rows(ways))),
        report.Section("Learning curves", figure=curves, figure_alt="Cost and test accuracy by epoch, of the four ways in "
                       "float64, which lie on one another."),
        report.Section("What it misreads", figure=confusion, figure_alt="Confusion matrix of the test images, and the "
                       "misread ones as drawn."),
        report.Section("The network", table=report.Table(("setting", "value"), [
            ("network", repr(net)), *((name, str(value)) for name, value in versions().items())])),
    ]
    return report.page(
        "Handwritten digits, four ways", sections, lead=f"In short: {verdict}, and trains as autodiff and optax do.",
        facts=[("test accuracy, mean of keys", f"{summary['test_accuracy']:.2%}"),
               ("largest gradient error", f"{summary['gradient_max_relative_error']:.0e}"),
               *((f"four ways differ by ({dtype})", f"{largest_difference(ways, dtype):.0e}")
                 for dtype in dict.fromkeys(way.dtype for way in ways))])


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
