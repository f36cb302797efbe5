"""Where does gradient descent go, and how long may its steps be? (N16, N17, N22)

Fits a line to standardised points by gradient descent, w ← w − γ∇C(w), until convergence, with a
rate that is too small, right, and too large, and once uphill, and draws the paths on the cost
surface. Then it trains a network on iris with many rates, all rates and seeds together.

Command: python -m experiments.gradient_descent

Expect: on the line, descent converges for γ below 2/λ, where λ is the largest eigenvalue of the
cost's second derivative, and diverges above. Uphill the cost grows without end. The network learns
best with a rate between: 100 times smaller crawls, 10 times larger is no better or diverges.

Cost: a quarter of a minute on two cores.
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
from functional_nn import plots
from functional_nn.report import Table

RATES = {"too small: 0.02 · 2/λ": 0.02, "right: 0.5 · 2/λ": 0.5, "too large: 1.02 · 2/λ": 1.02,
         "uphill": -0.05}  # in units of 2/λ
GRID = (np.linspace(-4.0, 5.0, 121), np.linspace(-3.5, 4.5, 121))


@dataclass(frozen=True)
class Config:
    """What is fitted and trained."""

    rows: int = 30
    """points of the line"""
    steps: int = 60
    """at most so many steps on the line"""
    epochs: int = 40
    """of the network on iris"""
    rates: int = 17
    """rates of the network, from 1e-4 to 100"""
    seeds: int = 20
    """first weights of the network"""
    seed: int = 0
    """of the points, and of the first weights"""
    quick: bool = False
    """ten seeds"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/gradient_descent/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config, seeds=10)
    found = measure(config)
    paths, net = found["paths"], found["network"]
    finding = (
        f"On the line 2/λ is {found['bound']:.3f}: at half of it descent converges after "
        f"{paths['right: 0.5 · 2/λ']['converged']} steps, 2% above it the cost grows. A network on "
        f"iris is best at a rate of {net['best']:.2g}; 100 times below it ends at "
        f"{net['below']:.1f} times the cost.")
    table = Table(("rate", "γ", "steps until convergence", "cost at the end"), [
        (name, path["rate"], path["converged"] or "not converged", path["cost"][-1])
        for name, path in paths.items()], caption="On the line, with patience 5 and tolerance 1e-4")
    return publish(config, finding, found, [Picture(
        "gradient_descent", "The cost surface, and paths across it", draw(found),
        "Left: contour lines of the cost of a line's weight and bias, and the paths. Middle: the "
        "cost by step. Right: a network on iris, cost after training by learning rate, mean over "
        "the seeds with 95 % intervals.")], [table])


def measure(config: Config) -> dict[str, Any]:
    """The paths across the surface of a line's cost, and the network's cost by rate."""
    return surface(config) | {"network": network(config)}


def surface(config: Config) -> dict[str, Any]:
    """The cost over (w, b) of a line through correlated points, and the paths of four rates."""
    noise = np.random.default_rng(config.seed)
    x = 0.8 + noise.normal(size=config.rows)
    y = 2.0 * x - 1.0 + 0.3 * noise.normal(size=config.rows)
    A = np.column_stack([x, np.ones(config.rows)])  # C = |A (w, b) − y|² / n
    bound = 2 / np.linalg.eigvalsh(2 * A.T @ A / config.rows).max()
    w, b = np.meshgrid(*GRID)
    cost = np.mean((w[..., None] * x + b[..., None] - y) ** 2, axis=-1)
    return {"bound": bound, "cost": cost, "paths": {
        name: descend(x, y, share * bound, config.steps) for name, share in RATES.items()}}


def descend(x, y, rate: float, steps: int) -> dict[str, Any]:
    """Gradient descent on a line by the library's gradient until convergence (N16)."""
    line = fnn.mlp((1, 1))
    cost_and_gradient = jax.jit(fnn.backprop.value_and_grad(line, "mse"))
    with jax.enable_x64(True):
        params = ({"w": jnp.array([[-1.5]]), "b": jnp.array([2.0])},)
        path, costs, converged = [], [], fnn.until_converged()
        for _ in range(steps):
            cost, gradient = cost_and_gradient(params, x[:, None], y)
            path.append([float(params[0]["w"][0, 0]), float(params[0]["b"][0])])
            costs.append(float(cost))
            if converged(costs) and costs[-1] <= 1.001 * min(costs):  # not where it diverges
                return {"rate": rate, "path": path, "cost": costs, "converged": len(costs)}
            params = jax.tree.map(lambda w, g: w - rate * g, params, gradient)  # w ← w − γ∇C(w)
    return {"rate": rate, "path": path, "cost": costs, "converged": None}


def network(config: Config) -> dict[str, Any]:
    """The cost of 4-8-3 on iris after training, by rate: all rates and seeds in one program."""
    iris = fnn.data.standardize(fnn.data.load("iris"))
    net = fnn.mlp((4, 8, 3), hidden="tanh", output="softmax")
    rates = np.logspace(-4, 2, config.rates)

    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    _, history = over_rates(
        lambda rate: whole_run(net, "cross_entropy", fnn.optimizers.sgd(rate),
                               epochs=config.epochs, batch_size=16),
        rates, keys, iris.x_train, iris.y_train)
    costs = np.nan_to_num(np.asarray(history["cost"])[..., -1].T, nan=1e3, posinf=1e3)
    band = interval(costs, log=True)
    best = int(np.argmin(band.mean))
    below = np.interp(np.log10(rates[best]) - 2, np.log10(rates), band.mean) / band.mean[best]
    return {"rates": rates, "cost": band, "best": float(rates[best]),
            "below": float(below)}


def draw(found: dict[str, Any]):
    """The surface with its paths, the costs by step, and the network's cost by rate."""
    figure, (left, middle, right) = plots.panels(3, width=4.0, height=3.6)
    paths = found["paths"]
    plots.draw_surface(left, *GRID, found["cost"], {
        name: path["path"] for name, path in paths.items()})
    left.set(xlabel="weight w", ylabel="bias b")
    left.set_title("The same start with four rates", fontsize=10)
    for index, (name, path) in enumerate(paths.items()):
        middle.plot(np.arange(len(path["cost"])), path["cost"], linewidth=1.8, label=name,
                    color=plots.surfaces.PATHS[index], linestyle=plots.bands.DASHES[index])
    middle.set(yscale="log", xlabel="step", ylabel="cost (mean squared error, log scale)")
    middle.set_title(f"Above γ = 2/λ = {found['bound']:.3f} the cost grows", fontsize=10)
    network = found["network"]
    plots.draw_bands(right, network["rates"], {"4-8-3 on iris": network["cost"]}, marked=True,
                     legend=False)
    right.axvline(network["best"], color="#444444", linewidth=1, linestyle="--")
    right.set(xscale="log", yscale="log", xlabel="learning rate γ",
              ylabel="cost after training (log scale)")
    right.set_title(f"A network on iris: best at {network['best']:.2g}", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
