"""The parts of a run, made from its configuration: data, network, loss, optimiser, penalty."""

import sys
from pathlib import Path

import numpy as np
import optax

from functional_nn import activations, data, layers, losses, optimizers, penalties, schedules
from functional_nn.cli.config import Config
from functional_nn.cli.usage import Unusable
from functional_nn.console import print
from functional_nn.data.fingerprints import fingerprints
from functional_nn.network import Network, sequential

SLOW_TO_READ = 2**24  # bytes, for which a reader may take some seconds
PRIOR = 5.0  # 1 / variance of a weight, which --l2 stands for if it is not given


def fingerprints_of(dataset: data.Dataset) -> dict[str, np.ndarray]:
    """The fingerprints of the training rows and of the test rows of a data set as it is loaded.

    With them go the dtype of the features and the name of the target column, which it takes to make
    the fingerprints of other rows.
    """
    parts = zip(("train", "test"), unfilled(dataset), (dataset.y_train, dataset.y_test),
                strict=True)
    made = {part: fingerprints(x, y, dataset.class_names) for part, x, y in parts}
    return {**made, "dtype": np.array(dataset.dtype),
            "target": np.array(dataset.target)}


def unfilled(dataset: data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The features of the training rows and of the test rows, NaN where they were missing."""
    x = dataset.x_train, dataset.x_test
    return x if dataset.gaps is None else tuple(
        np.where(gap, np.nan, part) for part, gap in zip(x, dataset.gaps, strict=True))


def load_data(config: Config) -> data.Dataset:
    """The data set that a configuration names, with its features as they are.

    Raises an `Unusable` if no data are named, and the errors of `fnn.data.load`.
    """
    if not config.data:
        raise Unusable("name the data to train on, such as: functional-nn train iris")
    size = sum(Path(file).stat().st_size for file in (config.data, config.test)
               if file is not None and Path(file).is_file())
    if size > SLOW_TO_READ:
        print(f"reading {size / 2**20:,.0f} MiB", file=sys.stderr, flush=True)
    about = {name: getattr(config, name) for name in (
        "task", "categories", "ignore", "keep", "missing", "missing_values", "encoding",
        "separator", "decimal", "thousands", "test", "split", "test_share", "seed")}
    return data.load(config.data, config.data_dir, target=_column(config.target),
                     groups=_column(config.groups), header=None if config.header else False,
                     **about)


def _column(name: str | None) -> str | int | None:
    """The column as `fnn.data.load` takes it: a name that is an integer is an index."""
    return int(name) if name is not None and name.removeprefix("-").isdigit() else name


def network(config: Config, dataset: data.Dataset) -> tuple[Network, losses.Loss]:
    """The network and the loss of a configuration, for the features and the task of `dataset`.

    Raises an `Unusable` for a loss that does not suit the task, and a ValueError for an unknown
    one.
    """
    classes = len(dataset.class_names)
    loss = losses.get(config.loss or ("cross_entropy" if classes else "mse"))
    if bool(classes) != (loss.output is not None):
        fitting = ", ".join(name for name, other in losses.LOSSES.items()
                            if bool(classes) == (other.output is not None))
        raise Unusable(
            f"--loss must be one of {fitting} for {'classes' if classes else 'a regression'}, got "
            f"{loss.name}")
    if loss.output == "sigmoid" and classes != 2:
        raise Unusable(f"--loss {loss.name} is for two classes, got {classes}; use cross_entropy")
    n_out = classes if loss.output == "softmax" else 1
    parts = [layers.dropout(config.input_dropout)] if config.input_dropout else []
    for size in config.hidden:
        parts += [layers.dense(size, config.activation, activations.get(config.activation).init)]
        parts += [layers.dropout(config.dropout)] if config.dropout else []
    return sequential(dataset.x_train.shape[1], *parts,
                      layers.dense(n_out, loss.output or "linear")), loss


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """The optimiser of a configuration, preceded by the clipping if there is any.

    Args:
      config: the configuration.
      steps: the number of steps of the run, at the end of which a schedule reaches 0.
    """
    rate = {
        "constant": lambda: config.learning_rate,
        "cosine": lambda: schedules.cosine_decay(config.learning_rate, steps),
        "linear": lambda: schedules.polynomial_decay(config.learning_rate, 0.0, 1.0, steps),
    }[config.schedule]()
    options = {"momentum": config.momentum} if config.optimizer == "sgd" else {}
    made = getattr(optimizers, config.optimizer)(rate, **options)
    return made if config.clip is None else optimizers.chain(
        optimizers.clip_by_global_norm(config.clip), made)


def penalty(config: Config, learnt: int) -> penalties.Penalty | None:
    """The penalty of the options --l1 and --l2; None if both are 0.

    Without --l2 its strength is 5 / learnt. The mean of the losses plus λ/2 |w|² has its minimum at
    the most probable weights if, before any row is seen, each weight is normally distributed with
    variance 1 / (λ · rows): here 1/5, however many rows there are. So the penalty matters where
    there are few, as the rows outweigh it where there are many.

    Args:
      config: the configuration.
      learnt: the number of training rows without those kept for validation.
    """
    strength = PRIOR / learnt if config.l2 is None else config.l2
    asked = [make(strength)
             for make, strength in ((penalties.l1, config.l1), (penalties.l2, strength))
             if strength != 0]
    return None if not asked else asked[0] if len(asked) == 1 else asked[0] + asked[1]
