"""`save` writes a model into a folder, `load` reads it.

`save` never overwrites a file, and leaves nothing behind if it fails.
"""

import dataclasses
import hashlib
import json
import os
import secrets
import shutil
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

MANIFEST, TENSORS = "manifest.json", "model.safetensors"


def save(folder: str | os.PathLike, net: Network, params, loss: str | Loss,
         dataset: Dataset | None = None, *, about: Mapping[str, Any] | None = None) -> Path:
    """Write a trained network into a folder, completely or not at all.

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
    model = Model(net, jax.tree.map(np.asarray, params), problem.loss, data,
                  _json("about", about or {}), manifest.versions())
    check(model)
    tensors = parameters.to_bytes(model.params)
    content = manifest.describe(model, tensors)
    _check_same(model, content, tensors)
    _write(folder, {TENSORS: tensors, MANIFEST: sealed.seal(content)})
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
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
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
    if path.is_dir():
        there = sorted(entry.name for entry in path.iterdir())
        if not there and path != Path.cwd():
            return path
        what = f"which holds {there[0]!r}" if there else "the current one"
    elif not path.exists():
        return path
    else:
        what = "which is a file"
    raise ValueError(f"folder must be new or empty, got {str(folder)!r}, {what}; "
                     "give another, as nothing is overwritten")


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files into a temporary folder beside `folder`, then rename it to `folder`.

    If anything fails, the temporary folder is deleted.
    """
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    partial.mkdir(parents=True)
    try:
        for name, data in files.items():
            (partial / name).write_bytes(data)
        os.replace(partial, folder)  # fails if another program has put something into the folder
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _json(argument: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` as JSON holds them; a ValueError names the first value that JSON cannot hold."""
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise TypeError(f"{argument} must be a mapping from names to values, "
                        f"got {str(values)[:60]}")
    for name, value in values.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{argument}[{name!r}] must be what JSON can hold, finite numbers, "
                             f"text, lists and mappings, got a {type(value).__name__} ({error}); "
                             "convert it with float(...) or str(...)") from error
    return json.loads(json.dumps(dict(values)))


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
