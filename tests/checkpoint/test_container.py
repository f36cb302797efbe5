"""A file holds what was written; other tools read its arrays; every bit is under a checksum."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from functional_nn.checkpoint import Checkpoints, container, restore
from functional_nn.checkpoint.leaves import snapshot
from tests.checkpoint.damaged import GO_ON, LIKE, RUN, check_refused, path, state

STATE = {"a": np.arange(3, dtype=np.int8), "b": (np.ones((2, 2)), 7, np.zeros((0, 2), np.float16))}


@pytest.mark.parametrize("score", [None, 0.25, float("inf")])
def test_what_is_written_is_read(tmp_path, score):
    leaves, file = snapshot(STATE), tmp_path / "file"
    container.write(file, leaves, 12, score, '{"seed": 1}', '{"cost": [0.1]}')
    header, found = container.read(file)
    assert header == container.read_header(file) and header[:4] == (
        12, score, {"seed": 1}, {"cost": [0.1]})
    assert {name: (kind, shape, bytes(data)) for name, (kind, shape, data) in found.items()} == {
        leaf.name: (leaf.kind, leaf.shape, leaf.values.tobytes()) for leaf in leaves}
    for leaf in leaves:  # an array can be read in place
        _, _, _, start, _ = header.leaves[leaf.name]
        assert (header.start + start) % leaf.values.itemsize == 0


def test_a_file_is_never_overwritten(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError):
        container.write(tmp_path / "file", snapshot(STATE), 1, None, "{}", "{}")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("file", "mine")]


@pytest.mark.parametrize(("damage", "reason"), [
    (lambda data: b"", "it does not begin as a checkpoint does, in 0 bytes"),
    (lambda data: data[:60], "it has 60 bytes, and its header alone must have {header:,}"),
    (lambda data: data[:-1], "it has {short:,} bytes and must have {size:,}"),
    (lambda data: data + b"\0", "it has {long:,} bytes and must have {size:,}"),
    (lambda data: data[:-1] + bytes([data[-1] ^ 1]),
     "the values of state['m'] do not have the checksum that they were saved with"),
    (lambda data: data.replace(b"[0.333", b"[0.334"),
     "its header does not have the checksum that it was saved with"),
    (lambda data: b"PK" + data[2:],
     "it has {size:,} bytes, and its header alone must have {bent:,}"),
])
def test_damage_is_told_with_the_way_on(folder, damage, reason):
    whole = path(folder, 3).read_bytes()
    path(folder, 3).write_bytes(damage(whole))
    header, bent = (8 + int.from_bytes(data[:8], "little") for data in (whole, b"PK" + whole[2:]))
    reason = reason.format(size=len(whole), short=len(whole) - 1, long=len(whole) + 1,
                           header=header, bent=bent)
    check_refused(
        folder, f"checkpoint 'FOLDER/step-000000003.safetensors' is damaged: {reason}{GO_ON}")
    path(folder, 3).unlink()
    assert restore(folder, LIKE).step == 2


def test_safetensors_of_others_are_refused(folder):
    save_file({"w": LIKE["w"]}, path(folder, 3))
    check_refused(folder, "checkpoint 'FOLDER/step-000000003.safetensors' is damaged: it does not "
                  f"begin as a checkpoint does, in {path(folder, 3).stat().st_size} bytes{GO_ON}")


def test_a_newer_format_is_refused(folder, monkeypatch):
    own = container.FORMAT
    monkeypatch.setattr(container, "FORMAT", own + 1)
    container.write(path(folder, 4), snapshot(state(4)), 4, None, '{"seed":1}', "{}")
    monkeypatch.undo()
    check_refused(folder, "'FOLDER/step-000000004.safetensors' was made by a newer functional_nn "
                  f"(format {own + 1}, this one reads {own}); update functional_nn")


def test_an_older_format_is_refused(folder, monkeypatch):
    path(folder, 3).unlink()
    monkeypatch.setattr(container, "FORMAT", container.FORMAT + 1)
    with pytest.raises(ValueError, match=r"made by an older functional_nn \(format 2, this one reads 3\); go on with the v"):
        restore(folder, LIKE)


def test_every_bit_is_watched(tmp_path):
    with Checkpoints(tmp_path, run={}) as checkpoints:
        checkpoints.save(1, np.arange(3, dtype=np.int8), {})
    file = path(tmp_path, 1)
    whole = file.read_bytes()
    for bit in range(8 * len(whole)):
        bent = bytearray(whole)
        bent[bit // 8] ^= 1 << bit % 8
        file.write_bytes(bent)
        with pytest.raises(container.Damaged):
            container.read(file)


def test_other_tools_read_the_arrays(tmp_path):
    with Checkpoints(tmp_path, run=RUN) as checkpoints:
        checkpoints.save(1, ({"w": jnp.ones((2, 3), jnp.bfloat16)},
                             np.arange(6.0).reshape(2, 3).T, True), {})
    found = load_file(tmp_path / "step-000000001.safetensors")
    assert sorted(found) == ["state[0]['w']", "state[1]", "state[2]"]
    assert found["state[0]['w']"].dtype == jnp.bfloat16
    assert found["state[1]"].tolist() == [[0, 3], [1, 4], [2, 5]]
    with safe_open(tmp_path / "step-000000001.safetensors", "numpy") as file:
        assert json.loads(file.metadata()["run"]) == RUN
