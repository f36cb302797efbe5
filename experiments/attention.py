"""Can one attention layer, trained by our backward pass alone, turn a sequence round?

Trains three networks to copy sequences of random tokens backwards, all seeds at once: tokens and
positions become vectors, one attention layer mixes the places, and one dense layer, the same at
each place, reads the tokens. The second network has a causal mask, and the third no attention. All
are tested on sequences that they have not seen.

Command: python -m experiments.attention

Expect: with attention at least 99 % of the tokens are right, and each place attends to its mirror
image alone. A causal mask hides the mirror image of the first half of the places, so there nothing
beats chance, and about (1 + 1/8) / 2 = 56 % of the tokens are right. Without attention each place
sees its own token alone: chance, 1/8. The hand-written gradient is that of `jax.grad` to 1e-12.

Cost: a minute on one core.
"""

import sys
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import functional_nn as fnn
from experiments.common import Picture, command_line, publish, settled
from experiments.seeds import Interval, interval, outputs, over_seeds, whole_run
from functional_nn import layers
from functional_nn.layers import attention, convolution, embedding, flatten, positions
from functional_nn.plots import draw_bands, panels

LOSS = "quadratic"
NETWORKS = {"attention": [False], "causal attention": [True], "no attention": []}
"""Name -> for each attention layer, whether it is causal."""


@dataclass(frozen=True)
class Config:
    """What is copied, and how the networks are trained."""

    length: int = 8
    """tokens of a sequence"""
    tokens: int = 8
    """different tokens"""
    width: int = 32
    """of the vectors"""
    rows: int = 1000
    """sequences to learn from, and a quarter as many to be tested on"""
    epochs: int = 30
    """over the sequences"""
    batch_size: int = 50
    """sequences a step"""
    learning_rate: float = 3e-3
    """of Adam"""
    seeds: int = 10
    """first weights"""
    seed: int = 0
    """of the first ones, and of the sequences"""
    quick: bool = False
    """half of the epochs"""
    out: str | None = None
    """folder to write to, which must be new or empty; runs/attention/<time> if not given"""


def main(config: Config) -> dict[str, Any]:
    """Run the experiment; returns what `results.json` holds."""
    config = settled(config, epochs=15)
    found = measure(config)
    right = {name: row["right"].mean for name, row in found["networks"].items()}
    finding = (
        f"One attention layer copies sequences of {config.length} tokens backwards: "
        f"{right['attention']:.1%} of the tokens are right, and a place gives "
        f"{found['networks']['attention']['mirrored'].mean:.0%} of its attention to its mirror "
        f"image. With a causal mask {right['causal attention']:.0%} are right, as the first half "
        f"cannot see theirs, and without attention {right['no attention']:.0%}, which is chance.")
    return publish(config, finding, found, [Picture(
        "attention", "What each place attends to", draw(found, config),
        "Left: the share of its attention that each place gives to each other, a mean over all "
        "seeds and test sequences; each row adds up to 1. Middle: the same with a causal mask. "
        "Right: the share of the tokens that are right by place, with 95 % intervals over the "
        "seeds; the dashed line is chance.")])


def measure(config: Config) -> dict[str, Any]:
    """The three networks, trained for all seeds: what is right, and what is attended to."""
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    X, test = np.split(sequences(config), [config.rows])
    Y = np.eye(config.tokens, dtype=np.float32)[mirrored(X)].reshape(config.rows, -1)
    found = {}
    for name, masks in NETWORKS.items():
        net = network(config, masks)
        adam = fnn.optimizers.adam(config.learning_rate)
        run = whole_run(net, LOSS, adam, epochs=config.epochs, batch_size=config.batch_size)
        params, history = over_seeds(run, keys, X, Y)
        read = np.asarray(outputs(net, params, test)).reshape(
            config.seeds, -1, config.length, config.tokens).argmax(axis=-1)
        right = (read == mirrored(test)).mean(axis=1)                                # (seeds, length)
        found[name] = {"right": interval(right.mean(axis=1)), "by_place": interval(right),
                       "cost": interval(history["cost"], log=True)}
        if masks:
            p = attended(net, params, test)                                  # (seeds, time, time)
            mirror = p[:, ::-1].trace(axis1=1, axis2=2) / config.length
            found[name] |= {"pattern": p.mean(axis=0), "mirrored": interval(mirror)}
    return {"networks": found, "gradient_error": gradient_error(config, X[:4], Y[:4])}


def sequences(config: Config) -> np.ndarray:
    """Random sequences (n, length) to learn from, then a quarter as many to be tested on."""
    shape = config.rows + config.rows // 4, config.length
    draw = np.random.default_rng(config.seed)
    return draw.integers(config.tokens, size=shape).astype(np.float32)


def mirrored(X) -> np.ndarray:
    """The tokens that should come out, as integers."""
    return X[:, ::-1].astype(int)


def network(config: Config, masks) -> fnn.Network:
    """The network with an attention layer for each of the masks."""
    return fnn.sequential(
        config.length, embedding(config.tokens, config.width), positions(),
        *(attention(config.width, causal=causal) for causal in masks),
        convolution(config.tokens, 1), flatten())


def attended(net, params, X) -> np.ndarray:
    """How much place t attends to place u, a mean over the sequences X, (seeds, time, time)."""
    def one(params, x):
        _, tape = layers.forward(net.layers, params, x)
        return tape[2].saved.p[0]

    every = jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(0, None))
    return np.asarray(jnp.mean(jax.jit(every)(params, jnp.asarray(X)), axis=1))


def gradient_error(config: Config, X, Y) -> float:
    """The largest relative error of a leaf of the hand-written gradient, in float64."""
    net = network(config, NETWORKS["causal attention"])
    with jax.enable_x64(True):
        params = net.init(jax.random.key(config.seed), "float64")
        ways = [jax.tree.leaves(jax.jit(way.value_and_grad(net, LOSS))(
            params, X.astype(float), Y.astype(float))[1]) for way in (fnn.backprop, fnn.autodiff)]
        return max(float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))
                   for a, b in zip(*ways, strict=True))


def draw(found: dict[str, Any], config: Config):
    """Two patterns of attention, and what is right by place."""
    figure, axes = panels(3, columns=3, width=3.9, height=3.4)
    places = np.arange(1, config.length + 1)
    for panel, name in zip(axes, ("attention", "causal attention"), strict=False):
        image = panel.imshow(found["networks"][name]["pattern"], cmap="Blues", vmin=0, vmax=1,
                             extent=(0.5, config.length + 0.5, config.length + 0.5, 0.5))
        panel.set(xlabel="attends to place", ylabel="place", xticks=places, yticks=places)
        panel.set_title(name.capitalize(), fontsize=10)
        panel.grid(False)
        figure.colorbar(image, ax=panel, label="share of attention", shrink=0.85)
    last = axes[2]
    draw_bands(last, places, {name: tuple(Interval(*row["by_place"]).times(100))
                              for name, row in found["networks"].items()}, marked=True)
    last.axhline(100 / config.tokens, color="#444444", linewidth=1, linestyle="--")
    last.set(xlabel="place", ylabel="tokens that are right (%)", xticks=places, ylim=(0, 104))
    last.set_title(f"Copied backwards, {config.seeds} seeds", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
