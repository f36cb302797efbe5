"""Records: values come back as plain JSON, what JSON cannot hold is refused, and no machine is named."""

import dataclasses
import json
import os
import platform
from collections import namedtuple
from pathlib import Path
from typing import TypedDict

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn import records


@dataclasses.dataclass(frozen=True)
class Config:
    epochs: int = 3
    out: str | None = None


def test_records_come_back_as_plain_values(tmp_path):
    Point = namedtuple("Point", "x y")
    value = {"cost": jnp.float32(0.5), "counts": np.arange(3), "low": jnp.ones(2, jnp.bfloat16), "nan": float("nan"),
             "inf": np.float64("-inf"), "array": np.array([1.0, np.nan]), "config": Config(), "path": Path("a/b"),
             "point": Point(1, 2), "dtype": np.dtype("float32"), "yes": np.bool_(True), "none": None, "ä": "ö", 3: ()}
    records.write_json(tmp_path / "record.json", value)
    assert json.loads((tmp_path / "record.json").read_text(encoding="utf-8"), parse_constant=pytest.fail) == {
        "cost": 0.5, "counts": [0, 1, 2], "low": [1.0, 1.0], "nan": None, "inf": None, "array": [1.0, None],
        "config": {"epochs": 3, "out": None}, "path": "a/b", "point": {"x": 1, "y": 2}, "dtype": "float32", "yes": True,
        "none": None, "ä": "ö", "3": []}


def test_rows_are_lines(tmp_path):
    records.write_jsonl(tmp_path / "rows.jsonl", ({"epoch": epoch, "cost": np.float32(1 / epoch)} for epoch in (1, 2)))
    assert [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()] == [
        {"epoch": 1, "cost": 1.0}, {"epoch": 2, "cost": 0.5}]


@pytest.mark.parametrize("value", [object(), {1.5: 2}, 1j, np.array(["a"], dtype=object), jax.random.key(0), {1, 2}])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(TypeError, match="record"):
        records.plain({"value": value})


def test_versions_name_packages_and_devices_but_no_machine_and_no_path():
    found = records.versions()
    assert found["jax"] == jax.__version__ and {"python", "optax", "numpy", "scikit-learn", "devices"} <= set(found)
    assert found["devices"].startswith(f"{len(jax.devices())} × ")
    assert not any(str(Path.home()) in text or (platform.node() and platform.node() in text) for text in found.values())


def test_a_nonfinite_number_can_be_text():
    found = records.plain({"error": [np.inf, 1.0], "nan": jnp.float32("nan")}, nonfinite=str)
    assert found == {"error": ["inf", 1.0], "nan": "nan"}


VALUES = {"text": "ä", "n": [1, 2.5, None, True, {"a": []}], "history": [0.1 + 0.2, float("inf")]}


def test_exact_text_is_read_again_as_it_was():
    assert json.loads(records.exact("record", VALUES)) == VALUES
    assert np.isnan(json.loads(records.exact("record", {"x": float("nan")}))["x"])


@pytest.mark.parametrize(("value", "finite", "kind", "words"), [
    ([1], False, TypeError, "record must be a dict of plain values, got list"),
    ({"a": {3: 1}}, False, TypeError, "record['a'] must have text as keys, got 3; write str(3)"),
    ({"a": [1, np.ones(2)]}, False, TypeError, "record['a'][1] must be text, a number, True, False, None, or a list or dict "
     "of them, got ndarray; an array is written as .tolist(), or kept in state"),
    ({"a": {1}}, False, TypeError, "got set; write it as text or numbers"),
    ({"a": [0.0, float("nan")]}, True, ValueError, "record['a'][1] must be finite, got nan; write None, or a text")])
def test_what_exact_text_cannot_hold_is_refused_by_its_place(value, finite, kind, words):
    with pytest.raises(kind) as error:
        records.exact("record", value, finite=finite)
    assert words in str(error.value)


class Where(TypedDict):
    step: int
    score: float | None
    sizes: dict[str, tuple[str, list[int]]]


WHERE = {"step": 3, "score": 0.5, "sizes": {"w": ["f", [2, 3]]}}


@pytest.mark.parametrize("value", [WHERE, WHERE | {"score": None}, WHERE | {"score": 1}, WHERE | {"more": [None]}, WHERE | {"sizes": {}}])
def test_json_of_the_right_types_is_taken_as_it_is(value):
    assert records.typed("where", value, Where) is value


@pytest.mark.parametrize(("value", "words"), [
    ([], "where must be Where, got []"), ({"step": 3, "score": 1}, "where must be Where, got {'step': 3, 'score': 1}"),
    (WHERE | {"step": True}, "where['step'] must be int, got True"), (WHERE | {"step": 3.0}, "where['step'] must be int, got 3.0"),
    (WHERE | {"score": "1"}, "where['score'] must be float | None, got '1'"),
    (WHERE | {"sizes": {"w": ["f"]}}, "where['sizes']['w'] must be tuple[str, list[int]], got ['f']"),
    (WHERE | {"sizes": {"w": ["f", [2, None]]}}, "where['sizes']['w'][1][1] must be int, got None"),
    (WHERE | {"sizes": {"w": "fg"}}, "where['sizes']['w'] must be tuple[str, list[int]], got 'fg'")])
def test_json_of_another_type_is_named_by_its_place(value, words):
    with pytest.raises(ValueError) as error:
        records.typed("where", value, Where)
    assert str(error.value) == words


def test_the_number_of_threads_is_known(monkeypatch):
    assert int(records.versions()["threads"]) == len(os.sched_getaffinity(0))
    monkeypatch.setenv("NPROC", "3")
    assert records.versions()["threads"] == "3"
