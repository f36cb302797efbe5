"""A trained network together with the encoding of its inputs and the names of its classes."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks
from functional_nn.data import Dataset
from functional_nn.data.encoder import Encoder
from functional_nn.data.rows import has_named_columns, is_frame
from functional_nn.losses import Loss
from functional_nn.network import Network

CHUNK = 8192  # rows that the network evaluates at once


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A trained network that predicts from raw rows; `handover.load` makes it.

    Attributes:
      net: the network.
      params: its parameters, NumPy arrays of the dtype they were trained in.
      loss: the loss it was trained with.
      data: the data set it was trained on without its rows: names, `image_shape`, `encoder`,
        `standardizer`, and the `scale` of the target.
      about: the argument `about` of `save`.
      versions: the versions of functional_nn, jax and numpy with which it was saved.

    It computes in the dtype of the parameters. For float64 parameters this needs
    `with jax.enable_x64(True):`; otherwise they are rounded to float32.
    """

    net: Network
    params: tuple
    loss: Loss
    data: Dataset
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the n_in features."""
        return self.data.feature_names

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes in the order of the outputs; () for a regression."""
        return self.data.class_names

    @property
    def task(self) -> str:
        """The kind of task, "classification" or "regression"."""
        return "classification" if self.class_names else "regression"

    def encode(self, rows, unknown: str = "refuse") -> np.ndarray:
        """The inputs of the network for raw rows: categories one-hot, features standardised.

        Features are standardised if those of training were. `net.apply` takes one row of the
        result. `outputs` and `predict` call `encode` themselves, so they take raw rows.

        Args:
          rows: numbers (n, n_in), the features before standardising; or the path of a CSV file, a
            pandas DataFrame, or a list of mappings from column to value. The columns are those of
            the training file, or `feature_names` if the network was not trained on a CSV file.
            They are read by name; further columns, such as the target, are ignored. The columns
            0, 1, … of a DataFrame without names are `column 0`, `column 1`, ….
          unknown: what becomes of rows with a category that was not in training, if the network
            was trained on a table: "refuse" raises an error, "ignore" takes it for none of the
            known ones, and "skip" gives NaN for these rows and for those with missing values that
            are not filled in.

        Returns float32 (n, n_in).

        Raises a ValueError or TypeError if the number of features is wrong, a value is missing,
        NaN or infinite, or a category did not occur in training. If a value is at fault, the
        message names its row and column. Raises a FileNotFoundError if there is no such file.
        """
        rows = _named(rows)
        if has_named_columns(rows):
            data = dataclasses.replace(
                self.data, encoder=self.data.encoder or Encoder(self.feature_names, {}))
        else:
            data = dataclasses.replace(self.data, encoder=None)
        with np.errstate(over="ignore"):
            x = data.encode(rows, unknown)
        checks.finite("rows, once standardised,", x if unknown != "skip" else _answerable(x))
        return x

    def outputs(self, rows, unknown: str = "refuse") -> np.ndarray:
        """The outputs ŷ for every row, (n, n_out): probabilities, or values in the target's unit.

        Where the network was trained on a standardised target, ŷ = mean + deviation · its output,
        in float64: a float32 could not hold a large mean and a small deviation together.

        Args:
          rows, unknown: as for `encode`; the outputs of rows that are skipped are NaN.

        Raises a ValueError if an output is NaN or infinite, and the errors of `encode`.
        """
        x, params = self.encode(rows, unknown), jax.tree.map(jnp.asarray, self.params)
        chunks = [np.asarray(self._run(params, x[i:i + CHUNK]))
                  for i in range(0, max(len(x), 1), CHUNK)]
        result = in_units(np.concatenate(chunks), self.data.scale)
        bad = ~np.isfinite(result).all(axis=1) & ~np.isnan(x).all(axis=1)
        if bad.any():
            i = int(bad.argmax())
            raise ValueError(f"rows[{i}] must give finite outputs, got {result[i].tolist()[:5]}; "
                             "its values are far from those of training, so look for a wrong unit")
        return result

    def predict(self, rows, unknown: str = "refuse") -> np.ndarray:
        """The prediction for every row: the names of classes, or numbers for a regression.

        The class is that of the largest output. A single output stands for the second class if it
        is above 0.5. For the loss hinge, whose targets are −1 and 1, the threshold is 0.

        Args:
          rows, unknown: as for `encode`; the prediction for rows that are skipped is "" or NaN.

        Returns class names (n,); for a regression numbers, (n,) with one output, else (n, n_out).
        The errors are those of `outputs`.

        >>> import functional_nn as fnn
        >>> net = fnn.mlp((1, 1), output="sigmoid")
        >>> params = ({"w": np.array([[1.0]]), "b": np.array([-3.0])},)
        >>> data = rowless("plants", ("height",), ("shrub", "tree"))
        >>> model = Model(net, params, fnn.losses.binary_cross_entropy, data)
        >>> model.predict([[2.0], [9.5]]).tolist()
        ['shrub', 'tree']
        >>> model.predict([{"height": "9.5", "seen": "today"}]).tolist()
        ['tree']
        """
        return self.chosen(self.outputs(rows, unknown))

    def chosen(self, outputs: np.ndarray) -> np.ndarray:
        """The predictions that `predict` makes of `outputs`, (n, n_out)."""
        if not self.class_names:
            return outputs[:, 0] if self.net.n_out == 1 else outputs
        threshold = 0.0 if self.loss.targets == "signs" else 0.5
        chosen = ((outputs[:, 0] > threshold).astype(int) if self.net.n_out == 1
                  else outputs.argmax(axis=1))
        return np.where(np.isnan(outputs).all(axis=1), "", np.array(self.class_names)[chosen])

    @functools.cached_property
    def _run(self) -> Callable[..., jax.Array]:
        return jax.jit(jax.vmap(self.net.apply, in_axes=(None, 0)))


def _answerable(x: np.ndarray) -> np.ndarray:
    """The rows that are not skipped."""
    return x[~np.isnan(x).all(axis=1)]


def _named(rows: Any) -> Any:
    """`rows`; a DataFrame whose columns are numbered with the names of unnamed features."""
    if not is_frame(rows) or list(rows.columns) != list(range(len(rows.columns))):
        return rows
    return rows.rename(columns="column {}".format)


def in_units(outputs: np.ndarray, scale: tuple[float, float] | None) -> np.ndarray:
    """The outputs of a network in the unit of the target, float64; as they are without a scale.

    >>> in_units(np.array([[-1.0], [0.5]], np.float32), (1.7e9, 4.0)).tolist()
    [[1699999996.0], [1700000002.0]]
    """
    if scale is None:
        return outputs
    mean, deviation = scale
    return mean + deviation * outputs.astype(np.float64)


def rowless(name: str, feature_names: tuple[str, ...], class_names: tuple[str, ...] = (),
            **described) -> Dataset:
    """A data set with these names and no examples; `described` are further fields of `Dataset`.

    >>> rowless("plants", ("height", "width"), ("shrub", "tree")).x_train.shape
    (0, 2)
    """
    x, y = (np.zeros((0, len(feature_names)), np.float32),
            np.zeros(0, np.int32 if class_names else np.float32))
    return Dataset(name, x, y, x, y, feature_names, class_names, **described)


def without_rows(data: Dataset) -> Dataset:
    """A copy of `data` without its examples."""
    kept = {field.name: getattr(data, field.name) for field in dataclasses.fields(Dataset)}
    return rowless(**{name: value for name, value in kept.items() if name[:2] not in ("x_", "y_")})


def unnamed(net: Network, loss: Loss) -> Dataset:
    """A data set without examples for a network that was trained on plain arrays.

    Features are named by their column. Classes are named by their number, for the loss
    cross_entropy and for binary_cross_entropy with one output; otherwise there are none.

    >>> import functional_nn as fnn
    >>> data = unnamed(fnn.mlp((2, 3), output="softmax"), fnn.losses.cross_entropy)
    >>> data.feature_names, data.class_names
    (('column 0', 'column 1'), ('0', '1', '2'))
    """
    classes = net.n_out if loss.labels else 2 * (loss.targets == "shares" and net.n_out == 1)
    return rowless("arrays", tuple(f"column {j}" for j in range(net.n_in)),
                   tuple(map(str, range(classes))))


def check(model: Model) -> None:
    """Raise a ValueError if the network, its parameters and its data set do not fit together.

    Also raises a ValueError if a parameter is NaN or infinite.
    """
    net, data = model.net, model.data
    if len(data.feature_names) != net.n_in:
        raise ValueError(f"dataset must have the {net.n_in} features that the network takes, got "
                         f"{data.name} with {len(data.feature_names)}; pass the data set that the "
                         "network was trained on")
    outputs = (1, 2) if len(data.class_names) == 2 else (len(data.class_names),)
    if data.class_names and net.n_out not in outputs:
        raise ValueError(f"dataset must have a class for each of the network's {net.n_out} "
                         f"outputs, got {data.name} with {len(data.class_names)} classes; where "
                         "the outputs are no classes pass dataclasses.replace(data, "
                         "class_names=())")
    net.check_params(model.params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(model.params):
        bad = ~np.isfinite(leaf)
        if bad.any():
            raise ValueError(f"params{jax.tree_util.keystr(path)} must be finite, got {bad.sum()} "
                             f"NaN or inf of {bad.size} values; the training diverged, so try a "
                             "smaller learning rate")
