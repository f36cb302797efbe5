"""How does a network compute, number by number? (N5, N8, N9, N12)

Runs the notes' two worked examples, and the forward pass of 2-3-4-1 layer by layer, zˡ = Wˡaˡ⁻¹ + bˡ
and aˡ = σ(zˡ), once neuron by neuron in Python, once with matrices and once for a whole batch by
`vmap`. Then it compares the two readings of the cost, the sum of the losses and their mean.

Command: python -m experiments.forward

Expect: the outputs of the worked examples are 12 (one set of the notes prints 15, a slip) and 163.
The three ways of computing 2-3-4-1 agree to the last digits. The sum over n examples, with its
gradient, is n times the mean, so descent by the sum takes the same steps at a rate n times smaller.

Cost: seconds. Chance plays no part: every way computes the same.
"""

import sys
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import functional_nn as fnn
from experiments.common import Picture, command_line, publish, settled
from functional_nn.plots import draw_network, panels
from functional_nn.report import Table

W1 = np.array([[4.0, 3, 1, 1], [1, 4, 4, 3], [3, 4, 3, 2]])  # N9: column j feeds hidden neuron j


@dataclass(frozen=True)
class Config:
    """What is computed."""

    examples: int = 20
    """examples of the batch, which cost and sum are taken over"""
    seed: int = 0
    """of the weights of 2-3-4-1, and of the batch"""
    quick: bool = False
    """the same; this experiment takes seconds"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/forward/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config)
    found = measure(config)
    finding = (
        f"The worked examples give {found['n9a']:g} and {found['n9b']:g}. Neuron by neuron, with "
        f"matrices and for a batch, 2-3-4-1 gives the same output (they differ by "
        f"{found['ways_differ']:.1g}), and the summed cost is {found['sum_over_mean']:g} times the "
        f"mean of {config.examples} losses.")
    rows = [(f"layer {l}", str(np.shape(layer["w"])), rounded(layer["z"]), rounded(layer["a"]))
            for l, layer in enumerate(found["layers"], start=2)]
    table = Table(("layer", "shape of W", "z = W a + b", "a = σ(z)"), rows,
                  caption=f"2-3-4-1 on x = {rounded(found['x'])}, layer by layer")
    return publish(config, finding, found, [Picture(
        "forward", "Two networks, with the number that each neuron hands on", draw(found),
        "Circles hold the values that neurons hand on; a wide line is a large weight, blue "
        "positive, orange and dashed negative. Left: the notes' example N9 (b). Right: 2-3-4-1.")],
        [table])


def measure(config: Config) -> dict[str, Any]:
    """The worked examples, 2-3-4-1 in three ways, and the two costs."""
    with jax.enable_x64(True):
        one = ({"w": jnp.array([[3.0, 4.0]]), "b": jnp.array([1.0])},)
        two = ({"w": jnp.array(W1.T), "b": jnp.zeros(4)},
               {"w": jnp.array([[4.0, 2.0, 1.0, 3.0]]), "b": jnp.zeros(1)})
        n9a = fnn.mlp((2, 1)).apply(one, jnp.array([1.0, 2.0]))
        n9b = fnn.mlp((3, 4, 1), hidden="relu").apply(two, jnp.array([1.0, 2.0, 3.0]))
        net = fnn.mlp((2, 3, 4, 1), hidden="sigmoid", init="nielsen")
        keys = jax.random.split(jax.random.key(config.seed))
        params = net.init(keys[0], jnp.float64)
        X = jax.random.normal(keys[1], (config.examples, 2), jnp.float64)
        batch = jax.vmap(net.apply, in_axes=(None, 0))(params, X)
        layers = with_matrices(params, np.asarray(X[0]))
        by_neuron = neuron_by_neuron(params, np.asarray(X[0]))
        Y = jnp.sin(X[:, :1])
        (mean, mean_gradient), (total, sum_gradient) = (
            fnn.backprop.value_and_grad(net, "quadratic", reduction)(params, X, Y)
            for reduction in ("mean", "sum"))
    ratios = jax.tree.map(lambda s, m: np.asarray(s) / np.asarray(m), sum_gradient, mean_gradient)
    ends = np.array([batch[0, 0], by_neuron[0], layers[-1]["a"][0]])
    return {"n9a": float(n9a[0]), "n9b": float(n9b[0]), "n9b_hidden": W1.T @ [1.0, 2, 3],
            "x": np.asarray(X[0]), "layers": layers, "ways_differ": float(np.ptp(ends)),
            "sum_over_mean": round(float(total / mean), 9),
            "gradient_ratios": [float(np.ravel(r).max()) for r in jax.tree.leaves(ratios)]}


def with_matrices(params, a: np.ndarray) -> list[dict[str, np.ndarray]]:
    """W, z and a of every layer: zˡ = Wˡaˡ⁻¹ + bˡ, aˡ = σ(zˡ), and aᴸ = zᴸ."""
    layers = []
    for l, layer in enumerate(params):
        z = np.asarray(layer["w"]) @ a + np.asarray(layer["b"])
        a = z if l == len(params) - 1 else 1 / (1 + np.exp(-z))
        layers.append({"w": np.asarray(layer["w"]), "z": z, "a": a})
    return layers


def neuron_by_neuron(params, a) -> list[float]:
    """The output with plain loops: wⱼₖ leads from neuron k of the layer before to neuron j."""
    for l, layer in enumerate(params):
        z = [sum(float(layer["w"][j, k]) * a[k] for k in range(len(a))) + float(layer["b"][j])
             for j in range(len(layer["b"]))]
        a = z if l == len(params) - 1 else [1 / (1 + np.exp(-float(each))) for each in z]
    return a


def rounded(values) -> str:
    """Numbers of a vector as text."""
    return "(" + ", ".join(f"{value:.3g}" for value in np.ravel(values)) + ")"


def draw(found: dict[str, Any]):
    """The diagrams of N9 (b) and of 2-3-4-1."""
    figure, (left, right) = panels(2, width=4.6, height=3.8)
    draw_network(left, (3, 4, 1), weights=[W1.T, [[4, 2, 1, 3]]],
                 values=[[1, 2, 3], found["n9b_hidden"], [found["n9b"]]],
                 names=("x", "W₁x", "w₂ᵀh"))
    left.set_title(f"Example N9 (b): ŷ = {found['n9b']:g}", fontsize=10)
    draw_network(right, (2, 3, 4, 1), weights=[layer["w"] for layer in found["layers"]],
                 values=[np.round(a, 2) for a in (found["x"], *(
                     layer["a"] for layer in found["layers"]))],
                 names=("a¹ = x", "a²", "a³", "a⁴ = ŷ"))
    right.set_title("2-3-4-1 with sigmoid hidden layers", fontsize=10)
    for axes in (left, right):
        axes.set_anchor("N")  # the titles stand at one height
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
