"""All examples, one, or a few in each step: what does it cost? (N18)

Trains 64-30-10 on the handwritten digits with batches of 1, 10, 100 and all examples, with the best
of several rates for each, all seeds together; then it times an epoch of each alone.

Command: python -m experiments.batching

Expect: per epoch, smaller batches descend faster, as they step more often. Per second the gap is
smaller, and the order depends on the machine: single examples pay for every step, and all at once
take one step an epoch.

Cost: a minute on two cores; half of it with --quick.
"""

import sys
import time
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import functional_nn as fnn
from experiments.common import Picture, command_line, publish, settled
from experiments.seeds import interval, over_rates, whole_run
from functional_nn import plots
from functional_nn.progress import progress
from functional_nn.report import Table
from functional_nn.training import epoch_function

LOSS = "cross_entropy"
RATES = np.array([0.02, 0.1, 0.5, 2.0])


@dataclass(frozen=True)
class Config:
    """What is trained."""

    hidden: int = 30
    """units of the hidden layer"""
    rows: int = 1000
    """training images"""
    epochs: int = 20
    """how often each is seen"""
    seeds: int = 10
    """first weights and orders of the images"""
    seed: int = 0
    """of the first one, and of the split"""
    quick: bool = False
    """fewer images and epochs"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/batching/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config, rows=500, epochs=10)
    found = measure(config)
    sizes = found["batches"]
    budget, best = found["budget"], found["furthest"]
    lowest = min(sizes, key=lambda name: sizes[name]["cost"].mean[-1])
    finding = (
        f"After {config.epochs} epochs the lowest cost is that of batches of {lowest}: "
        f"{sizes[lowest]['cost'].mean[-1]:.3f}, where all images at once are at "
        f"{sizes['all']['cost'].mean[-1]:.2f}. In the {1e3 * budget:.0f} ms that the fastest takes "
        f"for them, batches of {best} come furthest.")
    table = Table(("batch", "best rate", "steps an epoch", "ms an epoch", "cost after training"), [
        (name, row["rate"], row["steps"], 1e3 * row["seconds_an_epoch"], row["cost"].mean[-1])
        for name, row in sizes.items()], caption="Batch sizes")
    return publish(config, finding, found, [Picture(
        "batching", "Cost per epoch and per second", draw(found),
        "The mean cost of an epoch's examples, over the seeds with 95 % intervals, by epoch and by "
        "the time that one training alone takes. The dotted line is where the fastest ends.")], [table])


def measure(config: Config) -> dict[str, Any]:
    """Cost by epoch for every batch size at its best rate, and the time of an epoch."""
    digits = fnn.data.standardize(fnn.data.load("digits", seed=config.seed))
    fnn.checks.integer("rows", config.rows, high=len(digits.x_train))
    X, Y = (jnp.asarray(part[:config.rows]) for part in (digits.x_train, digits.y_train))
    net = fnn.mlp((64, config.hidden, 10), hidden="tanh", output="softmax")
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    sizes = {"1": 1, "10": 10, "100": min(100, config.rows), "all": config.rows}
    found = {}
    with progress(len(sizes), "batch sizes") as advance:
        for name, size in sizes.items():
            _, history = over_rates(
                lambda rate, size=size: whole_run(net, LOSS, fnn.optimizers.sgd(rate),
                                                  epochs=config.epochs, batch_size=size),
                RATES, keys, X, Y)
            costs = np.asarray(history["cost"])
            best = int(np.nanargmin(np.where(np.isfinite(costs), costs, np.nan)[..., -1].mean(1)))
            seconds = time_an_epoch(net, size, X, Y)
            found[name] = {"rate": RATES[best], "steps": -(-config.rows // size),
                           "cost": interval(costs[best]), "seconds_an_epoch": seconds,
                           "seconds": seconds * np.arange(1, config.epochs + 1)}
            advance(f"batches of {name}")
    budget = min(row["seconds"][-1] for row in found.values())
    within = {name: np.interp(budget, row["seconds"], row["cost"].mean)
              for name, row in found.items()}
    return {"batches": found, "budget": budget, "furthest": min(within, key=within.__getitem__)}


def time_an_epoch(net, size: int, X, Y, repeats: int = 5) -> float:
    """Seconds of one compiled epoch of one training alone, the fastest of several."""
    sgd = fnn.optimizers.sgd(0.1)
    epoch = jax.jit(epoch_function(net, fnn.backprop.value_and_grad(net, LOSS), sgd, len(X), size))
    params = net.init(jax.random.key(0))
    arguments = params, sgd.init(params), jax.random.key(1), X, Y
    jax.block_until_ready(epoch(*arguments))
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(epoch(*arguments))
        taken.append(time.perf_counter() - start)
    return min(taken)


def draw(found: dict[str, Any]):
    """The costs by epoch and by second."""
    figure, (left, right) = plots.panels(2, width=4.6, height=3.6, sharey=True)
    bands = {f"batches of {name}": row["cost"] for name, row in found["batches"].items()}
    epochs = np.arange(1, len(next(iter(bands.values())).mean) + 1)
    plots.draw_bands(left, epochs, bands)
    left.set(yscale="log", xlabel="epoch", ylabel="cost of the epoch (log scale)")
    left.set_title("By epoch: smaller batches go further", fontsize=10)
    for index, row in enumerate(found["batches"].values()):
        style = {"color": plots.canvas.COLOURS[index], "linestyle": plots.bands.DASHES[index]}
        right.plot(1e3 * row["seconds"], row["cost"].mean, linewidth=1.8, **style)
    right.set(xscale="log", xlabel="time of one training alone (ms, log scale)")
    plots.canvas.plain_log(right.xaxis)
    right.axvline(1e3 * found["budget"], color="#444444", linewidth=1, linestyle=":")
    right.set_title(f"By time: batches of {found['furthest']} are lowest at the dotted line",
                    fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
