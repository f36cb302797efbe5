"""What does a network gain from layers without a bend? (N6, N7)

Multiplies the matrices of a deep linear network out and compares the one matrix with the network,
and a layer in matrix form with the same layer written node by node. Then it trains networks of one,
two and four linear layers, and one with tanh, on a sine wave with noise, all seeds together.

Command: python -m experiments.linear_collapse

Expect: the product of the matrices is the network, to the last digits of float64. However deep, the
linear networks end at the cost of the straight line of least squares; one hidden layer of tanh goes
far below it.

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
from experiments.seeds import interval, outputs, over_seeds, whole_run
from functional_nn.plots import draw_bands, draw_curves, panels

NETWORKS = {
    "linear, 1 layer": ((1, 1), "linear"), "linear, 2 layers": ((1, 8, 1), "linear"),
    "linear, 4 layers": ((1, 8, 8, 8, 1), "linear"), "tanh, 2 layers": ((1, 8, 1), "tanh")}
NOISE = 0.1


@dataclass(frozen=True)
class Config:
    """What is trained."""

    rows: int = 64
    """points of the sine wave"""
    epochs: int = 1000
    """steps of Adam, each with all points"""
    seeds: int = 20
    """first weights of each network"""
    seed: int = 0
    """of the first one, and of the noise"""
    quick: bool = False
    """ten seeds, fewer epochs"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/linear_collapse/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config, seeds=10, epochs=600)
    found = measure(config)
    ends = found["last_cost"]
    deep, bent = ends["linear, 4 layers"].mean, ends["tanh, 2 layers"].mean
    finding = (
        f"Four linear layers are one matrix (the two differ by {found['collapse']:.1g}). Trained, "
        f"they end at a cost of {deep:.3f}, where the line of least squares lies "
        f"({found['least_squares']:.3f}); tanh reaches {bent:.4f}.")
    return publish(config, finding, found, [Picture(
        "linear_collapse", "Depth without a bend is no depth", draw(found),
        "Left: the mean predictions of trained networks; the linear ones lie on one another. "
        "Right: their cost by epoch with 95 % intervals over the seeds, and that of least "
        "squares.")])


def measure(config: Config) -> dict[str, Any]:
    """How far the product of the matrices is from the network, and what training makes of depth."""
    noise = np.random.default_rng(config.seed)
    X = np.linspace(-1, 1, config.rows, dtype=np.float32)[:, None]
    Y = (np.sin(3 * X[:, 0]) + NOISE * noise.normal(size=config.rows)).astype(np.float32)
    line = np.column_stack([X, np.ones(config.rows)])
    fitted = line @ np.linalg.lstsq(line, Y, rcond=None)[0]
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    costs, last, curves = {}, {}, {"least squares": fitted}
    for name, (sizes, hidden) in NETWORKS.items():
        net = fnn.mlp(sizes, hidden=hidden)
        run = whole_run(net, "mse", fnn.optimizers.adam(0.02), epochs=config.epochs)
        params, history = over_seeds(run, keys, X, Y)
        costs[name] = interval(history["cost"], log=True)
        last[name] = interval(history["cost"][:, -1])
        curves[name] = np.asarray(outputs(net, params, X))[..., 0].mean(axis=0)
    return {"collapse": collapse(config.seed), "node_by_node": node_by_node(), "x": X[:, 0], "y": Y,
            "least_squares": float(np.mean((fitted - Y) ** 2)), "last_cost": last, "cost": costs,
            "predictions": curves}


def collapse(seed: int) -> float:
    """The largest relative difference of a linear network and its matrices multiplied out."""
    with jax.enable_x64(True):
        net = fnn.mlp((3, 5, 6, 4, 2), hidden="linear", init="nielsen")
        params = net.init(jax.random.key(seed), jnp.float64)
        W, b = jnp.eye(3), jnp.zeros(3)
        for layer in params:
            W, b = layer["w"] @ W, layer["w"] @ b + layer["b"]  # W ← Wˡ W, b ← Wˡ b + bˡ
        X = jax.random.normal(jax.random.key(seed + 1), (50, 3), jnp.float64)
        deep = np.asarray(jax.vmap(net.apply, in_axes=(None, 0))(params, X))
        one = np.asarray(X @ W.T) + np.asarray(b)
        return float(np.max(np.abs(deep - one)) / np.max(np.abs(deep)))


def node_by_node() -> float:
    """N6: the difference of C and D written out and the layer in matrix form."""
    x1, x2, w1, w2, w3, w4, b0, b2 = 0.5, -1.5, 2.0, -0.25, 0.75, 1.25, 0.1, -0.2
    f = fnn.activations.sigmoid
    with jax.enable_x64(True):
        C, D = f(x1 * w1 + x2 * w3 + b0), f(x2 * w4 + x1 * w2 + b2)
        params = ({"w": jnp.array([[w1, w3], [w2, w4]]), "b": jnp.array([b0, b2])},)
        both = fnn.mlp((2, 2), output="sigmoid").apply(params, jnp.array([x1, x2]))
        return float(jnp.max(jnp.abs(both - jnp.array([C, D]))))


def draw(found: dict[str, Any]):
    """The trained functions, and their costs by epoch."""
    figure, (left, right) = panels(2, width=4.6, height=3.6)
    left.plot(found["x"], found["y"], "o", color="#999999", markersize=3.5)
    draw_curves(left, found["x"], {
        name: y for name, y in found["predictions"].items() if name != "least squares"})
    left.set(xlabel="x", ylabel="y (dots) and the mean prediction", xticks=(-1, -0.5, 0, 0.5, 1))
    left.set_title("Linear networks of any depth are one line", fontsize=10)
    epochs = np.arange(1, len(found["cost"]["tanh, 2 layers"].mean) + 1)
    draw_bands(right, epochs, found["cost"], legend=False)
    right.axhline(found["least_squares"], color="black", linewidth=1, linestyle=":")
    right.annotate("least squares", (epochs[-1], found["least_squares"]), xytext=(0, 3),
                   textcoords="offset points", ha="right", fontsize=8)
    right.set(xlabel="epoch", ylabel="cost (mean squared error, log scale)", yscale="log")
    right.set_title("Only the network with tanh beats the line", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
