"""The record of a run: JSON for people and programs to read, and what the run depended on."""

import contextlib
import functools
import importlib.metadata
import json
import math
import os
import platform
import re
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from functional_nn.writing import file_beside

__all__ = ["Notice", "exact", "line", "plain", "text", "typed", "versions", "write_json",
           "write_jsonl"]

UNUSUAL = re.compile("[^ -~\n]")
PACKAGES = ("functional_nn", "jax", "jaxlib", "optax", "chex", "numpy", "scikit-learn")


class Notice(UserWarning):
    """What a user should know of a run that goes on all the same."""


def write_json(path: str | os.PathLike, value: Any, *, durable: bool = False) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN and infinities become null.

    With `durable`, return only when the file would survive a power cut.
    """
    with file_beside(path, durable=durable) as partial:
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


def typed(where: str, value: Any, wanted: Any) -> Any:
    """A value read from JSON, after a check that it has the type `wanted`.

    Args:
      where: the name of the value, for the error message.
      value: what `json.loads` returned.
      wanted: a type in the notation of annotations, made of `dict[str, …]`, `list[…]`,
        `tuple[…]` (a list of exactly these), `TypedDict` classes, unions, None, bool, int, float,
        str and Any. An int is a float too, and a bool is no int.

    Raises a ValueError that names the first place of another type.

    >>> typed("header", {"step": 3, "sizes": [4, 2]}, dict[str, int | list[int]])
    {'step': 3, 'sizes': [4, 2]}
    >>> typed("header", {"step": 3, "sizes": [4, "2"]}, dict[str, int | list[int]])
    Traceback (most recent call last):
        ...
    ValueError: header['sizes'] must be int | list[int], got [4, '2']
    """
    if not _is(value, wanted):
        for name, inner, kind in _parts(value, wanted):
            typed(f"{where}{name}", inner, kind)
        shown = repr(value)
        kind = wanted if typing.get_origin(wanted) else getattr(wanted, "__name__", wanted)
        raise ValueError(f"{where} must be {kind}, got "
                         f"{shown if len(shown) <= 80 else shown[:80] + '…'}")
    return value


def _is(value: Any, wanted: Any) -> bool:
    """Whether a value read from JSON has the type `wanted`, as for `typed`."""
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        return any(_is(value, kind) for kind in inner)
    if typing.is_typeddict(wanted):
        return (isinstance(value, dict) and wanted.__required_keys__ <= set(value)
                and all(_is(part, kind) for _, part, kind in _parts(value, wanted)))
    if origin in (dict, list, tuple):
        if not isinstance(value, dict if origin is dict else list):
            return False
        if origin is tuple and len(value) != len(inner):
            return False
        return all(_is(part, kind) for _, part, kind in _parts(value, wanted))
    if wanted is Any:
        return True
    return type(value) in ({float, int} if wanted is float else {wanted or type(None)})


def _parts(value: Any, wanted: Any) -> list[tuple[str, Any, Any]]:
    """The entries of a dict or list: where each is, the entry, and the type it should have."""
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if isinstance(value, dict) and (origin is dict or typing.is_typeddict(wanted)):
        kinds = typing.get_type_hints(wanted) if origin is None else {}
        return [(f"[{key!r}]", part, inner[1] if origin is dict else kinds.get(key, Any))
                for key, part in value.items()]
    if isinstance(value, list) and origin in (list, tuple):
        kinds = inner if origin is tuple else [inner[0]] * len(value)
        return [(f"[{i}]", part, kind)
                for i, (part, kind) in enumerate(zip(value, kinds, strict=False))]
    return []


def versions() -> dict[str, str]:
    """What the numbers of a run depend on, as text: versions, system, devices and precision.

    `threads` is how many threads a CPU computes with; sums are split between them, so that another
    number of threads rounds differently. No name of a machine and no path is in it.
    """
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    kinds = Counter(f"{device.platform} ({device.device_kind})" for device in jax.devices())
    return {**found, "platform": f"{platform.system()} {platform.machine()}",
            "devices": ", ".join(f"{count} × {kind}" for kind, count in kinds.items()),
            "threads": str(_threads()),
            "x64": "on" if jax.config.jax_enable_x64 else "off"}


def _threads() -> int:
    """The number of threads that XLA computes with on a CPU: $NPROC, or the cores it may use."""
    if (given := os.environ.get("NPROC", "")).isdigit():
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
