"""Which shape has each loss, and what does one outlier do to it? (N11, N22)

Draws every loss with its gradient and compares the gradients with `jax.grad`. Then it fits the line
y = 2x to noisy points of which one lies ever further away, with every loss of a regression, by
gradient descent; all seeds and all distances are trained together.

Command: python -m experiments.losses

Expect: gradients by hand = automatic to the last digits. The slope that the squared error fits is
off in proportion to the distance of the outlier; those of MAE, Huber, log-cosh and ε-insensitive,
whose gradients are bounded, stop at a small error.

Cost: half a minute on two cores.
"""

import sys
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import functional_nn as fnn
from experiments.common import Picture, command_line, publish, settled
from experiments.seeds import compiled, interval, whole_run
from functional_nn import plots
from functional_nn.losses import LOSSES
from functional_nn.report import Table

ROBUST = ("mse", "mae", "huber", "log_cosh", "epsilon_insensitive")
SLOPE, NOISE, DISTANCES = 2.0, 0.2, (0.0, 1.0, 3.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True)
class Config:
    """How the lines are fitted."""

    rows: int = 40
    """points of a line, the last of which is the outlier"""
    steps: int = 1500
    """steps of Adam, whose rate falls to 0 along a cosine"""
    seeds: int = 20
    """data sets and first weights"""
    seed: int = 0
    """of the first one"""
    quick: bool = False
    """ten seeds, fewer steps"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/losses/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config, seeds=10, steps=600)
    found = measure(config)
    far = {name: errors.mean[-1] for name, errors in found["slope_errors"].items()}
    finding = (
        f"An outlier {DISTANCES[-1]:g} away from {config.rows - 1} good points moves the slope of "
        f"the squared error by {far['mse']:.2f}, of MAE by {far['mae']:.2f} and of Huber's loss "
        f"by {far['huber']:.2f}: a bounded gradient bounds the harm.")
    gallery = {name: pair[:3] for name, pair in curves().items()}
    table = Table(("loss", "sums or averages its outputs", "hand − jax.grad"), [
        (name, "sums" if LOSSES[name].sums else "averages", error)
        for name, error in found["gradients"].items()], caption="The gradients, compared")
    return publish(config, finding, found, [
        Picture("outliers", "What an outlier does", draw(found),
                "Error of the fitted slope by the distance of one outlier, mean over the seeds "
                "with 95 % intervals."),
        Picture("losses", "Values and gradients", plots.losses(gallery),
                "Each loss of one output with its gradient; circles are differences of the "
                "values. Cross-entropies by prediction, from target 1; hinge from y = 1.")], [table])


def measure(config: Config) -> dict[str, Any]:
    """How far the gradients are from `jax.grad`, and what an outlier does to every loss."""
    return {"gradients": gradients(), "slope_errors": outliers(config)}


def curves() -> dict[str, tuple]:
    """name -> (r, L, ∂L/∂a, ∂L/∂a by `jax.grad`) of one output, along the residual r = a − y."""
    found = {}
    with jax.enable_x64(True):
        for name, loss in LOSSES.items():
            if loss.output:  # logarithms: the target is 1, the prediction a share
                y, a = jnp.ones(()), jnp.linspace(0.05, 0.999, 161)
            else:
                y, a = jnp.asarray(float(loss.targets == "signs")), jnp.linspace(-3, 3, 241)
                a = a + y
            each = [jax.vmap(lambda a, f=f, y=y: f(a[None], y[None]))(a)
                    for f in (loss, loss.gradient, jax.grad(loss))]
            found[name] = tuple(np.ravel(part) for part in (a - y, *each))
    return found


def gradients() -> dict[str, float]:
    """The largest difference of each gradient by hand from `jax.grad`."""
    return {name: float(np.max(np.abs(by_hand - automatic)))
            for name, (_, _, by_hand, automatic) in curves().items()}


def outliers(config: Config) -> dict[str, Any]:
    """|fitted slope − 2| by loss: an interval over the seeds at every distance of the outlier."""
    line = fnn.mlp((1, 1))
    adam = fnn.optimizers.adam(fnn.schedules.cosine_decay(0.1, config.steps))
    x = jnp.linspace(-1, 1, config.rows)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)

    def slope_error(run, key, distance):
        noise_key, run_key = jax.random.split(key)
        y = SLOPE * x + NOISE * jax.random.normal(noise_key, x.shape)
        params, _ = run(run_key, x[:, None], y.at[-1].add(-distance))
        return jnp.abs(params[0]["w"][0, 0] - SLOPE)

    found = {}
    for name in ROBUST:
        loss = LOSSES[name].configure(epsilon=NOISE) if name == "epsilon_insensitive" else name
        run = whole_run(line, loss, adam, epochs=config.steps)
        of_all = jax.vmap(jax.vmap(lambda key, distance, run=run: slope_error(run, key, distance),
                                   in_axes=(None, 0)), in_axes=(0, None))
        found[name] = interval(compiled(of_all)(keys, jnp.array(DISTANCES)))
    return found


def draw(found: dict[str, Any]):
    """The error of the slope by the distance of the outlier."""
    figure, [axes] = plots.panels(1, width=5.6, height=3.8)
    plots.draw_bands(axes, DISTANCES, found["slope_errors"], marked=True)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_yscale("log")
    axes.set_xticks(DISTANCES, [f"{distance:g}" for distance in DISTANCES])
    axes.minorticks_off()
    axes.set(xlabel="distance of one outlier from the line y = 2x",
             ylabel="error of the fitted slope (log scale)")
    axes.set_title("Only the squared error follows the outlier", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
