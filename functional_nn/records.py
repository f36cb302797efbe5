"""The record of a run: JSON for people and programs to read, and what the run depended on."""

import contextlib
import importlib.metadata
import json
import math
import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

__all__ = ["beside", "line", "plain", "versions", "write_json", "write_jsonl"]

PACKAGES = ("jax", "jaxlib", "optax", "chex", "numpy", "scikit-learn")


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write `value` as JSON, for people to read. NaN and infinities, which JSON lacks, become null."""
    text = json.dumps(plain(value), indent=2, allow_nan=False, ensure_ascii=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def write_jsonl(path: str | os.PathLike, rows: Iterable[Any]) -> None:
    """Write each row as one line of JSON, with NaN and infinities as null."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(map(line, rows))


def line(row: Any) -> str:
    """`row` as one line of JSON, with its end."""
    return json.dumps(plain(row), allow_nan=False, ensure_ascii=False) + "\n"


def plain(value: Any) -> Any:
    """`value` in what JSON has: arrays as lists, dataclasses and named tuples as objects, paths and dtypes as text.

    Raises:
        TypeError: a value, or a key, that has no such form.

    >>> plain({"cost": np.float32(0.5), "history": np.array([1.0, np.nan]), "sizes": (4, 2)})
    {'cost': 0.5, 'history': [1.0, None], 'sizes': [4, 2]}
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        if odd := [key for key in value if not isinstance(key, str | int)]:
            raise TypeError(f"the keys of a record must be text, got {odd[0]!r}")
        return {str(key): plain(part) for key, part in value.items()}
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {field: plain(getattr(value, field)) for field in value.__dataclass_fields__}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, os.PathLike | np.dtype):
        return str(value)
    if isinstance(value, jax.Array | np.ndarray | np.generic) and not jax.dtypes.issubdtype(
            value.dtype, jax.dtypes.extended):
        array = np.asarray(value)
        if array.dtype.kind in "biufV":
            return plain((array if array.dtype.kind != "V" else array.astype(float)).tolist())
    raise TypeError(f"a record cannot hold {value!r} of type {type(value).__name__}")


def versions() -> dict[str, str]:
    """What a run depends on, in words: Python, packages, system, devices and the precision; no names of machines."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    kinds = Counter(f"{device.platform} ({device.device_kind})" for device in jax.devices())
    return {**found, "platform": f"{platform.system()} {platform.machine()}",
            "devices": ", ".join(f"{count} × {kind}" for kind, count in kinds.items()),
            "x64": "on" if jax.config.jax_enable_x64 else "off"}


@contextlib.contextmanager
def beside(path: str | os.PathLike) -> Iterator[Path]:
    """A file next to `path` to write to: it takes the place of `path` when the body succeeds, else it goes."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
