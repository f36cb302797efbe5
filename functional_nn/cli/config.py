"""The configuration of a run: the options of `functional-nn train`, saved as `config.json`."""

import dataclasses
import json
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import optax
import tyro

from functional_nn import (
    activations,
    checks,
    data,
    layers,
    losses,
    optimizers,
    penalties,
    schedules,
)
from functional_nn.cli.usage import Unusable
from functional_nn.data.fingerprints import fingerprints
from functional_nn.network import Network, sequential

OPTIMIZERS = tuple(optimizers.OPTIMIZERS)
HIDDEN = tuple(name for name, activation in activations.ACTIVATIONS.items()
               if activation.elementwise and activation.trains)


@dataclasses.dataclass(frozen=True)
class Config:
    """Train a network by hand-written backpropagation and save the run to a folder."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")] = ""
    """digits, iris, wine, breast_cancer, diabetes, mnist,
    fashion_mnist, or a .csv, .npz or .npy file"""
    data_dir: str | None = None
    """directory with the four IDX files of MNIST, which are downloaded if not given"""
    target: str | None = None
    """target column of a file, by name or by index from 0; the last column if not given"""
    task: Literal["classification", "regression"] | None = None
    """kind of task; decided by the values of the target if not given"""
    categories: tuple[str, ...] = ()
    """names of columns of a CSV file whose numbers are categories"""
    ignore: tuple[str, ...] = ()
    """names of columns of a CSV file to leave out"""
    header: bool = True
    """whether the first line of a CSV file holds the names of its columns"""
    test_share: float | None = None
    """share of the rows kept for the test; 0.2 if not given"""
    standardize: bool = True
    """whether to scale every feature to mean 0 and deviation 1 over the training rows"""
    hidden: tuple[int, ...] = (64,)
    """sizes of the hidden layers"""
    activation: Literal[HIDDEN] = "relu"
    """activation of the hidden layers"""
    dropout: float = 0.0
    """share of each hidden layer's units dropped in training"""
    input_dropout: float = 0.0
    """share of the features dropped in training"""
    loss: str | None = None
    """name of a loss in fnn.losses; cross_entropy for classes and mse for numbers if not given"""
    optimizer: Literal[OPTIMIZERS] = "adam"
    """optimizer, one of the hand-written fnn.optimizers"""
    learning_rate: float = 5e-3
    """learning rate of the first step"""
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    """course of the learning rate: constant, or falling to 0 until the end of the last epoch"""
    momentum: float = 0.9
    """momentum, for sgd only"""
    batch_size: int = 32
    """examples per step; all of them if there are fewer"""
    epochs: int = 100
    """largest number of epochs; in each, every example is used once"""
    l1: float = 0.0
    """strength of the penalty on the sum of |w|"""
    l2: float = 0.0
    """strength of the penalty on half the sum of w squared"""
    clip: float | None = None
    """largest norm of the gradient, over all parameters together; no limit if not given"""
    class_weights: Literal["balanced"] | None = None
    """balanced: all classes weigh the same in the cost, however many examples each has"""
    validation: float = 0.1
    """share of the training rows to validate on after every epoch; 0 for none"""
    patience: int | None = None
    """stop after so many epochs without a lower
    validation cost, and keep the best epoch; never if not given"""
    monitor: bool = False
    """record the errors, the steps and the idle units of each layer"""
    seed: int = 0
    """seed of the split, initial weights, order and dropout; the same seed gives the same bits"""
    every: int | None = None
    """steps between checkpoints; one epoch if not given"""
    tensorboard: bool = False
    """write TensorBoard events too"""


def checked(config: Config) -> Config:
    """`config` itself, if its options are valid as far as can be told without the data.

    Raises a TypeError or ValueError that names the first wrong option.
    """
    for name in ("dropout", "input_dropout", "validation"):
        checks.number(_option(name), getattr(config, name), low=0, high=1 - 2**-24,
                      wanted="a number of at least 0 and below 1")
    for name in ("batch_size", "epochs", "patience", "every"):
        if getattr(config, name) is not None:
            checks.integer(_option(name), getattr(config, name))
    for i, size in enumerate(config.hidden):
        checks.integer(f"--hidden, number {i + 1},", size)
    for name in ("learning_rate", "l1", "l2"):
        checks.number(_option(name), getattr(config, name), low=0, high=3e38,
                      wanted="a finite number of at least 0")
    if config.clip is not None:
        checks.number("--clip", config.clip, low=1e-38, high=3e38,
                      wanted="a finite number above 0")
    checks.integer("--seed", config.seed, low=0, high=2**32 - 1)
    if config.patience is not None and not config.validation:
        raise ValueError(
            "--patience looks at the validation cost, and --validation is 0; leave one of them out")
    return config


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def read(path: Path) -> Config:
    """The configuration in a JSON file, such as the `config.json` of a run.

    Entries that the file lacks have their defaults. Raises an `Unusable` for a file that does not
    hold a valid configuration, and an OSError for one that cannot be read.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except IsADirectoryError:
        raise Unusable(
            f"{path} must be a file, got a folder; name the config.json in it") from None
    except (ValueError, RecursionError) as error:
        raise Unusable(
            f"{path} must hold a configuration as JSON, got {type(error).__name__} on reading it"
        ) from None
    fields = {field.name: field for field in dataclasses.fields(Config)}
    if not isinstance(content, dict):
        raise Unusable(f"{path} must hold a JSON object, got a {type(content).__name__}")
    types = typing.get_type_hints(Config)
    try:
        for name in content:
            checks.one_of("entry", name, fields)
        return checked(Config(**{
            name: _typed(path, name, value, types[name]) for name, value in content.items()}))
    except (ValueError, TypeError) as error:
        raise Unusable(f"{path}: {error}") from None


def _typed(path: Path, name: str, value: Any, wanted: Any) -> Any:
    """A value of the JSON file, converted to the type of its field.

    A list becomes a tuple, and a whole number a float if the field is one. Raises an `Unusable`
    for a value of another type.
    """
    if typing.get_origin(wanted) is tuple:
        if not isinstance(value, list):
            raise Unusable(f"{path}: {name} must be a list, got {value!r}")
        [kind, _] = typing.get_args(wanted)
        return tuple(_typed(path, name, part, kind) for part in value)
    options = typing.get_args(wanted)
    if typing.get_origin(wanted) is Literal:
        if value in options:
            return value
        raise Unusable(
            f"{path}: {name} must be one of {', '.join(map(str, options))}, got {value!r}")
    if options:  # X | None
        return None if value is None else _typed(
            path, name, value, next(kind for kind in options if kind is not type(None)))
    if wanted is float and type(value) is int and abs(value) < 2**1000:
        return float(value)
    if type(value) is not wanted:
        raise Unusable(
            f"{path}: {name} must be of type {getattr(wanted, '__name__', wanted)}, got {value!r}")
    return value


def fingerprints_of(dataset: data.Dataset) -> dict[str, np.ndarray]:
    """The fingerprints of the training rows and of the test rows of a data set as it is loaded.

    With them go the dtype of the features and the name of the target column, which it takes to make
    the fingerprints of other rows.
    """
    parts = {"train": (dataset.x_train, dataset.y_train), "test": (dataset.x_test, dataset.y_test)}
    made = {part: fingerprints(*pair, dataset.class_names) for part, pair in parts.items()}
    return {**made, "dtype": np.array(dataset.dtype),
            "target": np.array(dataset.target)}


def load_data(config: Config) -> data.Dataset:
    """The data set that a configuration names, with its features as they are.

    Raises an `Unusable` if no data are named, and the errors of `fnn.data.load`.
    """
    if not config.data:
        raise Unusable("name the data to train on, such as: functional-nn train iris")
    about = {"target": _column(config.target), "task": config.task,
             "categories": config.categories, "ignore": config.ignore, 
             "header": None if config.header else False}
    return data.load(config.data, config.data_dir,
                     test_share=config.test_share, seed=config.seed, **about)


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


def penalty(config: Config) -> penalties.Penalty | None:
    """The penalty of the options --l1 and --l2; None if both are 0."""
    asked = [make(strength)
             for make, strength in ((penalties.l1, config.l1), (penalties.l2, config.l2))
             if strength != 0]
    return None if not asked else asked[0] if len(asked) == 1 else asked[0] + asked[1]
