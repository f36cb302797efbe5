"""The record of a run: JSON for people and programs to read, and what the run depended on."""

import contextlib
import functools
import importlib.metadata
import json
import math
import os
import platform
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from functional_nn.writing import file_beside

__all__ = ["exact", "line", "plain", "text", "versions", "write_json", "write_jsonl"]

UNUSUAL = re.compile("[^ -~\n]")
PACKAGES = ("jax", "jaxlib", "optax", "chex", "numpy", "scikit-learn")


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN and infinities become null."""
    with file_beside(path) as partial:
        partial.write_text(text(value) + "\n", encoding="utf-8")


def write_jsonl(path: str | os.PathLike, rows: Iterable[Any]) -> None:
    """Write each row as one line of JSON, whole or not at all; NaN and infinities become null."""
    with file_beside(path) as partial:
        partial.write_text("".join(map(line, rows)), encoding="utf-8")


def text(value: Any) -> str:
    """`value` as indented JSON; NaN and infinities, which JSON lacks, become null."""
    return _printable(json.dumps(plain(value), indent=2, allow_nan=False, ensure_ascii=False))


def line(row: Any) -> str:
    """`row` as one line of JSON with its line end; NaN and infinities become null."""
    return _printable(json.dumps(plain(row), allow_nan=False, ensure_ascii=False)) + "\n"


def _printable(written: str) -> str:
    """JSON with \\u escapes for all that is not printable, such as bytes that are not UTF-8."""
    return UNUSUAL.sub(
        lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], written)


def plain(value: Any, nonfinite: Callable[[float], Any] = lambda number: None) -> Any:
    """`value` in the types of JSON.

    Arrays become lists, dataclasses and named tuples become objects, paths and dtypes become text.

    Args:
      value: what is to be written.
      nonfinite: what stands for a NaN or an infinity; by default null.

    Raises:
      TypeError: a value, or a key, that has no such form.

    >>> plain({"cost": np.float32(0.5), "history": np.array([1.0, np.nan]), "sizes": (4, 2)})
    {'cost': 0.5, 'history': [1.0, None], 'sizes': [4, 2]}
    """
    inner = functools.partial(plain, nonfinite=nonfinite)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else nonfinite(value)
    if isinstance(value, Mapping):
        if odd := [key for key in value if not isinstance(key, str | int)]:
            raise TypeError(f"the keys of a record must be text, got {odd[0]!r}")
        return {str(key): inner(part) for key, part in value.items()}
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {field: inner(getattr(value, field)) for field in value.__dataclass_fields__}
    if hasattr(value, "_asdict"):
        return inner(value._asdict())
    if isinstance(value, list | tuple):
        return [inner(part) for part in value]
    if isinstance(value, os.PathLike | np.dtype):
        return str(value)
    if isinstance(value, jax.Array | np.ndarray | np.generic) and not jax.dtypes.issubdtype(
            value.dtype, jax.dtypes.extended):
        array = np.asarray(value)
        if array.dtype.kind in "biufV":
            return inner((array if array.dtype.kind != "V" else array.astype(float)).tolist())
    raise TypeError(f"a record cannot hold {value!r} of type {type(value).__name__}")


def exact(argument: str, value: Any, *, finite: bool = False) -> str:
    """`value` as compact JSON from which the same value is read again.

    Tuples become lists. NaN and infinities are kept, or with `finite` refused by a ValueError.

    Raises:
      TypeError: `value` is no mapping, or holds something that JSON would refuse or change, such as
        a key that is no text, or an array.

    >>> exact("record", {"cost": [0.5, float("inf")]})
    '{"cost":[0.5,Infinity]}'
    >>> exact("record", {"cost": {3: 0.5}})
    Traceback (most recent call last):
        ...
    TypeError: record['cost'] must have text as keys, got 3; write str(3)
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{argument} must be a dict of plain values, got {type(value).__name__}")
    value = dict(value)
    try:
        _check_exact(argument, value, finite)
        return json.dumps(value, separators=(",", ":"))
    except RecursionError:
        raise ValueError(f"{argument} must not be nested without end, got a value that holds "
                         "itself") from None


SCALARS = (str, int, float, bool, type(None))


def _check_exact(where: str, value: Any, finite: bool) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where} must have text as keys, got {key!r}; write str({key!r})")
            _check_exact(f"{where}[{key!r}]", inner, finite)
    elif isinstance(value, list | tuple):
        if finite or not all(type(inner) in SCALARS for inner in value):  # fast for a history
            for i, inner in enumerate(value):
                _check_exact(f"{where}[{i}]", inner, finite)
    elif not isinstance(value, SCALARS):
        fix = "an array is written as .tolist(), or kept in state" if hasattr(value, "shape") else (
            "write it as text or numbers")
        raise TypeError(f"{where} must be text, a number, True, False, None, or a list or dict of "
                        f"them, got {type(value).__name__}; {fix}")
    elif finite and isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} must be finite, got {value}; write None, or a text")


def versions() -> dict[str, str]:
    """What the numbers of a run depend on, as text: versions, system, devices and precision.

    No name of a machine and no path is in it.
    """
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    kinds = Counter(f"{device.platform} ({device.device_kind})" for device in jax.devices())
    return {**found, "platform": f"{platform.system()} {platform.machine()}",
            "devices": ", ".join(f"{count} × {kind}" for kind, count in kinds.items()),
            "x64": "on" if jax.config.jax_enable_x64 else "off"}
