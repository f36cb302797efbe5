"""What do the comforts of training cost? Looks at the layers, checkpoints and `fit` itself, against bare compiled epochs.

The same run of 784-512-512-10 (batches of 128, SGD with momentum) is trained again and again, in turn with and without a
comfort, A B B A …; a ratio is the median over the turns. All must reach the same parameters to the bit (the work check).

Command: python -m experiments.overhead

Expect: a checkpoint every 100 steps below 3%, looks below 5%, and `fit` within 3% of epochs that nobody looks at.

Cost: about four minutes on two cores.
"""

import functools
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import functional_nn as fnn
from experiments.common import command_line, run_directory, versions, write_json
from functional_nn.checkpoint import Checkpoints
from functional_nn.training import epoch_function

LOSS = "cross_entropy"


@dataclass(frozen=True)
class Config:
    """What is timed."""

    sizes: tuple[int, ...] = (784, 512, 512, 10)
    """of the network"""
    batch_size: int = 128
    """examples a step"""
    steps: int = 100
    """of an epoch, at whose end the checkpoint is written"""
    epochs: int = 6
    """of one turn"""
    turns: int = 15
    """how often every comfort takes its turn"""
    out: str | None = None
    """folder for overhead.json, which must be new or empty; nothing is written if not given"""


def main(config: Config) -> dict[str, Any]:
    """Print the table; returns it."""
    for name in ("batch_size", "steps", "epochs", "turns"):
        fnn.checks.integer(name, getattr(config, name))
    ways = runs(config)
    found = {"rows": [], "versions": versions()}
    print(f"{'comfort':<28} {'with':>8} {'without':>8} {'ratio':>7}   half within")
    for name, against in (("fit", "bare epochs"), ("checkpoint every 100 steps", "fit"), ("looks at the layers", "fit"),
                          ("all of it, validation too", "fit")):
        row = {"name": name, "against": against, **race(ways[name], ways[against], config)}
        found["rows"].append(row)
        print(f"{name:<28} {row['with']:>6.2f} s {row['without']:>6.2f} s {row['ratio']:>7.3f}   "
              f"{row['quartiles'][0]:.3f} to {row['quartiles'][1]:.3f}", flush=True)
    if config.out is not None:
        with run_directory("overhead", config.out) as directory:
            write_json(directory / "overhead.json", found)
    return found


def runs(config: Config) -> dict[str, Callable[[], Any]]:
    """Name -> a function that trains and returns the parameters."""
    net = fnn.mlp(config.sizes, hidden="relu", output="softmax")
    optimizer, key = fnn.optimizers.sgd(0.05, momentum=0.9), jax.random.key(0)
    n = config.steps * config.batch_size
    X = jax.random.normal(jax.random.key(1), (n, config.sizes[0]))
    Y = jnp.argmax(X[:, :config.sizes[-1]], axis=1)
    options = {"key": key, "epochs": config.epochs, "batch_size": config.batch_size, "progress": False}
    epoch = jax.jit(epoch_function(net, fnn.backprop.value_and_grad(net, LOSS), optimizer, n, config.batch_size))

    def bare():
        init_key, run_key, _ = jax.random.split(key, 3)
        params = net.init(init_key)
        state = optimizer.init(params)
        for number in range(1, config.epochs + 1):
            params, state, _ = epoch(params, state, jax.random.fold_in(run_key, number), X, Y)
        return jax.block_until_ready(params)

    def fit(**comforts):
        return jax.block_until_ready(fnn.fit(net, LOSS, optimizer, (X, Y), **options, **comforts).params)

    def checkpointed(**comforts):
        with tempfile.TemporaryDirectory() as folder, Checkpoints(folder, run={}) as checkpoints:
            return fit(checkpoints=checkpoints, every=config.steps, **comforts)

    return {"bare epochs": bare, "fit": fit, "checkpoint every 100 steps": checkpointed,
            "looks at the layers": functools.partial(fit, monitor=True),
            "all of it, validation too": functools.partial(checkpointed, monitor=True, validation=(X[:500], Y[:500]))}


def race(way, other, config: Config) -> dict[str, Any]:
    """Both in turn: the median of each in seconds, and the median ratio of the turns."""
    jax.tree.map(np.testing.assert_array_equal, way(), other())  # the same work, to the bit
    turns = np.empty((config.turns, 2))
    for turn in range(config.turns):
        for i in (0, 1) if turn % 2 else (1, 0):
            start = time.perf_counter()
            (way, other)[i]()
            turns[turn, i] = time.perf_counter() - start
    ratios = turns[:, 0] / turns[:, 1]
    return {"with": np.median(turns[:, 0]), "without": np.median(turns[:, 1]), "ratio": np.median(ratios),
            "quartiles": np.quantile(ratios, (0.25, 0.75))}


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
