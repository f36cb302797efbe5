"""Does a small convolutional network, trained by our backward pass alone, read handwritten digits to 99%?

784 → reshape to 28×28 → convolution of 8 channels, 5×5 → maxima of 2×2 → convolution of 16 channels, 5×5 → maxima of 2×2 →
256 → 10, with relu and softmax, as LeCun et al. (1998) have it in small. Adam, whose rate falls along a cosine. Before
training, the hand-written gradient is compared with `jax.grad` in float64.

Command: python -m experiments.convolution --data-dir DIR     (a folder with MNIST's four files)

Expect: a relative error below 1e-12, and at least 99.0% of the 10,000 test images read. The error may be exactly 0: JAX's
own rules for a convolution are the convolutions that our equations are, so XLA computes the same sums in the same order.

Cost: about five minutes on two idle cores.
"""

import sys
import time
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import functional_nn as fnn
from experiments.common import command_line, run_directory, versions, write_json
from functional_nn.layers import convolution, dense, flatten, max_pool, reshape

LOSS = "cross_entropy"


@dataclass(frozen=True)
class Config:
    """The run."""

    data_dir: str
    """folder with the four files of MNIST"""
    channels: tuple[int, int] = (8, 16)
    """of the two convolutions"""
    epochs: int = 8
    """over the training images"""
    batch_size: int = 64
    """images a step"""
    learning_rate: float = 3e-3
    """of Adam, at the start"""
    images: int = 60_000
    """how many of the training images to use"""
    seed: int = 0
    """of the start and the order"""
    out: str | None = None
    """folder for convolution.json, which must be new or empty; nothing is written if not given"""


def network(channels: tuple[int, int]) -> fnn.Network:
    """The network for images of 28×28 pixels."""
    first, second = channels
    return fnn.sequential(
        784, reshape((28, 28, 1)), convolution(first, 5, "relu", init="he_normal"), max_pool(2),
        convolution(second, 5, "relu", init="he_normal"), max_pool(2), flatten(), dense(10, "softmax"))


def main(config: Config) -> dict[str, Any]:
    """Compare the gradients, train, and print the accuracy on the test images; returns the figures."""
    fnn.checks.integer("images", config.images, high=60_000)
    net, data = network(config.channels), fnn.data.load("mnist", config.data_dir)
    X, Y = data.x_train[:config.images].astype(np.float32), data.y_train[:config.images]
    error = gradient_error(net, X[:4], Y[:4])
    print(f"{net}\ngradient by hand against jax.grad: largest relative error of a leaf {error:.1e} in float64")
    steps = config.epochs * -(-config.images // config.batch_size)
    start = time.monotonic()
    result = fnn.fit(net, LOSS, fnn.optimizers.adam(fnn.schedules.cosine_decay(config.learning_rate, steps)), (X, Y),
                     key=jax.random.key(config.seed), epochs=config.epochs, batch_size=config.batch_size,
                     validation=(data.x_test.astype(np.float32), data.y_test))
    found = {"gradient_error": error, "accuracy": float(result.history["validation_accuracy"][-1]),
             "seconds": time.monotonic() - start, "cost": result.history["cost"], "versions": versions()}
    print(f"test accuracy {found['accuracy']:.2%} after {config.epochs} epochs of {config.images:,} images, "
          f"{found['seconds']:.0f} s")
    if config.out is not None:
        with run_directory("convolution", config.out) as directory:
            write_json(directory / "convolution.json", found)
    return found


def gradient_error(net, X, Y) -> float:
    """The largest relative error of a leaf of the hand-written gradient, in float64."""
    with jax.enable_x64(True):
        params = net.init(jax.random.key(1), "float64")
        ways = [map(np.asarray, jax.tree.leaves(jax.jit(way.value_and_grad(net, LOSS))(params, X.astype(float), Y)[1]))
                for way in (fnn.backprop, fnn.autodiff)]
    return max(float(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1)) for a, b in zip(*ways, strict=True))


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
