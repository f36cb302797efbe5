"""A model as it is handed over: a trained network with what makes rows of data into its inputs, and outputs into answers."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn import checks
from functional_nn.data import Dataset
from functional_nn.data.columns import Encoder
from functional_nn.losses import Loss
from functional_nn.network import Network

CHUNK = 8192  # rows at once


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A trained network that takes rows as they are and answers in the words of its data set; made by `handover.load`.

    `params` are NumPy arrays of the dtype that was trained. `data` is the data set without its rows: its names, `image_shape`,
    `encoder` and `standardizer`. `about` is what `save` was told, `versions` what it ran on.

    Computing is in the parameters' dtype, save that float64 needs `with jax.enable_x64(True):` and is float32 outside of it.
    """

    net: Network
    params: tuple
    loss: Loss
    data: Dataset
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One a feature, n_in of them."""
        return self.data.feature_names

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the outputs; () in a regression."""
        return self.data.class_names

    @property
    def task(self) -> str:
        """"classification" or "regression"."""
        return "classification" if self.class_names else "regression"

    def encode(self, rows) -> np.ndarray:
        """Rows as the network was shown those of training, float32 (n, n_in): categories one-hot, all standardised.

        This is what `net.apply` takes, and not what `outputs` and `predict` do: they encode by themselves.

        Args:
          rows: numbers (n, n_in), the features as they are before standardising; or the path of a CSV file, or a list of
            mappings from column to value, with the columns of the training file. Where the training data was no CSV file
            the columns are `feature_names`. Other columns, such as the target, are passed over.

        Raises a ValueError or TypeError that names the row and column of a NaN, of a missing value, of a category that was
        not there in training, and for another number of features.
        """
        if _is_table(rows):
            data = dataclasses.replace(self.data, encoder=self.data.encoder or Encoder(self.feature_names, {}))
        else:
            data = dataclasses.replace(self.data, encoder=None)
        with np.errstate(over="ignore"):
            x = data.encode(rows)
        checks.finite("rows, once standardised,", x)
        return x

    def outputs(self, rows) -> np.ndarray:
        """ŷ of every row, (n, n_out): probabilities, or values; `rows` as for `encode`.

        Raises a ValueError for an output that is NaN or infinite, besides what `encode` raises.
        """
        x, params = self.encode(rows), jax.tree.map(jnp.asarray, self.params)
        chunks = [np.asarray(self._run(params, x[i:i + CHUNK])) for i in range(0, max(len(x), 1), CHUNK)]
        result = np.concatenate(chunks)
        bad = ~np.isfinite(result).all(axis=1)
        if bad.any():
            i = int(bad.argmax())
            raise ValueError(f"rows[{i}] must give finite outputs, got {result[i].tolist()[:5]}; its values are far from those "
                             "of training, so look for a wrong unit")
        return result

    def predict(self, rows) -> np.ndarray:
        """The answer for every row: class names (n,), or numbers (n,), (n, n_out) where there are several outputs.

        The class is that of the largest output. A single output means the second class above 0.5; above 0 for hinge, whose
        targets are −1 and 1. `rows` and errors are those of `outputs`.

        >>> import functional_nn as fnn
        >>> net, params = fnn.mlp((1, 1), output="sigmoid"), ({"w": np.array([[1.0]]), "b": np.array([-3.0])},)
        >>> model = Model(net, params, fnn.losses.binary_cross_entropy, rowless("plants", ("height",), ("shrub", "tree")))
        >>> model.predict([[2.0], [9.5]]).tolist(), model.predict([{"height": "9.5", "seen": "today"}]).tolist()
        (['shrub', 'tree'], ['tree'])
        """
        a = self.outputs(rows)
        if not self.class_names:
            return a[:, 0] if self.net.n_out == 1 else a
        threshold = 0.0 if self.loss.name == "hinge" else 0.5
        chosen = (a[:, 0] > threshold).astype(int) if self.net.n_out == 1 else a.argmax(axis=1)
        return np.array(self.class_names)[chosen]

    @functools.cached_property
    def _run(self) -> Callable[..., jax.Array]:
        return jax.jit(jax.vmap(self.net.apply, in_axes=(None, 0)))


def _is_table(rows) -> bool:
    """Whether it is a CSV file's path, or rows with names for their values."""
    return isinstance(rows, str | os.PathLike) or (
        isinstance(rows, Sequence) and len(rows) > 0 and all(isinstance(row, Mapping) for row in rows))


def rowless(name: str, feature_names: tuple[str, ...], class_names: tuple[str, ...] = (), **described) -> Dataset:
    """A data set of that description with no example in it."""
    x, y = np.zeros((0, len(feature_names)), np.float32), np.zeros(0, np.int32 if class_names else np.float32)
    return Dataset(name, x, y, x, y, feature_names, class_names, **described)


def without_rows(data: Dataset) -> Dataset:
    """`data` with no example in it."""
    kept = {field.name: getattr(data, field.name) for field in dataclasses.fields(Dataset)}
    return rowless(**{name: value for name, value in kept.items() if name[:2] not in ("x_", "y_")})


def unnamed(net: Network, loss: Loss) -> Dataset:
    """The names for a network that was trained on arrays: features by their column, classes by their number."""
    classes = net.n_out if loss.name == "cross_entropy" else 2 * (loss.name == "binary_cross_entropy" and net.n_out == 1)
    return rowless("arrays", tuple(f"column {j}" for j in range(net.n_in)), tuple(map(str, range(classes))))


def check(model: Model) -> None:
    """A ValueError where the network, its parameters and its data set do not belong together."""
    net, data = model.net, model.data
    if len(data.feature_names) != net.n_in:
        raise ValueError(f"dataset must have the {net.n_in} features that the network takes, got {data.name} with "
                         f"{len(data.feature_names)}; pass the data set that the network was trained on")
    outputs = (1, 2) if len(data.class_names) == 2 else (len(data.class_names),)
    if data.class_names and net.n_out not in outputs:
        raise ValueError(f"dataset must have a class for each of the network's {net.n_out} outputs, got {data.name} with "
                         f"{len(data.class_names)} classes; where the outputs are no classes pass dataclasses.replace(data, "
                         "class_names=())")
    net.check_params(model.params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(model.params):
        bad = ~np.isfinite(leaf)
        if bad.any():
            raise ValueError(f"params{jax.tree_util.keystr(path)} must be finite, got {bad.sum()} NaN or inf of {bad.size} "
                             "values; the training diverged, so try a smaller learning rate")
