"""What can a perceptron not learn, and what does a hidden layer change? (N2, N5, N22)

Trains Rosenblatt's perceptron on AND, OR and XOR with his rule, w ← w + (y − ŷ) x, from many first
weights. Then it trains a network with one hidden layer on XOR by gradient descent with momentum,
with 1 to 8 hidden units, all seeds at once.

Command: python -m experiments.xor

Expect: every perceptron learns AND and OR, and none learns XOR, as no straight line parts its
classes. The default recipe, 2-8-1 with tanh, solves XOR for at least 95 of 100 seeds; with two
hidden units, the fewest that can, about half of the seeds get stuck.

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
from experiments.seeds import compiled, outputs, over_seeds, share, whole_run
from functional_nn.plots import draw_boundary, panels

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], np.float32)
TARGETS = {"AND": (0, 0, 0, 1), "OR": (0, 1, 1, 1), "XOR": (0, 1, 1, 0)}
WIDTHS = (1, 2, 3, 4, 8)
GRID = np.linspace(-0.5, 1.5, 241)


@dataclass(frozen=True)
class Config:
    """How the networks are trained."""

    hidden: int = 8
    """units of the hidden layer whose boundary is drawn"""
    steps: int = 500
    """steps of gradient descent, each with all four rows"""
    learning_rate: float = 0.5
    """of gradient descent"""
    momentum: float = 0.9
    """of gradient descent"""
    seeds: int = 100
    """first weights"""
    seed: int = 0
    """of the first one"""
    quick: bool = False
    """the default recipe and two widths less"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/xor/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config)
    found = measure(config)
    best = {name: found["perceptrons"][name] for name in TARGETS}
    finding = (
        f"No perceptron of {config.seeds} learns XOR ({100 * best['XOR']:.0f}% do; AND and OR: "
        f"{100 * best['AND']:.0f}% and {100 * best['OR']:.0f}%). A network 2-{config.hidden}-1 "
        f"solves it for {found['solved'][str(config.hidden)].mean:.0%} of the seeds.")
    return publish(config, finding, found["record"], [Picture(
        "xor", "A line cannot, a bent one can", draw(found, config),
        "The first three panels: a perceptron's decision on AND and on XOR, and a trained "
        "network's on XOR. The last: the share of the seeds that solve XOR by the number of hidden "
        "units, with Wilson's 95 % interval.")])


def measure(config: Config) -> dict[str, Any]:
    """The perceptrons of every target, the shares that solve XOR by width, and boundaries."""
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    widths = sorted({config.hidden, *(WIDTHS[1:4:2] if config.quick else WIDTHS)})
    grid = np.stack(np.meshgrid(GRID, GRID), axis=-1).reshape(-1, 2).astype(np.float32)
    perceptron, lines, right = fnn.mlp((2, 1), output="step"), {}, {}
    of_keys = compiled(jax.vmap(rosenblatt, in_axes=(0, None)))
    for name, y in TARGETS.items():
        params = of_keys(keys, jnp.array(y, jnp.float32))
        ends = np.asarray(outputs(perceptron, params, X))[..., 0]
        right[name] = float((ends == np.array(y)).all(axis=1).mean())
        lines[name] = boundary(perceptron, params, 0, grid)
    solved = {}
    for n in widths:
        net, params = train(config, n, keys)
        ends = np.asarray(outputs(net, params, X))[..., 0]
        solves = ((ends > 0.5) == np.array(TARGETS["XOR"])).all(axis=1)
        solved[str(n)] = share(solves)
        if n == config.hidden:
            lines["network"] = boundary(net, params, np.argmax(solves), grid)
    return {"perceptrons": right, "solved": solved, "boundaries": lines,
            "record": {"perceptrons": right, "solved": solved}}


def boundary(net, params, seed: int, grid) -> np.ndarray:
    """The outputs of the network of one seed on the grid, (rows, columns)."""
    one = jax.tree.map(lambda leaf: leaf[seed][None], params)
    return np.asarray(outputs(net, one, grid)).reshape(2 * GRID.shape)


def rosenblatt(key, y, passes: int = 50):
    """The perceptron after `passes` passes over the four rows: w ← w + (y − ŷ) x."""
    perceptron = fnn.mlp((2, 1), output="step")
    params = perceptron.init(key)

    def learn(params, row):
        x, target = row
        error = target - perceptron.apply(params, x)
        [layer] = params
        return ({"w": layer["w"] + error[:, None] * x[None], "b": layer["b"] + error},), None

    rows = jnp.tile(X, (passes, 1)), jnp.tile(y, passes)
    return jax.lax.scan(learn, params, rows)[0]


def train(config: Config, hidden: int, keys):
    """The network of this width and its parameters for all keys, trained together."""
    net = fnn.mlp((2, hidden, 1), hidden="tanh", output="sigmoid")
    sgd = fnn.optimizers.sgd(config.learning_rate, momentum=config.momentum)
    run = whole_run(net, "binary_cross_entropy", sgd, epochs=config.steps)
    return net, over_seeds(run, keys, X, np.array(TARGETS["XOR"], np.float32))[0]


def draw(found: dict[str, Any], config: Config):
    """Three boundaries, and the share that solves XOR by width."""
    figure, axes = panels(4, columns=2, width=3.8, height=3.2)
    shown = {"AND": "AND", "XOR": "XOR", "network": "XOR"}
    titles = {"AND": "A perceptron learns AND", "XOR": "A perceptron cannot learn XOR",
              "network": f"2-{config.hidden}-1 learns XOR"}
    for panel, (name, target) in zip(axes, shown.items(), strict=False):
        draw_boundary(panel, GRID, GRID, found["boundaries"][name], X, TARGETS[target])
        panel.set(xlabel="x₁", ylabel="x₂")
        panel.set_title(titles[name], fontsize=10)
    axes[0].legend(fontsize=8, loc="lower left")
    last, widths = axes[3], list(found["solved"])
    means, lows, highs = (100 * np.array(part) for part in zip(*found["solved"].values(),
                                                              strict=True))
    last.errorbar(range(len(widths)), means, yerr=[means - lows, highs - means], fmt="o",
                  capsize=4, color="#0072B2", markersize=6)
    last.axhline(95, color="#444444", linewidth=1, linestyle="--")
    last.annotate("95 %", (0, 95), xytext=(0, 2), textcoords="offset points", fontsize=8)
    last.set_xticks(range(len(widths)), widths)
    last.set(xlabel="hidden units", ylabel="seeds that solve XOR (%)", ylim=(0, 104))
    last.set_title("With more units, fewer seeds get stuck", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
