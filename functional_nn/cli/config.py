"""What is trained, and how: the options of `functional-nn train`, as `config.json` holds them."""

import dataclasses
import json
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import optax
import tyro

from functional_nn import activations, checks, data, layers, losses, optimizers, penalties, schedules
from functional_nn.cli.usage import Unusable
from functional_nn.network import Network, sequential

OPTIMIZERS = tuple(optimizers.OPTIMIZERS)
HIDDEN = tuple(name for name, activation in activations.ACTIVATIONS.items() if activation.elementwise and activation.trains)


@dataclasses.dataclass(frozen=True)
class Config:
    """Train a network by hand-written backpropagation, into a folder of its own."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")] = ""
    """digits, iris, wine, breast_cancer, diabetes, mnist, fashion_mnist, or a .csv, .npz or .npy file"""
    data_dir: str | None = None
    """directory with the four IDX files of MNIST; downloaded if not given"""
    target: str | None = None
    """target column of a file, by name or number; the last if not given"""
    task: Literal["classification", "regression"] | None = None
    """what the target is; decided by its values if not given"""
    categories: tuple[str, ...] = ()
    """columns of a CSV file that hold categories though they are numbers"""
    ignore: tuple[str, ...] = ()
    """columns of a CSV file to leave out"""
    test_share: float | None = None
    """share of the rows kept for the test; 0.2 if not given"""
    standardize: bool = True
    """whether every feature gets mean 0 and deviation 1, as the training rows have it"""
    hidden: tuple[int, ...] = (64,)
    """sizes of the hidden layers"""
    activation: Literal[HIDDEN] = "relu"
    """of the hidden layers"""
    dropout: float = 0.0
    """share of each hidden layer's units dropped in training"""
    input_dropout: float = 0.0
    """share of the features dropped in training"""
    loss: str | None = None
    """by its name in fnn.losses; cross_entropy for classes and mse for numbers if not given"""
    optimizer: Literal[OPTIMIZERS] = "adam"
    """hand-written, as all of fnn.optimizers"""
    learning_rate: float = 5e-3
    """at the start"""
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    """how the learning rate goes on: as it is, or down to 0 at the last epoch"""
    momentum: float = 0.9
    """of sgd alone"""
    batch_size: int = 32
    """examples a step; all of them if there are fewer"""
    epochs: int = 100
    """how often every example is seen, at most"""
    l1: float = 0.0
    """strength of the penalty on the sum of |w|"""
    l2: float = 0.0
    """strength of the penalty on half the sum of w squared"""
    clip: float | None = None
    """longest gradient, over all parameters together"""
    class_weights: Literal["balanced"] | None = None
    """balanced: every class counts alike, however many examples it has"""
    validation: float = 0.1
    """share of the training rows to validate on after every epoch; 0 for none"""
    patience: int | None = None
    """stop once so many epochs brought no lower validation cost, and keep the best; never if not given"""
    monitor: bool = False
    """record how each layer fares: its errors, its steps, its idle units"""
    seed: int = 0
    """of the split, the start, the order and the units dropped: the same seed gives the same bits"""
    every: int | None = None
    """steps between checkpoints; an epoch if not given"""
    tensorboard: bool = False
    """write TensorBoard events too"""


def checked(config: Config) -> Config:
    """`config`, or a TypeError or ValueError that names the option at fault; what data decides is not looked at yet."""
    for name in ("dropout", "input_dropout", "validation"):
        checks.number(_option(name), getattr(config, name), low=0, high=1 - 2**-24, wanted="a number of at least 0 and below 1")
    for name in ("batch_size", "epochs", "patience", "every"):
        if getattr(config, name) is not None:
            checks.integer(_option(name), getattr(config, name))
    for i, size in enumerate(config.hidden):
        checks.integer(f"--hidden, number {i + 1},", size)
    for name in ("learning_rate", "l1", "l2"):
        checks.number(_option(name), getattr(config, name), low=0, high=3e38, wanted="a finite number of at least 0")
    if config.clip is not None:
        checks.number("--clip", config.clip, low=1e-38, high=3e38, wanted="a finite number above 0")
    checks.integer("--seed", config.seed, low=0, high=2**32 - 1)
    if config.patience is not None and not config.validation:
        raise ValueError("--patience looks at the validation cost, and --validation is 0; leave one of them out")
    return config


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def read(path: Path) -> Config:
    """The configuration that `train` wrote as `config.json`, or that somebody wrote like it."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except IsADirectoryError:
        raise Unusable(f"{path} must be a file, got a folder; name the config.json in it") from None
    except (ValueError, RecursionError) as error:
        raise Unusable(f"{path} must hold a configuration as JSON, got {type(error).__name__} on reading it") from None
    fields = {field.name: field for field in dataclasses.fields(Config)}
    if not isinstance(content, dict):
        raise Unusable(f"{path} must hold a JSON object, got a {type(content).__name__}")
    types = typing.get_type_hints(Config)
    try:
        for name in content:
            checks.one_of("entry", name, fields)
        return checked(Config(**{name: _typed(path, name, value, types[name]) for name, value in content.items()}))
    except (ValueError, TypeError) as error:
        raise Unusable(f"{path}: {error}") from None


def _typed(path: Path, name: str, value: Any, wanted: Any) -> Any:
    """`value` of the JSON file as the field's type has it: a list as a tuple, a whole number where a float is wanted."""
    if typing.get_origin(wanted) is tuple:
        if not isinstance(value, list):
            raise Unusable(f"{path}: {name} must be a list, got {value!r}")
        [kind, _] = typing.get_args(wanted)
        return tuple(_typed(path, name, part, kind) for part in value)
    options = typing.get_args(wanted)
    if typing.get_origin(wanted) is Literal:
        if value in options:
            return value
        raise Unusable(f"{path}: {name} must be one of {', '.join(map(str, options))}, got {value!r}")
    if options:  # X | None
        return None if value is None else _typed(path, name, value, next(kind for kind in options if kind is not type(None)))
    if wanted is float and type(value) is int and abs(value) < 2**1000:
        return float(value)
    if type(value) is not wanted:
        raise Unusable(f"{path}: {name} must be of type {getattr(wanted, '__name__', wanted)}, got {value!r}")
    return value


def load_data(config: Config) -> data.Dataset:
    """The data set, standardised if wanted."""
    if not config.data:
        raise Unusable("name the data to train on, such as: functional-nn train iris")
    about = {"target": _column(config.target), "task": config.task, "categories": config.categories, "ignore": config.ignore}
    dataset = data.load(config.data, config.data_dir, test_share=config.test_share, seed=config.seed, **about)
    return data.standardize(dataset) if config.standardize else dataset


def _column(name: str | None) -> str | int | None:
    """A column that is a number is an index."""
    return int(name) if name is not None and name.removeprefix("-").isdigit() else name


def network(config: Config, dataset: data.Dataset) -> tuple[Network, losses.Loss]:
    """The network and its loss, which fit the task of `dataset`."""
    classes = len(dataset.class_names)
    loss = losses.get(config.loss or ("cross_entropy" if classes else "mse"))
    if bool(classes) != (loss.output is not None):
        fitting = ", ".join(name for name, other in losses.LOSSES.items() if bool(classes) == (other.output is not None))
        raise Unusable(f"--loss must be one of {fitting} for {'classes' if classes else 'a regression'}, got {loss.name}")
    if loss.output == "sigmoid" and classes != 2:
        raise Unusable(f"--loss {loss.name} is for two classes, got {classes}; use cross_entropy")
    n_out = classes if loss.output == "softmax" else 1
    parts = [layers.dropout(config.input_dropout)] if config.input_dropout else []
    for size in config.hidden:
        parts += [layers.dense(size, config.activation, activations.get(config.activation).init)]
        parts += [layers.dropout(config.dropout)] if config.dropout else []
    return sequential(dataset.x_train.shape[1], *parts, layers.dense(n_out, loss.output or "linear")), loss


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """The optimiser for a run of so many steps, behind the clipping."""
    rate = {"constant": lambda: config.learning_rate, "cosine": lambda: schedules.cosine_decay(config.learning_rate, steps),
            "linear": lambda: schedules.polynomial_decay(config.learning_rate, 0.0, 1.0, steps)}[config.schedule]()
    options = {"momentum": config.momentum} if config.optimizer == "sgd" else {}
    made = getattr(optimizers, config.optimizer)(rate, **options)
    return made if config.clip is None else optax.chain(optimizers.clip_by_global_norm(config.clip), made)


def penalty(config: Config) -> penalties.Penalty | None:
    """What is asked for by --l1 and --l2."""
    asked = [make(strength) for make, strength in ((penalties.l1, config.l1), (penalties.l2, config.l2)) if strength != 0]
    return None if not asked else asked[0] if len(asked) == 1 else asked[0] + asked[1]
