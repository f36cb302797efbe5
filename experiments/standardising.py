"""Why are the inputs standardised? (N20)

Trains 13-16-3 on wine, whose features differ in size by a factor of a thousand, on raw and on
standardised inputs, by plain gradient descent with many rates, all rates and seeds together. A
constant feature is added to both, which must not divide by zero.

Command: python -m experiments.standardising

Expect: the standardised inputs reach 95 % of the test wines within a few epochs. The raw ones do not
in all epochs, whatever the rate, as the longest stable step is far too short for the small
features: their second moments differ by a factor of a million.

Cost: half a minute on two cores.
"""

import sys
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import functional_nn as fnn
from experiments.common import Picture, command_line, publish, settled
from experiments.seeds import interval, over_rates, whole_run
from functional_nn import plots
from functional_nn.data import Standardizer

WAYS = ("raw", "standardised")


@dataclass(frozen=True)
class Config:
    """What is trained."""

    hidden: int = 16
    """units of the hidden layer"""
    epochs: int = 100
    """of each training"""
    rates: int = 11
    """rates from 1e-6 to 1; the best of each way is drawn"""
    seeds: int = 20
    """first weights and orders of the rows"""
    seed: int = 0
    """of the first one, and of the split"""
    quick: bool = False
    """ten seeds, fewer epochs"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/standardising/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config, seeds=10, epochs=60)
    found = measure(config)
    raw, standardised = (found[way] for way in WAYS)
    epoch = int(np.argmax(standardised["accuracy"].mean >= 0.95)) + 1
    finding = (
        f"Standardised, the network knows 95% of the test wines from epoch {epoch} on; raw, it knows "
        f"{raw['accuracy'].mean[-1]:.0%} after {config.epochs}, at the best of {config.rates} rates. "
        f"The raw features' second moments differ by a factor of {raw['condition']:.0e}, the "
        f"standardised ones' by {standardised['condition']:.0f}.")
    return publish(config, finding, found, [Picture(
        "standardising", "The same network, on raw and on standardised inputs", draw(found),
        "Cost and test accuracy by epoch at the best rate of each, and the cost at the end by "
        "rate; means over the seeds with 95 % intervals.")])


def measure(config: Config) -> dict[str, Any]:
    """The learning curves of both ways, each at its best rate, and the spread of its features."""
    wine = fnn.data.load("wine", seed=config.seed)
    x_train, x_test = (np.column_stack([x, np.full(len(x), 7.0)]).astype(np.float32)
                       for x in (wine.x_train, wine.x_test))  # the last feature is constant
    fitted = Standardizer.fit(x_train)
    rates = np.logspace(-6, 0, config.rates)
    net = fnn.mlp((x_train.shape[1], config.hidden, 3), hidden="tanh", output="softmax")

    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    found = {"rates": rates}
    for way, train, test in ((WAYS[0], x_train, x_test), (WAYS[1], fitted(x_train), fitted(x_test))):
        _, history = over_rates(
            lambda rate: whole_run(net, "cross_entropy", fnn.optimizers.sgd(rate),
                                   epochs=config.epochs, batch_size=16),
            rates, keys, train, wine.y_train, (test, wine.y_test))
        history = {name: np.asarray(values) for name, values in history.items()}
        ends = np.nan_to_num(history["cost"][..., -1], nan=1e3, posinf=1e3)
        best = int(np.argmin(ends.mean(axis=1)))
        moments = np.mean(np.square(train[:, :-1].astype(float)), axis=0)
        found[way] = {"rate": rates[best], "condition": float(moments.max() / moments.min()),
                      "cost": interval(history["cost"][best]), "cost_by_rate": interval(ends.T).mean,
                      "accuracy": interval(history["judged_accuracy"][best])}
    found["constant"] = {"standardised": np.unique(fitted(x_test)[:, -1])}
    return found


def draw(found: dict[str, Any]):
    """The costs and the accuracies by epoch, and the costs by rate."""
    figure, (left, middle, right) = plots.panels(3)
    epochs = np.arange(1, len(found["raw"]["cost"].mean) + 1)
    labels = {way: f"{way}, γ = {found[way]['rate']:.1g}" for way in WAYS}
    plots.draw_bands(left, epochs, {labels[way]: found[way]["cost"] for way in WAYS})
    left.set(xlabel="epoch", ylabel="cost")
    left.set_title("At its best rate, raw inputs hardly learn", fontsize=10)
    plots.draw_bands(middle, epochs, {
        way: found[way]["accuracy"].times(100) for way in WAYS}, legend=False)
    middle.set(xlabel="epoch", ylabel="test accuracy (%)", ylim=(0, 103))
    middle.set_title("Nor do they know the test wines", fontsize=10)
    plots.draw_curves(right, found["rates"], {way: found[way]["cost_by_rate"] for way in WAYS},
                      marked=True, legend=False)
    right.set(xscale="log", xlabel="learning rate γ", ylabel="cost after training", ylim=(0, 2))
    right.set_title("No rate suits raw inputs", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
