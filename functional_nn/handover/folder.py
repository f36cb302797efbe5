"""`save` writes a model into a folder, `load` reads it.

`save` never overwrites a file, and leaves nothing behind if it fails.
"""

import dataclasses
import hashlib
import json
import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from functional_nn.data import Dataset
from functional_nn.handover import manifest, parameters, sealed
from functional_nn.handover.model import Model, check, unnamed, without_rows
from functional_nn.losses import Loss
from functional_nn.network import Network
from functional_nn.objective import objective
from functional_nn.records import exact
from functional_nn.writing import folder_beside, occupied

MANIFEST, TENSORS = "manifest.json", "model.safetensors"


def save(folder: str | os.PathLike, net: Network, params, loss: str | Loss,
         dataset: Dataset | None = None, *, about: Mapping[str, Any] | None = None) -> Path:
    """Write a trained network into a folder, completely or not at all, and onto the disk.

    `load` makes a model of the folder that predicts from raw rows.

    Args:
      folder: a new or an empty folder.
      net: the network; its layers, activations and initialisers must be the library's.
      params: its trained parameters, finite floats of 16, 32 or 64 bits.
      loss: the loss it was trained with, by name or itself; it must be the library's.
      dataset: the data set it was trained on. Its names, categories and standardizer are saved,
        its rows are not. Without it, the features are named `column 0`, `column 1`, …; for the
        losses cross_entropy and, with one output, binary_cross_entropy the classes are named
        `0`, `1`, ….
      about: further JSON values to save, such as {"epochs": 30}.

    Returns the absolute path of the folder.

    Raises:
      ModuleNotFoundError: safetensors is not installed.
      ValueError: the folder is not empty; the arguments do not fit together; a parameter is NaN or
        infinite, or of another dtype; `about` holds values that JSON cannot; or a layer,
        activation, loss or initialiser is not the library's.
      TypeError: an argument is of a wrong type.

    >>> import functional_nn as fnn, tempfile
    >>> params = ({"w": np.array([[2.0, -1.0]], np.float32), "b": np.array([0.5], np.float32)},)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     line = Path(folder) / "line"
    ...     path = save(line, fnn.mlp((2, 1)), params, "mse", about={"made": "by hand"})
    ...     model = load(path)
    >>> model.net, model.predict([[3.0, 1.0]]).tolist(), model.about      # 2 · 3 − 1 · 1 + 0.5
    (Network(2 -> dense(1, linear)), [5.5], {'made': 'by hand'})
    """
    folder = _vacant(folder)
    problem = objective(net, loss)
    if not isinstance(dataset, Dataset | None):
        raise TypeError("dataset must be a data set such as fnn.data.load makes, or None, "
                        f"got a {type(dataset).__name__}")
    data = unnamed(net, problem.loss) if dataset is None else without_rows(dataset)
    net.check_params(params)
    told = json.loads(exact("about", about or {}, finite=True))
    model = Model(net, jax.tree.map(np.asarray, params), problem.loss, data, told,
                  manifest.versions())
    check(model)
    tensors = parameters.to_bytes(model.params)
    content = manifest.describe(model, tensors)
    _check_same(model, content, tensors)
    with folder_beside(folder, durable=True) as partial:
        (partial / TENSORS).write_bytes(tensors)
        (partial / MANIFEST).write_bytes(sealed.seal(content))
    return folder


def load(folder: str | os.PathLike) -> Model:
    """The model that `save` wrote into `folder`, with the same parameters bit for bit.

    No pickle is read, so loading runs no code from the folder.

    Raises:
      ModuleNotFoundError: safetensors is not installed.
      FileNotFoundError: there is no such folder, or one of its two files is missing.
      ValueError: a file is damaged, was changed, was not written by `save`, or was written by a
        newer version; the message says which.
      TypeError: `folder` is not a path.
    """
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder must be the path of a folder, got {folder!r}")
    folder = Path(folder)
    if not folder.is_dir():
        what = "a file" if folder.exists() else "nothing there"
        raise FileNotFoundError("folder must be one that handover.save wrote, got "
                                f"{str(folder)!r}, {what}; look for a mistake in the path")
    text, tensors = (_read(folder, name) for name in (MANIFEST, TENSORS))
    content = sealed.unseal(str(folder / MANIFEST), text)
    try:
        checksum, model = content["parameters"]["sha256"], manifest.restore(content)
    except Exception as error:  # a manifest that was edited and sealed again may hold anything
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 500, placeholder=" ...")
        raise ValueError(f"{folder / MANIFEST} must describe a model, got one that cannot be made "
                         f"({reason}); {sealed.AGAIN}") from error
    if hashlib.sha256(tensors).hexdigest() != checksum:
        raise ValueError(f"{folder / TENSORS} must be the file that was saved with its manifest, "
                         f"got {len(tensors):,} bytes with another sha256; {sealed.AGAIN}")
    model = dataclasses.replace(
        model, params=parameters.from_bytes(str(folder / TENSORS), tensors, model.net))
    check(model)
    return model


def _read(folder: Path, name: str) -> bytes:
    if not (folder / name).is_file():
        raise FileNotFoundError(f"folder must hold {MANIFEST} and {TENSORS} as handover.save "
                                f"writes them, got {str(folder)!r} without {name}; "
                                "copy the whole folder")
    return (folder / name).read_bytes()


def _vacant(folder: str | os.PathLike) -> Path:
    """The absolute path of a new or empty folder, without symbolic links.

    Raises a ValueError if the path is a file, a folder that is not empty, or the current folder,
    a TypeError if it is not a path.
    """
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder must be the path of a new folder, got {folder!r}")
    path = Path(folder).resolve()
    what = occupied(path)
    if what is None and path != Path.cwd():
        return path
    what = "the current one" if what is None else f"which {what}"
    raise ValueError(f"folder must be new or empty, got {str(folder)!r}, {what}; "
                     "give another, as nothing is overwritten")


def _check_same(model: Model, content: Mapping[str, Any], tensors: bytes) -> None:
    """Raise a ValueError unless the files to be written give the same network again.

    A foreign layer may have the name of one of the library's layers. Therefore the outputs of both
    networks are compared for one input, besides their descriptions.
    """
    x = np.linspace(-1, 1, model.net.n_in, dtype=np.float32)
    try:
        net = manifest.restore(json.loads(json.dumps(content))).net
        params = parameters.from_bytes(TENSORS, tensors, net)
        same = repr(net) == repr(model.net) and bool(jax.jit(lambda params, x: jnp.array_equal(
            net.apply(params, x), model.net.apply(params, x), equal_nan=True))(params, x))
    except (KeyError, TypeError, ValueError):
        same = False
    if not same:
        raise ValueError("net must be made of the library's layers to be written down, got "
                         f"{model.net!r}, which does not come back as it is; "
                         "make its layers with fnn.layers")
