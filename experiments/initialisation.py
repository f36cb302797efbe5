"""How large should the first weights be? (N16)

Draws the first weights of 64-64-64-64-10 with five of the library's initialisers, looks at the size
of the activations layer by layer, and trains each on the handwritten digits, all seeds together.
With zeros every unit of a layer is the same unit, for ever.

Command: python -m experiments.initialisation

Expect: with zeros only the last bias learns, so the cost stays at ln 10, that of a guess. N(0, 1)
saturates tanh and starts at a cost several times as high. Glorot's, LeCun's and the orthogonal
weights keep the activations between 0 and saturation, and learn fastest.

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
from experiments.seeds import compiled, interval, whole_run
from functional_nn import layers, plots
from functional_nn.report import Table

WAYS = ("zeros", "nielsen_large", "glorot_uniform", "lecun_normal", "orthogonal")


@dataclass(frozen=True)
class Config:
    """What is trained."""

    hidden: int = 64
    """units of each of the three hidden layers"""
    epochs: int = 20
    """of each training, in batches of 32"""
    learning_rate: float = 0.05
    """of plain gradient descent"""
    seeds: int = 10
    """first weights and orders of the images"""
    seed: int = 0
    """of the first one, and of the split"""
    quick: bool = False
    """fewer epochs"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/initialisation/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config, epochs=6)
    found = measure(config)["ways"]
    last = {name: row["cost"].mean[-1] for name, row in found.items()}
    best = min(last, key=last.__getitem__)
    finding = (
        f"After {config.epochs} epochs: with zeros the cost is {last['zeros']:.2f}, that of a guess "
        f"(ln 10 = 2.30); from N(0, 1), which saturates "
        f"{found['nielsen_large']['saturated'].mean[2]:.0%} of tanh, {last['nielsen_large']:.2f}; "
        f"from {best} weights {last[best]:.3f}.")
    table = Table(("initialiser", "size of a in layer 3 at the start", "first cost", "last cost",
                   "test accuracy"), [
        (name, row["size"].mean[-1], row["first_cost"].mean, row["cost"].mean[-1],
         f"{row['accuracy'].mean[-1]:.1%}") for name, row in found.items()],
        caption="Five initialisers")
    return publish(config, finding, {"ways": found}, [Picture(
        "initialisation", "The first weights decide what can be learnt", draw(found),
        "Left: root mean square of the activations before training, by layer. Middle and right: "
        "cost and test accuracy by epoch. Means over the seeds with 95 % intervals.")], [table])


def measure(config: Config) -> dict[str, Any]:
    """For every initialiser the sizes of the activations at the start, and the learning curves."""
    digits = fnn.data.standardize(fnn.data.load("digits", seed=config.seed))
    nets = {name: fnn.mlp((64, *3 * (config.hidden,), 10), "tanh", "softmax", name)
            for name in WAYS}
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    first = jax.tree.map(lambda *leaves: jnp.stack(leaves),  # of all ways, which train together
                         *(compiled(jax.vmap(net.init))(keys) for net in nets.values()))
    run = whole_run(nets[WAYS[0]], "cross_entropy", fnn.optimizers.sgd(config.learning_rate),
                    epochs=config.epochs, batch_size=32)
    of_keys = jax.vmap(run, in_axes=(0, None, None, None, 0))
    _, history = compiled(jax.vmap(of_keys, in_axes=(None, None, None, None, 0)))(
        keys, digits.x_train, digits.y_train, (digits.x_test, digits.y_test), first)
    every = start(nets[WAYS[0]], first, digits.x_train, digits.y_train) | {
        "cost": history["cost"], "accuracy": history["judged_accuracy"]}
    return {"ways": {way: {name: interval(values[i]) for name, values in every.items()}
                     for i, way in enumerate(WAYS)}}


def start(net, first, X, Y) -> dict[str, Any]:
    """Before training: the activations' root mean square and saturated share by layer, the cost.

    Each is an array (ways, seeds, …).
    """
    cost = fnn.cost(net, "cross_entropy")

    def look(params, X, Y):
        _, tape = jax.vmap(lambda x: layers.forward(net.layers, params, x))(X)
        a = [jnp.tanh(step.z) for step in tape[:-1]]
        return {"size": jnp.stack([jnp.sqrt(jnp.mean(jnp.square(a))) for a in a]),
                "saturated": jnp.stack([jnp.mean((jnp.abs(a) > 0.99).astype(a.dtype)) for a in a]),
                "first_cost": cost(params, X, Y)}

    of_keys = jax.vmap(look, in_axes=(0, None, None))
    return compiled(jax.vmap(of_keys, in_axes=(0, None, None)))(first, X, Y)


def draw(found: dict[str, Any]):
    """Sizes by layer, costs and accuracies by epoch."""
    figure, (left, middle, right) = plots.panels(3)
    plots.draw_bands(left, [1, 2, 3], {name: row["size"] for name, row in found.items()},
                     marked=True, legend=False)
    left.set_xticks([1, 2, 3])
    left.set(xlabel="hidden layer", ylabel="root mean square of a")
    left.set_title("Before training: 0, too large, and right", fontsize=10)
    epochs = np.arange(1, len(found["zeros"]["cost"].mean) + 1)
    plots.draw_bands(middle, epochs, {name: row["cost"] for name, row in found.items()},
                     legend=False)
    middle.set(xlabel="epoch", ylabel="cost (log scale)", yscale="log")
    plots.canvas.plain_log(middle.yaxis)
    middle.set_title("Zeros stay at ln 10 = 2.3", fontsize=10)
    plots.draw_bands(right, epochs, {
        name: row["accuracy"].times(100) for name, row in found.items()}, legend=False)
    right.set(xlabel="epoch", ylabel="test accuracy (%)", ylim=(0, 102))
    right.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.12))
    right.set_title("Weights of the right size learn fastest", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
