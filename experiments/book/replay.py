"""Trainings as the book's scripts run them: our gradients and steps, their random numbers.

The networks, the hand-written backpropagation, stochastic gradient descent with an L2 penalty on
the weights alone, and the compiled epochs are the library's. Only initial parameters and the order
of the examples come from `draws`.
"""

import functools
import itertools
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import functional_nn as fnn
from experiments.book import draws
from functional_nn.objective import objective
from functional_nn.progress import progress
from functional_nn.training.steps import (
    gradient_function,
    new_epoch,
    steps_function,
    update_function,
)

__all__ = ["BATCH", "SEED", "Images", "Training", "load", "norms", "script"]

SEED, BATCH, LOSS = 12345678, 10, "binary_cross_entropy"


class Images(NamedTuple):
    """MNIST as the book has it: 50,000 images for training, 10,000 for validation, and the test.

    Each part is a pair (X, Y): pixels / 256, (n, 784), and one-hot digits, (n, 10).
    """

    training: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


class Training(NamedTuple):
    """One training of a script.

    Attributes:
      label: its name; "" if it is the only one of the script.
      rate: η, the learning rate.
      penalty: λ; the objective is C + λ/(2n) Σw² for n images.
      epochs: the number of epochs.
      inits: the initial parameters that are drawn, in order; only the last ones are used. True
        means large weights.
      rows: the number of images of a list of its own, in their first order; None for the list
        that the trainings of the script share, in the order in which the one before left it.
      hidden: the number of hidden units.
    """

    label: str
    rate: float
    penalty: float
    epochs: int
    inits: tuple[bool, ...]
    rows: int | None = None
    hidden: int = 30


def load(data_dir: str) -> Images:
    """The images of MNIST in the folder `data_dir`, split and scaled as the book has them."""
    data = fnn.data.load("mnist", data_dir=data_dir)

    def pair(x, y):
        return np.rint(x * 255) / np.float32(256), np.eye(10, dtype=np.float32)[y]

    x, y = pair(data.x_train, data.y_train)
    return Images((x[:50_000], y[:50_000]), (x[50_000:], y[50_000:]),
                  pair(data.x_test, data.y_test))


def script(
    trainings: Sequence[Training], watched: Sequence[str], images: Images, epochs: int | None = None,
    *, every: bool = True
) -> dict[str, dict[str, np.ndarray]]:
    """The trainings of one script, one after another, from one seed, in float64.

    Args:
      trainings: the trainings, in the order of the script.
      watched: what is recorded, such as "training cost" or "test accuracy"; accuracies in percent.
      images: the images.
      epochs: at most so many epochs of each are trained; None for all. The shuffles of the others
        are drawn, as the next training goes on from there.
      every: whether to record after every epoch; otherwise only after the last one.

    Returns label -> what is watched -> values (epochs,).
    """
    drawn, numbers = np.random.RandomState(SEED), random.Random(SEED)
    shared, found = list(range(len(images.training[0]))), {}
    trained = [min(training.epochs, epochs or training.epochs) for training in trainings]
    with jax.enable_x64(True), progress(sum(trained), "epochs") as advance:
        for training, count in zip(trainings, trained, strict=True):
            sizes = (784, training.hidden, 10)
            for large in training.inits:
                params = draws.gaussian(drawn, sizes, large=large)
            order = shared if training.rows is None else list(range(training.rows))
            orders = _orders(training, order, numbers)
            found[training.label] = _train(
                training, params, itertools.islice(orders, count), count if not every else 1,
                watched, images, lambda label=training.label: advance(label))
            for _ in orders:  # for the trainings after this one
                pass
    return found


def _orders(training: Training, order: list, numbers: random.Random):
    """The order of the examples in each epoch."""
    for _ in range(training.epochs):
        draws.shuffle(numbers, order)
        yield np.array(order)


def _train(
    training: Training, params, orders, period: int, watched: Sequence[str], images: Images,
    advance: Callable
) -> dict[str, np.ndarray]:
    """What is watched after every `period` epochs of one training, an epoch for each order."""
    epoch, measure = _compiled((784, training.hidden, 10))
    parts = {name: jax.tree.map(jnp.asarray, part) for name, part in images._asdict().items()}
    X, Y = parts["training"] = jax.tree.map(lambda part: part[:training.rows], parts["training"])
    history = {quantity: [] for quantity in watched}
    for number, order in enumerate(orders, start=1):
        params = epoch(params, order.reshape(-1, BATCH), training.rate,
                       training.penalty / len(X), X, Y)
        if number % period == 0:
            measured = {part: measure(params, training.penalty, *parts[part])
                        for part in {quantity.split()[0] for quantity in watched}}
            for quantity, values in history.items():
                part, kind = quantity.split()
                values.append(float(measured[part][kind]))
        advance()
    return {quantity: np.array(values) for quantity, values in history.items()}


@functools.lru_cache
def _compiled(sizes: tuple[int, ...]) -> tuple[Callable, Callable]:
    """An epoch of stochastic gradient descent, and cost and accuracy on a set of images."""
    net = fnn.mlp(sizes, hidden="sigmoid", output="sigmoid")
    problem = objective(net, LOSS)

    def epoch(params, rows, rate, decay, X, Y):
        optimizer = _descent(rate, decay)
        steps = steps_function(
            gradient_function(net, fnn.backprop.value_and_grad(net, LOSS)), optimizer)
        run = new_epoch(params, optimizer.init(params))
        return steps(run, jax.random.key(0), 0, rows, None, 0, len(rows), X, Y).params

    def measure(params, penalty, X, Y):
        outputs = jax.vmap(net.apply, in_axes=(None, 0))(params, X.astype(float))
        right = jnp.argmax(outputs, axis=1) == jnp.argmax(Y, axis=1)
        cost = problem.cost(params, problem.batch(params, X, Y))
        return {"cost": cost + fnn.penalties.l2(penalty / len(X)).value(params),
                "accuracy": 100 * jnp.mean(right.astype(float))}

    return jax.jit(epoch), jax.jit(measure)


def _descent(rate, decay) -> optax.GradientTransformation:
    """w ← w − η (∇C + λ/n w), b ← b − η ∇C."""
    return fnn.optimizers.chain(fnn.optimizers.l2(decay), fnn.optimizers.sgd(rate))


def norms(
    hidden_layers: int, images: Images, epochs: int, seeds: int, *, rate: float = 0.1,
    penalty: float = 5.0, rows: int = 1000
) -> np.ndarray:
    """‖mean δˡ‖ of every hidden layer before every epoch of batch gradient descent, for all seeds.

    The mean over the images of δˡ is ∂C/∂bˡ (BP3). All seeds train together, in float32.

    Returns an array (hidden layers, seeds, epochs).
    """
    sizes = (784, *hidden_layers * (30,), 10)
    net = fnn.mlp(sizes, hidden="sigmoid", output="sigmoid")
    data = [jnp.arange(rows), None, *(jnp.asarray(part[:rows]) for part in images.training)]
    optimizer = _descent(rate, penalty / rows)
    update = update_function(
        gradient_function(net, fnn.backprop.value_and_grad(net, LOSS)), optimizer)

    def run(params, data):
        def step(state, _):
            params, memory = state
            _, gradient, step, memory = update(
                params, memory, jax.random.key(0), *data)
            size = jnp.stack([jnp.linalg.norm(layer["b"]) for layer in gradient[:-1]])
            return (optax.apply_updates(params, step), memory), size

        return jax.lax.scan(step, (params, optimizer.init(params)), length=epochs)[1]

    drawn = [draws.gaussian(np.random.RandomState(seed), sizes, large=False)
             for seed in range(seeds)]
    stacked = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves), np.float32), *drawn)
    together = jax.jit(jax.vmap(run, in_axes=(0, None)))
    return np.moveaxis(np.asarray(together(stacked, data)), 2, 0)
