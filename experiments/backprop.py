"""Are the four equations of backpropagation right, and how would one know? (N13–N15)

Writes BP1 to BP4 out in NumPy for the notes' 2-3-4-1, and compares them with the library's
hand-written gradients, with `jax.grad`, and with central differences of many step sizes, at many
random parameters and examples. Also: the local derivatives of one neuron, and linear regression.

Command: python -m experiments.backprop

Expect: written out = by hand = automatic to the last digits of float64. Central differences are
best at a step of about 1e-5, where they agree to nine digits or so: too large a step bends, too
small a step rounds.

Cost: seconds. Chance draws the parameters and examples, 20 times.
"""

import sys
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import functional_nn as fnn
from experiments.common import Picture, command_line, publish, settled
from experiments.seeds import interval
from functional_nn import plots
from functional_nn.report import Table

SIZES, LOSS = (2, 3, 4, 1), "quadratic"


@dataclass(frozen=True)
class Config:
    """What is compared."""

    seeds: int = 20
    """random parameters and examples"""
    seed: int = 0
    """of the first ones"""
    quick: bool = False
    """ten seeds"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/backprop/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config, seeds=10)
    found = measure(config)
    best = int(np.argmin(found["differences"].mean))
    finding = (
        f"The four equations written out, the library's and jax.grad agree to "
        f"{max(found['written_out'].max(), found['automatic'].max()):.1g}; central differences at "
        f"best to {found['differences'].mean[best]:.1g}, at a step of {found['steps'][best]:.0e}.")
    neuron, line = found["neuron"], found["line"]
    table = Table(("derivative", "by the notes' formula", "by the library"), [
        ("∂L/∂w = (a − y) x", str(neuron["formula"][:2]), str(neuron["library"][:2])),
        ("∂L/∂b = a − y", neuron["formula"][2], neuron["library"][2]),
        ("∂C/∂w₁ = 2 Σ x₁ (…)", line["formula"][0], line["library"][0]),
        ("∂C/∂w₂ = 2 Σ x₂ (…)", line["formula"][1], line["library"][1]),
        ("∂C/∂b = 2 Σ (…)", line["formula"][2], line["library"][2])],
        caption="One neuron (N13) and linear regression (N15)")
    return publish(config, finding, found, [Picture(
        "backprop", "Three ways of knowing a derivative", draw(found),
        "Relative error of the whole gradient, against the library's by hand. Left: central "
        "differences by their step, mean over the seeds with 95 % intervals. Right: the four "
        "equations written out, and jax.grad; a dot is a seed.")], [table])


def written_out(params, x, y):
    """The gradient of 2-3-4-1 by the four equations, with L = ½ (a − y)² (N14)."""
    W, b = ([np.asarray(layer[leaf]) for layer in params] for leaf in ("w", "b"))
    a, z = [x], []
    for l in range(len(W)):
        z.append(W[l] @ a[l] + b[l])
        a.append(sigmoid(z[l]))
    delta = (a[-1] - y) * slope(z[-1])                                  # BP1
    gradient = [{"w": np.outer(delta, a[-2]), "b": delta}]              # BP4, BP3
    for l in reversed(range(len(W) - 1)):
        delta = (W[l + 1].T @ delta) * slope(z[l])                      # BP2
        gradient.insert(0, {"w": np.outer(delta, a[l]), "b": delta})    # BP4, BP3
    return tuple(gradient)


def sigmoid(z):
    """σ(z)."""
    return 1 / (1 + np.exp(-z))


def slope(z):
    """σ′(z) = σ (1 − σ)."""
    return sigmoid(z) * (1 - sigmoid(z))


def measure(config: Config) -> dict[str, Any]:
    """The relative differences of the ways, and the notes' formulas beside the library's numbers."""
    with jax.enable_x64(True):
        net = fnn.mlp(SIZES, hidden="sigmoid", output="sigmoid", init="nielsen_large")
        by_hand = jax.jit(fnn.backprop.value_and_grad(net, LOSS))
        automatic = jax.jit(fnn.autodiff.value_and_grad(net, LOSS))
        steps = 10.0 ** np.arange(-11, 0)
        differences = jax.jit(jax.vmap(central, in_axes=(None, None, None, 0)), static_argnums=0)
        rows = {"written_out": [], "automatic": [], "differences": []}
        for key in jax.random.split(jax.random.key(config.seed), config.seeds):
            keys = jax.random.split(key, 3)
            params = net.init(keys[0], jnp.float64)
            x, y = jax.random.normal(keys[1], (2,)), jax.random.uniform(keys[2], (1,))
            right = flat(by_hand(params, x[None], y[None])[1])
            others = {"written_out": flat(written_out(params, np.asarray(x), np.asarray(y))),
                      "automatic": flat(automatic(params, x[None], y[None])[1]),
                      "differences": np.asarray(differences(
                          fnn.cost(net, LOSS), params, (x[None], y[None]), jnp.asarray(steps)))}
            for name, other in others.items():
                rows[name].append(np.linalg.norm(other - right, axis=-1) / np.linalg.norm(right))
        return {"steps": steps, "written_out": np.array(rows["written_out"]),
                "automatic": np.array(rows["automatic"]),
                "differences": interval(np.array(rows["differences"]), log=True),
                "neuron": one_neuron(), "line": regression()}


def central(cost, params, batch, h):
    """Central differences (C(w + h) − C(w − h)) / 2h of the cost in every parameter."""
    values, again = jax.flatten_util.ravel_pytree(params)
    each = jnp.eye(values.size) * h
    return jax.vmap(lambda e: (cost(again(values + e), *batch) - cost(again(values - e), *batch))
                    / (2 * h))(each)


def flat(gradient) -> np.ndarray:
    """All entries of a gradient as one vector, in the order of `ravel_pytree`."""
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(gradient)])


def one_neuron() -> dict[str, Any]:
    """N13 with x = (1, 2), w = (3, 4), b = 1 and y = 10: ∂L/∂w and ∂L/∂b."""
    x, w, b, y = np.array([1.0, 2.0]), np.array([3.0, 4.0]), 1.0, 10.0
    a = w @ x + b
    params = ({"w": jnp.array(w[None]), "b": jnp.array([b])},)
    _, [g] = fnn.backprop.value_and_grad(fnn.mlp((2, 1)), LOSS)(params, x[None], np.array([y]))
    return {"formula": [*((a - y) * x).tolist(), float(a - y)],
            "library": [*np.ravel(g["w"]).tolist(), float(g["b"][0])]}


def regression() -> dict[str, Any]:
    """N15 on three rows: the three derivatives of C(w₁, w₂, b) = Σ (w₁x₁ + w₂x₂ + b − y)²."""
    X, y = np.array([[1.0, 2.0], [-0.5, 3.0], [4.0, 0.25]]), np.array([1.0, -2.0, 0.5])
    w, b = np.array([0.5, -1.5]), 0.75
    error = X @ w + b - y
    params = ({"w": jnp.array(w[None]), "b": jnp.array([b])},)
    of_sum = fnn.backprop.value_and_grad(fnn.mlp((2, 1)), "squared_error", "sum")
    _, [g] = of_sum(params, X, y)
    return {"formula": [*(2 * X.T @ error).tolist(), float(2 * error.sum())],
            "library": [*np.ravel(g["w"]).tolist(), float(g["b"][0])]}


def draw(found: dict[str, Any]):
    """The error of differences by their step, and that of the exact ways."""
    figure, (left, right) = plots.panels(2, width=4.4, height=3.4)
    plots.draw_bands(left, found["steps"], {"central differences": found["differences"]},
                     marked=True, legend=False)
    left.set(xscale="log", yscale="log", xlabel="step h of the differences",
             ylabel="relative error of the gradient")
    left.set_title("Central differences are best in between", fontsize=10)
    ways = {"four equations, written out": "written_out", "jax.grad": "automatic"}
    groups = {}
    for label, name in ways.items():
        errors = np.maximum(found[name], np.finfo(float).eps / 4)  # 0 has no place on a log axis
        groups[label] = errors, interval(errors, log=True)
    plots.draw_groups(right, groups)
    right.set(xscale="log", xlim=(1e-17, 1e-14), xlabel="relative error of the gradient")
    right.axvline(np.finfo(float).eps, color="#444444", linewidth=1, linestyle=":")
    right.annotate("float64's ε", (np.finfo(float).eps, 0.5), xytext=(3, 0), fontsize=8,
                   textcoords="offset points")
    right.set_title("Exact ways differ in the last digit", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
