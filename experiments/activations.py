"""Which shape has each activation, and is its hand-written derivative right? (N10, N22)

Draws every activation of the library with its derivative, and softmax and maxout, which are no
functions of one number. Every derivative is compared with `jax.grad` and with central differences
in float64, away from kinks and at them.

Command: python -m experiments.activations

Expect: by hand = automatic to the last digits, at kinks too; central differences agree to 1e-8. The
sigmoid's derivative is at most ¼ and vanishes outside of about ±5; ReLU's is 0 or 1.

Cost: seconds. Chance plays no part.
"""

import sys
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import functional_nn as fnn
from experiments.common import Picture, command_line, publish, settled
from functional_nn import plots
from functional_nn.activations import ACTIVATIONS
from functional_nn.report import Table

STEP = 1e-6  # of central differences
LOGITS = jnp.array([0.0, 1.0, 2.0])  # softmax is drawn at (z, 0, 1), its Jacobian here
PIECES = ({"w": jnp.array([[[-1.0]], [[0.25]], [[1.0]]]), "b": jnp.array([[-1.0], [0.5], [-1.0]])},)


@dataclass(frozen=True)
class Config:
    """What is drawn."""

    points: int = 801
    """points from −6 to 6"""
    quick: bool = False
    """the same; this experiment takes seconds"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/activations/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config)
    found = measure(config)
    rows = found["activations"]
    finding = (
        f"All {len(rows)} derivatives written by hand equal jax.grad (they differ by at most "
        f"{max(row['automatic'] for row in rows.values()):.1g}), at kinks too. The steepest slope "
        f"of the sigmoid is {rows['sigmoid']['steepest']:g}, and over "
        f"{rows['sigmoid']['flat']:.0%} of −6 … 6 its slope is below 0.01; ReLU's is 0 or 1.")
    columns = ("activation", "steepest |σ′|", "|σ′| < 0.01 on", "hand − jax.grad",
               "hand − differences", "kink at 0")
    table = Table(columns, [
        (name, row["steepest"], f"{row['flat']:.0%}", row["automatic"], row["differences"],
         fnn.activations.get(name).kink or "–") for name, row in rows.items()],
        caption="The derivatives, compared", note="Differences are left out next to a kink.")
    curves = {name: found["curves"][name] for name in rows}
    return publish(config, finding, found["record"], [
        Picture("activations", "Values and derivatives", plots.functions(curves),
                "Each activation with its derivative; circles are differences of the values."),
        Picture("vector_valued", "Softmax and maxout", draw(found),
                "Left: softmax of (z, 0, 1). Middle: its Jacobian at (0, 1, 2), whose rows and "
                "columns add up to 0. Right: maxout, the largest of three lines.")], [table])


def measure(config: Config) -> dict[str, Any]:
    """The values and derivatives of every activation, and how far the derivatives are from two
    references."""
    with jax.enable_x64(True):
        z = jnp.linspace(-6, 6, config.points)
        elementwise = {name: f for name, f in ACTIVATIONS.items() if f.elementwise}
        curves = {name: tuple(map(np.asarray, (z, f(z), f.derivative(z))))
                  for name, f in elementwise.items()}
        rows = {name: compared(f, z) for name, f in elementwise.items()}
        softmax = jax.vmap(lambda z: ACTIVATIONS["softmax"](jnp.array([z, 0.0, 1.0])))(z)
        jacobian = ACTIVATIONS["softmax"].derivative(LOGITS.astype(float))
        automatic = jax.jacfwd(ACTIVATIONS["softmax"])(LOGITS.astype(float))
        apart = float(jnp.max(jnp.abs(jacobian - automatic)))
    maxout = fnn.sequential(1, fnn.layers.maxout(1, pieces=3))
    x = jnp.linspace(-6, 6, config.points)[:, None]
    bent = jax.vmap(maxout.apply, in_axes=(None, 0))(PIECES, x)[:, 0]
    record = {"activations": rows,
              "jacobian": {"by_hand": np.asarray(jacobian), "difference": apart}}
    return record | {"curves": curves, "softmax": np.asarray(softmax), "maxout": np.asarray(bent),
                     "record": record}


def compared(f: fnn.activations.Activation, z) -> dict[str, float]:
    """The steepest slope of f, where it is flat, and its largest differences from references."""
    slope = f.derivative(z)
    automatic = jax.vmap(jax.grad(f))(z)
    differences = (f(z + STEP) - f(z - STEP)) / (2 * STEP)
    away = jnp.abs(z) > 2 * STEP if f.kink else jnp.ones_like(z, bool)
    return {"steepest": float(jnp.max(jnp.abs(slope))),
            "flat": float(jnp.mean((jnp.abs(slope) < 0.01).astype(float))),
            "automatic": float(jnp.max(jnp.abs(slope - automatic))),
            "differences": float(jnp.max(jnp.where(away, jnp.abs(slope - differences), 0.0)))}


def draw(found: dict[str, Any]):
    """Softmax, its Jacobian, and maxout."""
    figure, (left, middle, right) = plots.panels(3)
    z = found["curves"]["linear"][0]
    plots.draw_curves(left, z, {f"softmax(z, 0, 1){mark}": values for mark, values in zip(
        "₁₂₃", found["softmax"].T, strict=True)})
    left.set(xlabel="z", ylabel="share")
    left.set_title("Softmax: shares that add up to 1", fontsize=10)
    J = found["jacobian"]["by_hand"]
    largest = np.abs(J).max()
    middle.imshow(J, cmap="PuOr_r", vmin=-largest, vmax=largest)
    middle.grid(visible=False)
    for (i, j), value in np.ndenumerate(J):
        middle.annotate(f"{value:.3f}".replace("-", "−"), (j, i), ha="center", va="center", fontsize=9,
                        color="white" if abs(value) > largest / 2 else "black")
    middle.set_xticks(range(3), ["z₁", "z₂", "z₃"])
    middle.set_yticks(range(3), ["a₁", "a₂", "a₃"])
    middle.set_title("Softmax: ∂a/∂z at z = (0, 1, 2)", fontsize=10)
    pieces = {f"{w:g}·x {'−' if b < 0 else '+'} {abs(b):g}".replace("-", "−"): w * z + b
              for w, b in zip(np.ravel(PIECES[0]["w"]), np.ravel(PIECES[0]["b"]), strict=True)}
    right.plot(z, found["maxout"], color="#BBBBBB", linewidth=7, label="maxout")
    plots.draw_curves(right, z, pieces)
    right.set(xlabel="x", ylabel="max of three pieces", ylim=(-2.5, 5.5))
    right.set_title("Maxout: the largest of its pieces", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
