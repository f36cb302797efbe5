"""Does micrograd's demo come out of this library, digit for digit?

Replays the best-known demo of a small network: 2-16-16-1 with ReLU learns two moons by hinge loss and
an L2 penalty on all parameters, in 100 steps of gradient descent with a falling rate. The moons and
the first weights are drawn with NumPy's and Python's generators as the demo draws them, and the
gradients are the hand-written ones. The loss before each step is compared with the printed one.

Command: python -m experiments.micrograd

Expect: the printed losses to 15 digits, and to 14 at a step or two: 0.8958441028683222 before the
first step, 0.010978370135492717 before the last one. The sums are added in another order than
micrograd's, so the last digits may differ.

Cost: seconds.
"""

import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import make_moons

import functional_nn as fnn
from experiments.book.draws import uniform
from experiments.common import Picture, command_line, publish, settled
from functional_nn import plots
from functional_nn.report import Table
from functional_nn.training.steps import gradient_function, update_function

PRINTED = Path(__file__).with_suffix(".json")
SIZES, LOSS, SEED = (2, 16, 16, 1), "hinge", 1337


@dataclass(frozen=True)
class Config:
    """How long it runs."""

    steps: int = 100
    """steps to replay, at most the 100 of the demo"""
    quick: bool = False
    """the same: it takes seconds anyway"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/micrograd/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config)
    found = measure(config)
    digits, losses = found["digits"], found["losses"]
    finding = (f"{np.sum(digits >= 15)} of {len(losses)} losses agree with the printed ones to 15 "
               f"digits, all of them to {digits.min()}; the last one is {losses[-1]!r}, printed "
               f"{found['printed'][-1]!r}.")
    shown = sorted({*range(0, len(losses), 10), 1, len(losses) - 1} & set(range(len(losses))))
    table = Table(("step", "printed", "ours", "relative difference"), [
        (k, repr(found["printed"][k]), repr(losses[k]), found["apart"][k]) for k in shown],
        caption="Loss before the step")
    return publish(config, finding, found, [Picture(
        "micrograd", "The demo, replayed", draw(found),
        "Left: loss before each step, printed (wide, pale) and ours (thin). Middle: the relative "
        "difference; an empty place is no difference at all. Right: the moons, and where the trained "
        "network draws the boundary.")], [table])


def measure(config: Config) -> dict[str, Any]:
    """Our losses beside the printed ones, and the trained network on the plane."""
    printed = json.loads(PRINTED.read_text())["losses"]
    fnn.checks.integer("steps", config.steps, high=len(printed))
    printed = printed[:config.steps]
    with jax.enable_x64(True):
        points, signs, first = problem()
        losses, params = descend(first, points, signs, config.steps)
        x, y = (np.linspace(low - 0.5, high + 0.5, 81)
                for low, high in zip(points.min(axis=0), points.max(axis=0), strict=True))
        plane = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        score = jax.vmap(network().apply, in_axes=(None, 0))
        scores = np.asarray(score(params, plane)).reshape(len(y), len(x))
        right = float(np.mean(np.sign(score(params, points)[:, 0]) == signs))
    losses = [float(loss) for loss in losses]
    apart = np.abs(np.array(losses) - printed) / printed
    return {"losses": losses, "printed": printed, "apart": apart, "digits": digits_of(apart),
            "accuracy": right, "points": points, "signs": signs, "x": x, "y": y, "scores": scores}


def digits_of(apart: np.ndarray) -> np.ndarray:
    """How many significant digits agree: the largest d, at most 16, with `apart` ≤ 5 · 10⁻ᵈ.

    >>> digits_of(np.array([0.0, 4e-15, 6e-15, 1e-3])).tolist()
    [16, 15, 14, 3]
    """
    return np.floor(-np.log10(np.maximum(apart, 5e-16) / 5)).astype(int)


def network():
    """The network of the demo."""
    return fnn.mlp(SIZES, hidden="relu", output="linear")


def problem() -> tuple[np.ndarray, np.ndarray, tuple]:
    """The moons (100, 2), their signs (100,), and the first parameters, drawn as in the demo."""
    points, classes = make_moons(n_samples=100, noise=0.1,
                                 random_state=np.random.RandomState(SEED))
    return points, 2.0 * classes - 1, uniform(random.Random(SEED), SIZES)


def descend(params: tuple, points, signs, steps: int) -> tuple[jax.Array, tuple]:
    """The objective C + 10⁻⁴ Σp² before each step of rate 1 − 0.9 k/100, and the last parameters."""
    penalty = fnn.penalties.l2(2e-4, leaves="all")
    optimizer = fnn.optimizers.sgd(fnn.schedules.polynomial_decay(1.0, 0.1, 1.0, 100))
    update = update_function(gradient_function(
        network(), fnn.backprop.value_and_grad(network(), LOSS), penalty), optimizer, penalty)
    rows, X, Y = jnp.arange(len(points)), jnp.asarray(points), jnp.asarray(signs)

    def step(state, _):
        params, memory = state
        cost, _, change, memory = update(params, memory, jax.random.key(0), rows, None, X, Y)
        return (optax.apply_updates(params, change), memory), cost + penalty.value(params)

    start = jax.tree.map(jnp.asarray, params)
    (params, _), losses = jax.lax.scan(step, (start, optimizer.init(start)), length=steps)
    return losses, params


def draw(found: dict[str, Any]):
    """The losses, the differences, and the boundary."""
    figure, (left, middle, right) = plots.panels(3, width=4.2, height=3.4)
    steps = np.arange(len(found["losses"]))
    left.plot(steps, found["printed"], color="#0072B2", linewidth=6, alpha=0.35, label="printed")
    left.plot(steps, found["losses"], color="#0072B2", linewidth=1.3, label="ours")
    left.set(yscale="log", xlabel="step", ylabel="loss (hinge and penalty, log scale)")
    left.legend(frameon=False, fontsize=8)
    left.set_title("Our losses lie on the printed ones", fontsize=10)
    seen = found["apart"] > 0
    middle.plot(steps[seen], found["apart"][seen], "o", color="#D55E00", markersize=3.5)
    middle.set(yscale="log", xlabel="step", ylabel="relative difference (log scale)")
    middle.set_title(f"{np.mean(found['digits'] >= 15):.0%} agree to 15 digits", fontsize=10)
    plots.draw_boundary(right, found["x"], found["y"], found["scores"], found["points"],
                        (found["signs"] > 0).astype(int), level=0.0)
    right.set(xlabel="x₁", ylabel="x₂")
    right.set_title(f"{found['accuracy']:.0%} of the moons are right", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
