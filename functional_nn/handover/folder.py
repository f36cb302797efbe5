"""`save` and `load`: a model and its folder. What is there is never overwritten, and what fails leaves nothing behind."""

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


def save(folder: str | os.PathLike, net: Network, params, loss: str | Loss, dataset: Dataset | None = None, *,
         about: Mapping[str, Any] | None = None) -> Path:
    """Write the trained network into a folder from which it predicts, here by `load` and elsewhere: whole, or not at all.

    Args:
      folder: a new or an empty one.
      net, params, loss: as they were trained; made of what the library has names for.
      dataset: what it was trained on: names, categories and the standardizer are kept, rows are not. Without it features are
        called `column 0`, …, and classes, of cross_entropy and of one output of binary_cross_entropy, by their number.
      about: anything to remember that JSON can hold, such as {"epochs": 30}.

    Returns the folder.

    Raises:
      ModuleNotFoundError: safetensors is missing.
      ValueError, TypeError: the folder holds something, the arguments do not belong together, a parameter is NaN or infinite,
        or a layer, activation, loss or initialiser is not one of the library's.

    >>> import functional_nn as fnn, tempfile
    >>> params = ({"w": np.array([[2.0, -1.0]], np.float32), "b": np.array([0.5], np.float32)},)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(Path(folder) / "line", fnn.mlp((2, 1)), params, "mse", about={"made": "by hand"})
    ...     model = load(path)
    >>> model.net, model.predict([[3.0, 1.0]]).tolist(), model.about                   # 2 · 3 − 1 · 1 + 0.5
    (Network(2 -> dense(1, linear)), [5.5], {'made': 'by hand'})
    """
    folder = _vacant(folder)
    problem = objective(net, loss)
    if not isinstance(dataset, Dataset | None):
        raise TypeError(f"dataset must be a data set such as fnn.data.load makes, or None, got a {type(dataset).__name__}")
    data = unnamed(net, problem.loss) if dataset is None else without_rows(dataset)
    net.check_params(params)
    model = Model(net, jax.tree.map(np.asarray, params), problem.loss, data, _json("about", about or {}), manifest.versions())
    check(model)
    tensors = parameters.to_bytes(model.params)
    content = manifest.describe(model, tensors)
    _check_same(model, content, tensors)
    _write(folder, {TENSORS: tensors, MANIFEST: sealed.seal(content)})
    return folder


def load(folder: str | os.PathLike) -> Model:
    """The model that `save` wrote into `folder`, to the bit; see `Model` for what it does. No pickle is opened.

    Raises:
      ModuleNotFoundError: safetensors is missing.
      FileNotFoundError: there is no such folder, or one of its two files is missing.
      ValueError: a file is damaged, changed, foreign, or made by a newer version; in a sentence that says which.
    """
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder must be the path of a folder, got {folder!r}")
    folder = Path(folder)
    if not folder.is_dir():
        what = "a file" if folder.exists() else "nothing there"
        raise FileNotFoundError(f"folder must be one that handover.save wrote, got {str(folder)!r}, {what}; look for a mistake "
                                "in the path")
    text, tensors = (_read(folder, name) for name in (MANIFEST, TENSORS))
    content = sealed.unseal(str(folder / MANIFEST), text)
    try:
        checksum, model = content["parameters"]["sha256"], manifest.restore(content)
    except Exception as error:  # a manifest that was sealed again may hold anything at any place
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ValueError(f"{folder / MANIFEST} must describe a model, got one that cannot be made ({reason}); "
                         f"{sealed.AGAIN}") from error
    if hashlib.sha256(tensors).hexdigest() != checksum:
        raise ValueError(f"{folder / TENSORS} must be the file that was saved with its manifest, got {len(tensors):,} bytes "
                         f"with another sha256; {sealed.AGAIN}")
    model = dataclasses.replace(model, params=parameters.from_bytes(str(folder / TENSORS), tensors, model.net))
    check(model)
    return model


def _read(folder: Path, name: str) -> bytes:
    if not (folder / name).is_file():
        raise FileNotFoundError(f"folder must hold {MANIFEST} and {TENSORS} as handover.save writes them, got {str(folder)!r} "
                                f"without {name}; copy the whole folder")
    return (folder / name).read_bytes()


def _vacant(folder: str | os.PathLike) -> Path:
    """The path of the folder, without links; an error where anything would be overwritten."""
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
    raise ValueError(f"folder must be new or empty, got {str(folder)!r}, {what}; give another, as nothing is overwritten")


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """All files in a folder next to `folder`, which becomes `folder` once it is whole, and else goes."""
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    partial.mkdir(parents=True)
    try:
        for name, data in files.items():
            (partial / name).write_bytes(data)
        os.replace(partial, folder)  # fails where something has come into the folder meanwhile
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _json(argument: str, values: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise TypeError(f"{argument} must be a mapping from names to values, got {str(values)[:60]}")
    for name, value in values.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{argument}[{name!r}] must be what JSON can hold, finite numbers, text, lists and mappings, got "
                             f"a {type(value).__name__} ({error}); convert it with float(...) or str(...)") from error
    return json.loads(json.dumps(dict(values)))


def _check_same(model: Model, content: Mapping[str, Any], tensors: bytes) -> None:
    """A ValueError unless what is to be written is the model: a layer may only bear the name of a known one."""
    x = np.linspace(-1, 1, model.net.n_in, dtype=np.float32)
    try:
        net = manifest.restore(json.loads(json.dumps(content))).net
        params = parameters.from_bytes(TENSORS, tensors, net)
        same = repr(net) == repr(model.net) and bool(jax.jit(lambda params, x: jnp.array_equal(
            net.apply(params, x), model.net.apply(params, x), equal_nan=True))(params, x))
    except (KeyError, TypeError, ValueError):
        same = False
    if not same:
        raise ValueError(f"net must be made of the library's layers to be written down, got {model.net!r}, which does not come "
                         "back as it is; make its layers with fnn.layers")
