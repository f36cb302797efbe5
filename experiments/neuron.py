"""What does one neuron decide, and why is its activation not a step? (N1–N4)

Evaluates the notes' perceptron "do I go to school?" on all eight days at once. Then it moves one
weight a little, at a point where z = 0, and compares how far the output moves with a step, a
sigmoid and a ReLU. Last it draws a sigmoid neuron with five biases.

Command: python -m experiments.neuron

Expect: on (rain, no Monday, late start) z = 1, so the answer is yes. However small the change of
the weight, the step jumps from 1 to 0; the sigmoid moves by a quarter of the change. A bias b moves
the curve by −b/w along the axis.

Cost: seconds. Chance plays no part.
"""

import itertools
import sys
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import functional_nn as fnn
from experiments.common import Picture, command_line, publish, settled
from functional_nn.plots import draw_curves, panels
from functional_nn.plots.canvas import COLOURS, INK
from functional_nn.report import Table

DAY = ("rain", "Monday", "late start")
# the notes' weight of Monday cannot be read; it is 0 here, and x₂ = 0 in their example
SCHOOL = ({"w": jnp.array([[-2.0, 0.0, 4.0]]), "b": jnp.array([-1.0])},)
BIASES = (-4.0, -2.0, 0.0, 2.0, 4.0)


@dataclass(frozen=True)
class Config:
    """What is drawn."""

    changes: int = 25
    """changes of the weight, from 1e-6 to 1"""
    quick: bool = False
    """the same; this experiment takes seconds"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/neuron/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config)
    found = measure(config)
    jump, slide = found["moved"]["step"][0], found["moved"]["sigmoid"][0]
    finding = (
        f"A change of one weight by {found['changes'][0]:.0e} moves the step by {jump:.0f}, from 1 "
        f"to 0, and the sigmoid by {slide:.1e}, a quarter of the change: only a smooth activation "
        "tells a learner in which direction to go.")
    table = Table((*DAY, "z", "go to school"), [
        (*map(int, day), z, bool(went))
        for day, z, went in zip(found["days"], found["z"], found["went"], strict=True)],
        caption="Do I go to school? Weights −2, 0 and 4, bias −1")
    return publish(config, finding, found, [Picture(
        "neuron", "A step decides, a smooth activation also says by how much", draw(found),
        "Left: z of each of the eight days and the perceptron's decision. Middle: how far the "
        "output moves when a weight changes. Right: a sigmoid neuron with five biases.")], [table])


def measure(config: Config) -> dict[str, Any]:
    """The eight days, the outputs' moves under a small Δw, and the curves of five biases."""
    neuron, perceptron = fnn.mlp((3, 1)), fnn.mlp((3, 1), output="step")
    days = jnp.array(list(itertools.product((0.0, 1.0), repeat=3)))
    of_days = {net: jax.vmap(net.apply, in_axes=(None, 0))(SCHOOL, days)[:, 0]
               for net in (neuron, perceptron)}
    with jax.enable_x64(True):
        changes = jnp.logspace(-6, 0, config.changes)
        f = {name: fnn.activations.get(name) for name in ("step", "sigmoid", "relu")}
        moved = {name: abs(f[name](0 * changes) - f[name](-changes)) for name in f}  # x = 1, z = 0
        moved["relu"] = abs(f["relu"](changes) - f["relu"](0 * changes))  # its slope is on the right
        x = jnp.linspace(-8, 8, 161)
        curves = {b: f["sigmoid"](x + b) for b in BIASES}
    return {"days": np.asarray(days), "z": np.asarray(of_days[neuron]),
            "went": np.asarray(of_days[perceptron]), "changes": np.asarray(changes),
            "moved": {name: np.asarray(values) for name, values in moved.items()},
            "x": np.asarray(x), "curves": {f"{b:g}": np.asarray(a) for b, a in curves.items()}}


def draw(found: dict[str, Any]):
    """The days, the moves and the biases, a panel each."""
    figure, (left, middle, right) = panels(3)
    for row, (z, went) in enumerate(zip(found["z"], found["went"], strict=True)):
        left.barh(row, z, color=COLOURS[0] if went else COLOURS[5],
                  hatch="" if went else "///", edgecolor="white")
    left.axvline(0, color=INK, linewidth=1)
    left.set_yticks(range(8), ["".join(str(int(x)) for x in day) for day in found["days"]])
    left.set_ylabel(f"x = ({', '.join(DAY)})")
    left.set_xlabel("z = wᵀx + b")
    left.set_title(f"Go to school on {int(sum(found['went']))} of 8 days (z ≥ 0)", fontsize=10)
    draw_curves(middle, found["changes"], found["moved"])
    middle.set(xscale="log", yscale="log")
    middle.set_xlabel("change of the weight, |Δw|")
    middle.set_ylabel("change of the output, |Δŷ|")
    middle.set_title("The step always jumps by 1", fontsize=10)
    draw_curves(right, found["x"], {
        f"b = {b}".replace("-", "−"): a for b, a in found["curves"].items()})
    right.set_xticks(range(-8, 9, 4))
    right.set_xlabel("x")
    right.set_ylabel("ŷ = σ(x + b)")
    right.set_title("A bias b moves the curve by −b", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
