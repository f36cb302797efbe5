"""Does writing the backward pass by hand cost time? Hand-written against automatic gradients, and what factors save.

Both differentiate the same compiled objective (softmax + cross-entropy) and are timed in turn, A B B A …, so that a slow moment
of the machine meets both; the ratio is the median over the turns. Before timing, both results are compared (the work check).
The second table is about the norm of each example's gradient: from factors by hand, and through jax.grad.

Command: python -m experiments.speed

Expect: by hand at most 1.05 times the time of jax.value_and_grad; norms in a few percent of the gradients' memory.

Cost: about a minute on two cores.
"""

import sys
import time
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import functional_nn as fnn
from experiments.common import command_line, run_directory, versions, write_json

LOSS = "cross_entropy"


@dataclass(frozen=True)
class Config:
    """What is timed."""

    hidden: str = "sigmoid"
    """activation of the hidden layers"""
    turns: int = 41
    """how often the two take turns"""
    seconds: float = 0.1
    """how long one turn of one of them lasts, about"""
    out: str | None = None
    """folder for speed.json, which must be new or empty; nothing is written if not given"""


CASES = (((784, 30, 10), 10), ((784, 128, 10), 128), ((784, 512, 512, 10), 128))


def main(config: Config) -> dict[str, Any]:
    """Print both tables; returns them."""
    fnn.checks.integer("turns", config.turns)
    fnn.checks.number("seconds", config.seconds, low=1e-4, high=60, wanted="a number of seconds from 0.0001 to 60")
    found = {"gradients": [], "norms": [], "versions": versions()}
    print(f"{'network':<18} {'batch':>5} {'by hand':>10} {'jax.grad':>10} {'ratio':>7}   half within")
    for sizes, batch in CASES:
        row = gradients(sizes, batch, config)
        found["gradients"].append(row)
        print(f"{'-'.join(map(str, sizes)):<18} {batch:>5} {row['by_hand'] * 1e6:>7.0f} us {row['automatic'] * 1e6:>7.0f} us "
              f"{row['ratio']:>7.3f}   {row['quartiles'][0]:.2f} to {row['quartiles'][1]:.2f}", flush=True)
    print(f"\n{'network':<18} {'batch':>5} {'norms':>10} {'jax.grad':>10} {'ratio':>7}   memory, gradients'")
    for sizes, batch in CASES:
        row = norms(sizes, batch, config)
        found["norms"].append(row)
        print(f"{'-'.join(map(str, sizes)):<18} {batch:>5} {row['by_hand'] * 1e6:>7.0f} us {row['automatic'] * 1e6:>7.0f} us "
              f"{row['ratio']:>7.3f}   {row['norms_bytes'] / 2**20:.2f}, {row['gradients_bytes'] / 2**20:.1f} MiB", flush=True)
    if config.out is not None:
        with run_directory("speed", config.out) as directory:
            write_json(directory / "speed.json", found)
    return found


def race(ways, inputs, config: Config) -> dict[str, Any]:
    """Two compiled functions in turn: the median of each in seconds, and the median ratio of the turns."""
    with jax.default_matmul_precision("highest"):  # a GPU multiplies in TF32 otherwise, which differs by 1e-3
        same_work(*(jax.jit(way)(*inputs) for way in ways))
    turns = in_turn([jax.jit(way) for way in ways], inputs, config.turns, config.seconds)
    ratios = turns[:, 0] / turns[:, 1]
    by_hand, automatic = np.median(turns, axis=0)
    return {"by_hand": by_hand, "automatic": automatic, "ratio": np.median(ratios),
            "quartiles": np.quantile(ratios, (0.25, 0.75))}


def in_turn(ways, inputs, turns: int, seconds: float) -> np.ndarray:
    """The seconds of a call of two compiled functions, (turns, 2), in turn: A B B A …; a turn takes about `seconds`."""
    jax.block_until_ready([way(*inputs) for way in ways])
    repeat = max(1, round(seconds / timed(ways[1], inputs, 3)))
    found = np.empty((turns, 2))
    for turn in range(turns):
        for i in (0, 1) if turn % 2 else (1, 0):
            found[turn, i] = timed(ways[i], inputs, repeat)
    return found


def gradients(sizes, batch: int, config: Config) -> dict[str, Any]:
    """The cost and its gradient, both ways."""
    net, inputs = problem(sizes, batch, config.hidden)
    ways = [module.value_and_grad(net, LOSS) for module in (fnn.backprop, fnn.autodiff)]
    return {"sizes": sizes, "batch": batch, **race(ways, inputs, config)}


def norms(sizes, batch: int, config: Config) -> dict[str, Any]:
    """The norm of each example's gradient, both ways, and the memory of the norms and of the gradients themselves."""
    net, inputs = problem(sizes, batch, config.hidden)
    row = race([module.per_example_norms(net, LOSS) for module in (fnn.backprop, fnn.autodiff)], inputs, config)
    return {"sizes": sizes, "batch": batch, **row, "norms_bytes": memory(fnn.backprop.per_example_norms(net, LOSS), inputs),
            "gradients_bytes": memory(fnn.backprop.per_example_gradients(net, LOSS), inputs)}


def memory(function, inputs) -> int:
    """Bytes that the compiled function needs for what it makes: temporary arrays and results."""
    analysis = jax.jit(function).lower(*inputs).compile().memory_analysis()
    return analysis.temp_size_in_bytes + analysis.output_size_in_bytes


def timed(way, inputs, repeat: int) -> float:
    """Seconds a call."""
    start = time.perf_counter()
    for _ in range(repeat):
        result = way(*inputs)
    jax.block_until_ready(result)
    return (time.perf_counter() - start) / repeat


def same_work(one, other) -> None:
    """Refuse to time two programs that do not give the same result."""
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


def problem(sizes, batch: int, hidden: str):
    """A network, and (params, X, Y) for it."""
    net = fnn.mlp(sizes, hidden=hidden, output="softmax")
    keys = jax.random.split(jax.random.key(0), 3)
    return net, (net.init(keys[0]), jax.random.normal(keys[1], (batch, sizes[0])),
                 jax.random.randint(keys[2], (batch,), 0, sizes[-1]))


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
