"""How well does a network with one hidden layer read MNIST? (N18, N21)

Trains 784-30-10, the network of the field's best-known book, on all 60,000 images with hand-written
gradients, from several keys, and judges it on the 10,000 of the test after every epoch.

Command: python -m experiments.mnist --data-dir FOLDER

FOLDER holds the four files of MNIST in IDX form, compressed or not.

Expect: 96 % of the test images after ten epochs, 95 % after two.

Cost: two minutes on two cores for three keys; half a minute with --quick.
"""

import sys
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from sklearn.metrics import confusion_matrix

import functional_nn as fnn
from experiments.common import Picture, command_line, publish, settled
from experiments.seeds import interval
from functional_nn import plots
from functional_nn.report import Table


@dataclass(frozen=True)
class Config:
    """What is trained."""

    data_dir: str | None = None
    """folder with the four files of MNIST; needed"""
    hidden: int = 30
    """units of the hidden layer"""
    epochs: int = 10
    """how often each image is seen, in batches of 32"""
    learning_rate: float = 0.1
    """of gradient descent with momentum 0.9, at the start; it falls to 0 along a cosine"""
    seeds: int = 3
    """first weights and orders of the images"""
    seed: int = 0
    """of the first one"""
    quick: bool = False
    """two epochs, two keys"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/mnist/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config, epochs=2, seeds=2)
    if config.data_dir is None:
        raise ValueError("mnist needs its four files: give their folder with --data-dir FOLDER")
    data = fnn.data.load("mnist", data_dir=config.data_dir)
    net = fnn.mlp((data.x_train.shape[1], config.hidden, 10), hidden="relu", output="softmax",
                  init="he_normal")
    results = train(config, net, data)
    predicted = np.asarray(jax.vmap(net.apply, in_axes=(None, 0))(
        results[0].params, data.x_test)).argmax(axis=1)
    wrong = np.flatnonzero(predicted != data.y_test)
    accuracies = interval([result.history["validation_accuracy"] for result in results])
    finding = (
        f"784-{config.hidden}-10 reads {accuracies.mean[-1]:.2%} of the test images after "
        f"{config.epochs} epochs (mean of {config.seeds} keys).")
    confused = plots.confusion(
        confusion_matrix(data.y_test, predicted, labels=range(10)), data.class_names,
        data.x_test[wrong].reshape(-1, *data.image_shape), data.y_test[wrong], predicted[wrong])
    table = Table(("epoch", "test accuracy", "95 % interval"), [
        (epoch, f"{mean:.2%}", f"{low:.2%} to {high:.2%}")
        for epoch, mean, low, high in zip(range(1, config.epochs + 1), *accuracies, strict=True)],
        caption="Test accuracy by epoch")
    return publish(config, finding, {"accuracy": accuracies}, [
        Picture("mnist", "Learning curves", plots.learning_curves({
            f"key {config.seed + i}": result.history for i, result in enumerate(results)}),
            "Training cost, test cost (dashed) and test accuracy by epoch."),
        Picture("confusion", "What it misreads", confused,
                "Confusion matrix of the test images, and some that it misreads.")], [table])


def train(config: Config, net, data) -> list[fnn.Result]:
    """The run of each key, one after another: one alone keeps both cores busy."""
    steps = config.epochs * -(-len(data.x_train) // 32)
    rate = fnn.schedules.cosine_decay(config.learning_rate, steps)
    return [fnn.fit(net, "cross_entropy", fnn.optimizers.sgd(rate, momentum=0.9),
                    (data.x_train, data.y_train), key=jax.random.key(config.seed + i),
                    validation=(data.x_test, data.y_test), epochs=config.epochs)
            for i in range(config.seeds)]


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
