"""What becomes of the error on its way back through many layers? (N14, N10)

Draws networks of 1 to 10 hidden layers with sigmoid, tanh and ReLU, and computes ‖δˡ‖ of every layer
by backpropagation, for many seeds at once: δˡ = (Wˡ⁺¹)ᵀδˡ⁺¹ ⊙ σ′(zˡ), and σ′ of a sigmoid is at most
¼. Then it trains ReLU networks with growing rates and counts the units that died.

Command: python -m experiments.vanishing

Expect: through ten sigmoid layers the error shrinks by a factor of a million and more; with tanh and
ReLU, from initial weights that suit them, by a factor of a few. With a large learning rate ReLU
units die: they give 0 for every example and have no gradient that could bring them back.

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
from experiments.seeds import interval, over_rates, whole_run
from functional_nn import layers, plots
from functional_nn.report import Table

HIDDEN = ("sigmoid", "tanh", "relu")


@dataclass(frozen=True)
class Config:
    """What is drawn and trained."""

    depth: int = 10
    """hidden layers of the deepest network"""
    hidden: int = 30
    """units of each"""
    rows: int = 200
    """images that the errors are averaged over"""
    epochs: int = 20
    """of the ReLU networks"""
    rates: int = 6
    """learning rates of the ReLU networks, from 0.01 to 3.2"""
    seeds: int = 20
    """first weights"""
    seed: int = 0
    """of the first ones, and of the split"""
    quick: bool = False
    """ten seeds, fewer epochs"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/vanishing/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config, seeds=10, epochs=5, rates=5)
    found = measure(config)
    shrunk = {name: row["first_over_last"][-1].mean for name, row in found["errors"].items()}
    dead = found["dead"]["share"].mean
    finding = (
        f"Back through {config.depth} hidden layers, ‖δ‖ falls to {shrunk['sigmoid']:.0e} of itself "
        f"with sigmoids, and to {shrunk['tanh']:.2f} with tanh and {shrunk['relu']:.2f} with ReLU. "
        f"At rates from {found['dead']['rates'][0]:g} to {found['dead']['rates'][-1]:.2g}, "
        f"{dead[0]:.0%} to {dead[-1]:.0%} of the ReLU units die in training.")
    table = Table(("hidden layers", *HIDDEN), [
        (depth, *(found["errors"][name]["first_over_last"][i].mean for name in HIDDEN))
        for i, depth in enumerate(depths(config))],
        caption="‖δ‖ of the first hidden layer over that of the last layer")
    return publish(config, finding, found, [Picture(
        "vanishing", "The error on its way back", draw(found, config),
        "Left: mean ‖δ‖ by layer of the deepest network. Middle: that of the first hidden layer "
        "over that of the last layer, by depth. Right: the share of ReLU units that give 0 for "
        "every training image after training. Means over the seeds with 95 % intervals.")], [table])


def measure(config: Config) -> dict[str, Any]:
    """The errors of deep networks on their way back, and the units that die in training."""
    return {"errors": errors(config), "dead": dead_units(config)}


def depths(config: Config) -> list[int]:
    """The numbers of hidden layers that are drawn."""
    return sorted({*range(1, config.depth, 3 if config.quick else 1), config.depth})


def digits(config: Config):
    """The training images and their classes."""
    data = fnn.data.standardize(fnn.data.load("digits", seed=config.seed))
    fnn.checks.integer("rows", config.rows, high=len(data.x_train))
    return data.x_train[:config.rows], data.y_train[:config.rows]


def errors(config: Config) -> dict[str, Any]:
    """For each activation, the ratio of first to last ‖δ‖ by depth, and ‖δˡ‖ of the deepest."""
    X, Y = digits(config)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    found = {}
    for name in HIDDEN:
        init = fnn.activations.get(name).init
        ratios = []
        for depth in depths(config):
            net = fnn.mlp((64, *depth * (config.hidden,), 10), name, "softmax", init)
            norms = error_norms(net, keys, X, Y)
            ratios.append(interval(norms[:, 0] / norms[:, -1], log=True))
        found[name] = {"first_over_last": ratios, "norms": interval(norms, log=True)}
    return found


def error_norms(net, keys, X, Y) -> np.ndarray:
    """The mean over the examples of ‖δˡ‖, (seeds, layers).

    It is not compiled as a whole: the layers have one shape, so their operations are compiled once.
    """
    deltas = fnn.backprop.deltas(net, "cross_entropy")
    of_batch = jax.vmap(deltas, in_axes=(None, 0, 0))
    each = jax.vmap(of_batch, in_axes=(0, None, None))(jax.vmap(net.init)(keys), X, Y)
    return np.stack([np.linalg.norm(delta, axis=2).mean(axis=1) for delta in each], axis=1)


def dead_units(config: Config) -> dict[str, Any]:
    """The share of ReLU units that are 0 on every example after training, by learning rate.

    All units of a run that diverged count as dead.
    """
    X, Y = digits(config)
    net = fnn.mlp((64, config.hidden, config.hidden, 10), "relu", "softmax", "he_normal")
    rates = np.logspace(-2, 0.5, config.rates)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    params, _ = over_rates(
        lambda rate: whole_run(net, "cross_entropy", fnn.optimizers.sgd(rate),
                               epochs=config.epochs, batch_size=10), rates, keys, X, Y)

    def share(params):
        _, tape = jax.vmap(lambda x: layers.forward(net.layers, params, x))(X)
        alive = jnp.concatenate([jnp.any(step.z > 0, axis=0) for step in tape[:-1]])
        return 1 - jnp.mean(alive.astype(X.dtype))

    shares = np.asarray(jax.vmap(jax.vmap(share))(params))
    return {"rates": rates, "share": interval(shares.T)}


def draw(found: dict[str, Any], config: Config):
    """Errors by layer, errors by depth, and dead units by rate."""
    figure, (left, middle, right) = plots.panels(3)
    place = np.arange(1, config.depth + 2)
    plots.draw_bands(left, place, {name: row["norms"] for name, row in found["errors"].items()},
                     marked=True)
    left.set(yscale="log", xlabel="layer (the last is the output)", ylabel="mean ‖δ‖ (log scale)")
    left.set_title(f"Back through {config.depth} hidden layers", fontsize=10)
    plots.draw_bands(middle, depths(config), {
        name: np.array(row["first_over_last"]).T for name, row in found["errors"].items()},
        marked=True, legend=False)
    middle.set(yscale="log", xlabel="hidden layers", ylabel="‖δ‖ first / last (log scale)")
    middle.set_title("Sigmoids shrink it layer by layer", fontsize=10)
    dead = found["dead"]
    plots.draw_bands(right, dead["rates"], {"relu": dead["share"].times(100)},
                     marked=True, legend=False)
    right.set(xscale="log", xlabel="learning rate γ", ylabel="dead ReLU units (%)", ylim=(0, 102))
    right.set_title("Too large a rate kills ReLU units", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
