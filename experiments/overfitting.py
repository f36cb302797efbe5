"""What helps when a network learns its few examples by heart? (N21)

Trains 64-64-10 on a few handwritten digits, a tenth of them with a label drawn at random, until it
knows them by heart, and judges it on images that it has not seen: plain, with an L2 penalty, with
dropout, stopped at the epoch with the lowest cost on held-out images, and with more images. Each
seed draws its own images and weights.

Command: python -m experiments.overfitting

Expect: the plain network's training cost falls towards 0, while its cost on unseen images turns and
rises. L2, dropout and early stopping each lower the cost on unseen images; five times as many images
help most.

Cost: a minute on two cores; half of it with --quick.
"""

import sys
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax

import functional_nn as fnn
from experiments.common import Picture, command_line, publish, settled
from experiments.seeds import compiled, interval, whole_run
from functional_nn import plots
from functional_nn.layers import dense, dropout
from functional_nn.progress import progress
from functional_nn.report import Table

LOSS, MORE = "cross_entropy", 5


@dataclass(frozen=True)
class Config:
    """What is trained."""

    rows: int = 150
    """training images"""
    wrong: float = 0.1
    """share of the training labels that are drawn at random, which only knowing by heart can fit"""
    hidden: int = 64
    """units of the hidden layer"""
    epochs: int = 150
    """of each training, in batches of 10"""
    seeds: int = 10
    """draws of the images, and first weights"""
    seed: int = 0
    """of the first draw"""
    quick: bool = False
    """fewer epochs"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/overfitting/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config, epochs=60)
    found = measure(config)
    cost = {name: row["last_cost"].mean for name, row in found.items()}
    plain, lowest = found["plain"], found["plain"]["unseen"].mean.min()
    best = min(cost, key=cost.__getitem__)
    finding = (
        f"Plain, the training cost falls to {plain['training'].mean[-1]:.4f}, while that on unseen "
        f"images turns at {lowest:.3f} and ends at {cost['plain']:.3f}. It ends at "
        f"{cost['L2 penalty']:.3f} with L2, {cost['dropout']:.3f} with dropout, "
        f"{cost['early stopping']:.3f} with early stopping; lowest with {best}: {cost[best]:.3f}.")
    table = Table(("remedy", "cost on unseen images", "accuracy on unseen images"), [
        (name, row["last_cost"].mean, f"{row['accuracy'].mean:.1%}") for name, row in found.items()],
        caption="Five ways", note=f"Mean over {config.seeds} seeds.")
    return publish(config, finding, found, [Picture(
        "overfitting", "Learnt by heart, and remedies", draw(found, config),
        "Left: cost by epoch on training and on unseen images, mean over the seeds with 95 % "
        "intervals; dotted, where the plain network is best. Right: cost on unseen images at the "
        "end; a dot is a seed, the diamond the mean.")], [table])


def measure(config: Config) -> dict[str, Any]:
    """The costs on training and unseen images, by remedy."""
    digits = fnn.data.standardize(fnn.data.load("digits", seed=config.seed))
    fnn.checks.number("wrong", config.wrong, low=0.0, high=1.0, wanted="a share from 0 to 1")
    fnn.checks.integer("rows", config.rows, high=len(digits.x_train) // MORE)
    plain = fnn.mlp((64, config.hidden, 10), hidden="relu", output="softmax", init="he_normal")
    dropped = fnn.sequential(64, dropout(0.2), dense(config.hidden, "relu", "he_normal"),
                             dropout(0.5), dense(10, "softmax"))
    penalised = optax.chain(fnn.optimizers.l2(0.02), fnn.optimizers.sgd(0.1))
    ways = {"plain": (plain, fnn.optimizers.sgd(0.1), 1), "L2 penalty": (plain, penalised, 1),
            "dropout": (dropped, fnn.optimizers.sgd(0.1), 1),
            f"{MORE} times the images": (plain, fnn.optimizers.sgd(0.1), MORE)}
    found = {}
    with progress(len(ways), "trainings") as advance:
        for name, (net, optimizer, times) in ways.items():
            found[name] = train(config, net, optimizer, config.rows * times, digits)
            advance(name)
    return {"plain": found["plain"], "early stopping": stopped(found["plain"]),
            **{name: row for name, row in found.items() if name != "plain"}}


def train(config: Config, net, optimizer, rows: int, digits) -> dict[str, Any]:
    """The runs of all seeds, each on `rows` training images of its own, together.

    The test images are held in two halves: by the first half early stopping chooses its epoch, by
    the second all are judged.
    """
    noise = np.random.default_rng(config.seed)
    drawn = np.stack([noise.permutation(len(digits.x_train))[:rows] for _ in range(config.seeds)])
    labels = digits.y_train[drawn]
    labels = np.where(noise.random(labels.shape) < config.wrong,
                      noise.integers(10, size=labels.shape, dtype=labels.dtype), labels)
    half = len(digits.x_test) // 2
    halves = [(digits.x_test[part], digits.y_test[part])
              for part in (slice(None, half), slice(half, None))]
    run = whole_run(net, LOSS, optimizer, epochs=config.epochs, batch_size=10)
    judged = compiled(jax.vmap(run, in_axes=(0, 0, 0, None)))
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    chosen, unseen = (jax.tree.map(np.asarray, judged(
        keys, digits.x_train[drawn], labels, part)[1]) for part in halves)
    return {"training": interval(unseen["cost"], log=True), "unseen": interval(unseen["judged_cost"]),
            "last_costs": unseen["judged_cost"][:, -1],
            "last_cost": interval(unseen["judged_cost"][:, -1]),
            "accuracy": interval(unseen["judged_accuracy"][:, -1]),
            "chosen": np.argmin(chosen["judged_cost"], axis=1),
            "every": (unseen["judged_cost"], unseen["judged_accuracy"])}


def stopped(plain: dict[str, Any]) -> dict[str, Any]:
    """The plain runs, each stopped at the epoch that is best on the first half of unseen images."""
    costs, accuracies = (values[np.arange(len(values)), plain["chosen"]]
                         for values in plain["every"])
    return plain | {"last_costs": costs, "last_cost": interval(costs),
                    "accuracy": interval(accuracies)}


def draw(found: dict[str, Any], config: Config):
    """The costs by epoch, and the last costs by remedy."""
    figure, (left, right) = plots.panels(2, width=4.8, height=3.6)
    epochs, plain = np.arange(1, config.epochs + 1), found["plain"]
    plots.draw_bands(left, epochs, {
        "plain, training": plain["training"], "plain, unseen": plain["unseen"],
        "L2 penalty, unseen": found["L2 penalty"]["unseen"],
        "dropout, unseen": found["dropout"]["unseen"]})
    best = int(epochs[np.argmin(plain["unseen"].mean)])
    left.axvline(best, color="#444444", linewidth=1, linestyle=":")
    left.set(yscale="log", xlabel="epoch", ylabel="cost (cross-entropy, log scale)")
    left.set_title(f"{config.rows} images: plain is best at epoch {best}", fontsize=10)
    plots.draw_groups(right, {name: (row["last_costs"], row["last_cost"])
                              for name, row in found.items()})
    right.set(xlabel="cost on unseen images at the end (cross-entropy)")
    right.set_title(f"{config.seeds} seeds of each", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
