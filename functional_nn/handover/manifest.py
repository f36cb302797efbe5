"""The manifest of a model: a description in JSON values of everything but the parameters.

The keys of format 1 are those that `describe` returns.
"""

import dataclasses
import hashlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from functional_nn import checks
from functional_nn.data import Dataset, Standardizer
from functional_nn.data.cells import Format
from functional_nn.data.encoder import Encoder
from functional_nn.handover import description
from functional_nn.handover.model import Model, rowless
from functional_nn.handover.parameters import flat


def versions() -> dict[str, str]:
    """The versions of functional_nn, jax and numpy that are in use, by name."""
    try:
        own = importlib.metadata.version("functional_nn")
    except importlib.metadata.PackageNotFoundError:  # the package runs without being installed
        own = "unknown"
    return {"functional_nn": own, "jax": jax.__version__, "numpy": np.__version__}


def describe(model: Model, tensors: bytes) -> dict[str, Any]:
    """The manifest of `model`, a dict of JSON values.

    Args:
      model: the model.
      tensors: the safetensors file with its parameters, whose SHA-256 goes into the manifest.

    Raises a ValueError if the model has a part that the library has no name for.
    """
    arrays = flat(model.params).values()
    return {
        "task": model.task,
        "network": description.of_network(model.net),
        "sizes": list(model.net.sizes),
        "loss": description.of_loss(model.loss),
        "parameters": {"sha256": hashlib.sha256(tensors).hexdigest(),
                       "dtype": ", ".join(sorted({str(array.dtype) for array in arrays})),
                       "count": sum(array.size for array in arrays)},
        "data": _of_data(model.data),
        "versions": dict(model.versions),
        "about": dict(model.about),
    }


def _of_data(data: Dataset) -> dict[str, Any]:
    encoder, standardizer = data.encoder, data.standardizer
    for name, value, kind in (("encoder", encoder, Encoder),
                              ("standardizer", standardizer, Standardizer)):
        if value is not None and type(value) is not kind:
            raise ValueError(f"dataset's {name} must be made by functional_nn.data to be written "
                             f"down, got {value!r}; apply it to the rows beforehand, and pass "
                             f"dataclasses.replace(data, {name}=None)")
    return {
        "name": data.name,
        "decided": data.decided,
        "class_names": list(data.class_names),
        "image_shape": None if data.image_shape is None else list(data.image_shape),
        "feature_names": list(data.feature_names),
        "columns": None if encoder is None else list(encoder.names),
        "format": None if encoder is None else dataclasses.asdict(encoder.format),
        "fill": None if encoder is None or encoder.fill is None else list(encoder.fill),
        "categories": None if encoder is None else {
            name: list(kinds) for name, kinds in encoder.categories.items()},
        "standardizer": None if standardizer is None else {
            "mean": np.asarray(standardizer.mean, np.float64).tolist(),
            "deviation": np.asarray(standardizer.deviation, np.float64).tolist()},
        "dtype": data.dtype,
        "scale": None if data.scale is None else list(map(float, data.scale)),
    }


def restore(content: Mapping[str, Any]) -> Model:
    """The model that a manifest describes, with the shapes of its parameters instead of values.

    Args:
      content: what `describe` returned, read from JSON.

    Raises an exception of any type if `content` does not describe a model.
    """
    net, loss = description.network(content["network"]), description.loss(content["loss"])
    params = jax.eval_shape(net.init, jax.random.key(0))
    return Model(net, params, loss, _data(content["data"], net.n_in), dict(content["about"]),
                 dict(content["versions"]))


def _data(of: Mapping[str, Any], n_in: int) -> Dataset:
    """The described data set without rows; a ValueError if its parts do not fit together."""
    encoder = standardizer = None
    if of["columns"] is not None:
        encoder = Encoder(_texts(of["columns"]), {
            name: _texts(kinds) for name, kinds in of["categories"].items()}, *_of_files(of, n_in))
        if encoder.feature_names != tuple(of["feature_names"]):
            raise ValueError("the columns and categories are not of these features")
    if of["standardizer"] is not None:
        standardizer = Standardizer(*(np.array(of["standardizer"][name], np.float64)
                                      for name in ("mean", "deviation")))
        mean, deviation = standardizer.mean, standardizer.deviation
        if (not mean.shape == deviation.shape == (n_in,)
                or not np.isfinite([mean, deviation]).all() or deviation.min() <= 0):
            raise ValueError("the standardizer must have a finite mean and a deviation above 0 for "
                             f"each of {n_in} features")
    scale = None if of.get("scale") is None else tuple(map(float, of["scale"]))
    if scale is not None and (len(scale) != 2 or not np.isfinite(scale).all() or scale[1] <= 0):
        raise ValueError("the scale must be a finite mean and a deviation above 0")
    dtype = of.get("dtype", "float32")
    if dtype not in ("float32", "float64"):
        raise ValueError(f"the dtype of the features must be float32 or float64, got {dtype!r}")
    shape = None if of["image_shape"] is None else tuple(
        checks.integer("image_shape", side) for side in of["image_shape"])
    name, decided = _texts([of["name"], of["decided"]])
    return rowless(name, _texts(of["feature_names"]), _texts(of["class_names"]), image_shape=shape,
                   decided=decided, encoder=encoder, standardizer=standardizer, dtype=dtype,
                   scale=scale)


def _of_files(of: Mapping[str, Any], n_in: int) -> tuple[Format, tuple[float, ...] | None]:
    """The format of files and the values that are filled in; older manifests have neither."""
    written = dict(of.get("format") or {"header": of.get("header", True) is not False})
    if written.get("missing") is not None:
        written["missing"] = _texts(written["missing"])
    fill = None if of.get("fill") is None else tuple(map(float, of["fill"]))
    if fill is not None and (len(fill) != n_in or not np.isfinite(fill).all()):
        raise ValueError(f"what is filled in must be a finite number for each of {n_in} features")
    return Format(**written), fill


def _texts(values) -> tuple[str, ...]:
    """A list of texts as a tuple; a ValueError for anything else."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"names must be a list of texts, got {str(values)[:40]}")
    return tuple(values)
