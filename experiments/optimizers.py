"""Do our optimisers take the steps of optax's? Every one beside its twin, on the same network and mini-batches.

Trains 64-30-10 on scikit-learn's digits, hand-written gradients, from the same parameters, with every row of
`fnn.optimizers.TWINS`, in float64 and in float32; after each step the parameters of the two are compared, entry by entry, in
units in the last place (ulp). Each of the two follows its own path: a difference, once made, is carried along and grows.

Command: python -m experiments.optimizers --out runs/optimizers/first

Expect: 11 of 16 equal to the bit, the others within 100 ulp of the largest parameter of a leaf. An ulp of the parameter itself
is as small as one likes where it crosses 0: there it is a million of them and more.

Cost: a minute on two cores; with --quick half of that.
"""

import sys
import time
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import functional_nn as fnn
from experiments.common import Picture, command_line, publish, settled
from functional_nn.plots.canvas import COLOURS, INK, blank, plain_log, restrain
from functional_nn.progress import progress

LOSS, DTYPES = "cross_entropy", ("float64", "float32")
SHORT = {"xla_backend_optimization_level": 0}  # compiling takes longer than so few steps
TWINS = fnn.optimizers.TWINS


@dataclass(frozen=True)
class Config:
    """What is trained."""

    hidden: int = 30
    """units of the hidden layer"""
    batch_size: int = 128
    """examples a step"""
    steps: int = 150
    """steps of each optimiser"""
    seed: int = 0
    """of the split, the first parameters and the mini-batches"""
    quick: bool = False
    """a fifth of the steps, in float64 alone"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/optimizers/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Print one line an optimiser; returns what `results.json` holds."""
    start, rows = time.perf_counter(), {}
    config = settled(config, steps=30)
    dtypes = DTYPES[:1] if config.quick else DTYPES
    net, data, batches = assemble(config)
    cost_and_gradient = jax.jit(fnn.backprop.value_and_grad(net, LOSS))
    with progress(len(TWINS) * len(dtypes), "optimisers") as advance:
        for name, twin in TWINS.items():
            rows[name] = {}
            for dtype in dtypes:
                with jax.enable_x64(dtype == "float64"):
                    examples = [(data.x_train[chosen].astype(dtype), data.y_train[chosen]) for chosen in batches]
                    params = net.init(jax.random.key(config.seed), dtype)
                    rows[name][dtype] = race(twin, cost_and_gradient, params, examples)
                advance(f"{name}, {dtype}")
    print(text(rows))
    found = {"optimizers": rows, "rates": {name: twin.rate for name, twin in TWINS.items()},
             "seconds": time.perf_counter() - start}
    apart = {name: row["float64"]["ulp_of_leaf"].max() for name, row in rows.items()}
    finding = (f"After {config.steps} steps in float64, {sum(most == 0 for most in apart.values())} of {len(rows)} optimisers equal "
               f"optax's to the bit, and the others are within {max(apart.values()):.2g} ulp of the largest parameter of a leaf.")
    return publish(config, finding, found, [
        Picture("costs", "Both take the same path", costs_picture(rows),
                "The cost of each mini-batch in float64, ours as a line and optax's as dots on it."),
        Picture("differences", "How far the two are apart", differences_picture(rows),
                "The largest difference of a parameter after each step, in units in the last place.")])


def assemble(config: Config) -> tuple[fnn.Network, fnn.data.Dataset, np.ndarray]:
    """The network, the standardised digits, and the rows of each mini-batch, (steps, batch size)."""
    fnn.checks.integer("hidden", config.hidden)
    fnn.checks.integer("steps", config.steps)
    data = fnn.data.standardize(fnn.data.load("digits", seed=config.seed))
    fnn.checks.integer("batch_size", config.batch_size, high=len(data.x_train))
    rows = np.random.default_rng(config.seed).integers(len(data.x_train), size=(config.steps, config.batch_size))
    return fnn.mlp((64, config.hidden, 10), hidden="tanh", output="softmax"), data, rows


def race(twin: fnn.optimizers.Twin, cost_and_gradient, start, examples) -> dict[str, np.ndarray]:
    """One optimiser and its twin, each along its own path: for every step the cost of its mini-batch before it, both ways, and
    how far the parameters of the two are apart after it."""
    (ours, mine), (optax, theirs) = (
        path(make(twin.rate), cost_and_gradient, start, examples) for make in (twin.ours, twin.optax))
    differences = [apart(a, b) for a, b in zip(mine, theirs, strict=True)]
    return {"ours": ours, "optax": optax,
            **{key: np.array([float(step[key]) for step in differences]) for key in differences[0]}}


def path(optimizer, cost_and_gradient, params, examples) -> tuple[np.ndarray, list]:
    """(the cost of each mini-batch (X, Y), the parameters after each step)."""
    state, update, costs, taken = optimizer.init(params), jax.jit(
        optimizer.update, compiler_options=SHORT if jax.default_backend() == "cpu" else None), [], []
    for X, Y in examples:
        cost, gradient = cost_and_gradient(params, X, Y)
        updates, state = update(gradient, state, params)
        params = added(params, updates)
        costs.append(cost)
        taken.append(params)
    return np.array(costs), taken


@jax.jit
def added(params, updates):
    """The parameters after a step, compiled apart from it, so that the two are not rounded as one."""
    return jax.tree.map(jnp.add, params, updates)


@jax.jit
def apart(a, b) -> dict[str, jax.Array]:
    """The largest difference of two parameters, in units in the last place: of the larger of the two, which is small where they
    cross 0, and of the largest parameter of their leaf."""
    def unit(x):
        return jnp.maximum(jnp.nextafter(x, jnp.full_like(x, jnp.inf)) - x, jnp.finfo(x.dtype).tiny)  # 0 has one too

    def of_entry(a, b):
        return jnp.max(jnp.abs(a - b) / unit(jnp.maximum(jnp.abs(a), jnp.abs(b))))

    def of_leaf(a, b):
        return jnp.max(jnp.abs(a - b)) / unit(jnp.max(jnp.abs(b)))

    return {key: jnp.max(jnp.stack(jax.tree.leaves(jax.tree.map(measure, a, b))))
            for key, measure in (("ulp", of_entry), ("ulp_of_leaf", of_leaf))}


def text(rows: dict[str, Any]) -> str:
    """The table for a terminal: the last cost, and the largest difference in both precisions, in ulp of leaf and entry."""
    dtypes = list(next(iter(rows.values())))
    lines = [f"{'':<22}{'':>10}" + "".join(f"{dtype + ': ulp of':>18}{'':>8}" for dtype in dtypes),
             f"{'optimiser':<22}{'last cost':>10}" + len(dtypes) * f"{'its leaf':>14}{'itself':>12}"]
    for name, row in rows.items():
        worst = "".join(f"{row[dtype]['ulp_of_leaf'].max():>14.3g}{row[dtype]['ulp'].max():>12.2g}" for dtype in dtypes)
        lines.append(f"{name:<22}{row['float64']['ours'][-1]:>10.4f}{worst}")
    return "\n".join(line.rstrip() for line in lines)


def grid(rows: dict[str, Any], height: float) -> tuple[Figure, list]:
    """A panel an optimiser, four a line, all with the same axes."""
    lines = -(-len(rows) // 4)
    figure = blank(11, height * lines)
    panels = figure.subplots(lines, 4, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, name in zip(panels, rows, strict=False):
        axes.set_title(f"{name} (γ = {TWINS[name].rate:g})", fontsize=9)
        restrain(axes)
    for axes in panels[len(rows):]:
        axes.remove()
    figure.supxlabel("step", fontsize=10)
    return figure, list(panels[:len(rows)])


def costs_picture(rows: dict[str, Any]) -> Figure:
    """The cost of each mini-batch in float64: ours as a line, optax's as dots on it."""
    figure, panels = grid(rows, 2.0)
    for axes, row in zip(panels, rows.values(), strict=True):
        ours, theirs = row["float64"]["ours"], row["float64"]["optax"]
        steps = np.arange(1, len(ours) + 1)
        line, = axes.plot(steps, ours, color=COLOURS[0], linewidth=1.6)
        every = max(1, len(ours) // 15)
        dots, = axes.plot(steps[::every], theirs[::every], "o", color=COLOURS[1], markersize=4, markeredgecolor=INK,
                          markeredgewidth=0.4)
        axes.set_yscale("log")
    plain_log(panels[0].yaxis)  # which all of them share
    figure.supylabel("cost of the mini-batch (log scale)", fontsize=10)
    figure.legend([line, dots], ["ours", "optax"], loc="outside upper center", ncols=2, frameon=False, fontsize=10)
    return figure


def differences_picture(rows: dict[str, Any]) -> Figure:
    """The largest difference of a parameter after each step: 0, or powers of ten from 1 on."""
    figure, panels = grid(rows, 2.0)
    drawn = {}
    for axes, row in zip(panels, rows.values(), strict=True):
        for dtype, colour in zip(row, COLOURS, strict=False):
            steps = np.arange(1, len(row[dtype]["ulp"]) + 1)
            for key, words, style in (("ulp_of_leaf", "the leaf's largest parameter", {"linewidth": 2.2}),
                                      ("ulp", "the parameter itself", {"linewidth": 0.9, "linestyle": (0, (3, 1.5))})):
                drawn[f"{dtype}, ulp of {words}"], = axes.plot(steps, row[dtype][key], color=colour, **style)
        axes.set_yscale("symlog", linthresh=1)
        if not any(found["ulp"].any() for found in row.values()):
            axes.text(0.5, 0.5, "equal to the bit", ha="center", transform=axes.transAxes, fontsize=9, color=INK)
    panels[0].set_ylim(bottom=0)
    panels[0].set_yticks([0, 1, 1e2, 1e4, 1e6, 1e8])
    figure.supylabel("largest difference (units in the last place)", fontsize=10)
    figure.legend(drawn.values(), drawn, loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
