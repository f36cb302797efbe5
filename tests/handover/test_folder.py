"""What is saved is loaded to the bit; a folder is whole or absent; a refusal is one sentence."""

import dataclasses
import os
import stat
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import handover, writing
from functional_nn.layers import dense, dropout, layer_norm, maxout, residual
from tests.handover.models import (
    AGAIN,
    IRIS,
    NET,
    PARAMS,
    assert_same,
    check_load_refused,
    contents,
    save,
    spoil,
)

EVERYTHING = fnn.sequential(
    4, dense(6, fnn.activations.elu.configure(alpha=0.5)), residual(layer_norm(), residual(dense(6, "silu")), dropout(0.2)),
    maxout(5, pieces=3), dense(3, "softmax"))


def drawn(net, dtype):
    """Parameters of the network, odd in every bit."""
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape).astype(dtype)),
                        jax.eval_shape(net.init, jax.random.key(0)))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16, jnp.float64])
@pytest.mark.parametrize("net", [NET, EVERYTHING], ids=["mlp", "everything"])
def test_what_is_saved_is_loaded_to_the_bit(tmp_path, net, dtype):
    with jax.enable_x64(dtype == jnp.float64):
        params = drawn(net, dtype)
        save(tmp_path / "m", net, params)
        model = handover.load(tmp_path / "m")
        assert_same(model.params, params)
    assert repr(model.net) == repr(net) and repr(model.loss) == "cross_entropy" and model.task == "classification"
    assert (model.feature_names, model.class_names, model.data.decided) == (IRIS.feature_names, IRIS.class_names, IRIS.decided)
    for name in ("mean", "deviation"):
        one, other = (getattr(data.standardizer, name) for data in (model.data, IRIS))
        assert one.dtype == other.dtype and one.tobytes() == other.tobytes()


def test_float64_is_kept_and_used_where_it_can_be(tmp_path):
    params = jax.tree.map(lambda p: np.asarray(p, np.float64) * (1 + 1e-12), PARAMS)  # x64 is off
    save(tmp_path / "m", params=params)
    model, rows = handover.load(tmp_path / "m"), fnn.data.load("iris").x_test
    assert_same(model.params, params)
    assert model.outputs(rows).dtype == np.float32
    with jax.enable_x64(True):
        assert model.outputs(rows).dtype == np.float64
        np.testing.assert_allclose(model.outputs(rows).sum(axis=1), 1, rtol=1e-14)


def test_both_files_have_the_usual_mode(tmp_path):
    mask = os.umask(0o027)
    try:
        save(tmp_path / "m")
    finally:
        os.umask(mask)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "m", *(tmp_path / "m").iterdir()]}
    assert modes == {"m": 0o750, "manifest.json": 0o640, "model.safetensors": 0o640}


def test_the_folder_may_be_empty_deep_or_linked(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    assert save(tmp_path / "link") == tmp_path / "empty"
    save(tmp_path / "a" / "b" / "c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "empty", "link"]
    assert sorted(path.name for path in (tmp_path / "a" / "b" / "c").iterdir()) == ["manifest.json", "model.safetensors"]
    assert_same(handover.load(str(tmp_path / "link")).params, PARAMS)


WINE = fnn.data.load("wine")
NAN = (PARAMS[0] | {"w": PARAMS[0]["w"].at[2, 1].set(jnp.nan)}, PARAMS[1])
LYING = dataclasses.replace(dense(3, "softmax"), forward=lambda params, a, key: (params["b"] - params["w"] @ a, a))
EMPTY = dataclasses.replace(dense(3, "softmax"), arguments={})
FLOAT8 = jax.tree.map(lambda p: np.asarray(p.astype(jnp.float8_e4m3fn)), PARAMS)


@pytest.mark.parametrize(("changes", "kind", "words"), [
    ({"dataset": WINE}, ValueError, "dataset must have the 4 features that the network takes, got wine with 13; pass the data "
     "set that the network was trained on"),
    ({"dataset": dataclasses.replace(IRIS, class_names=tuple("abcde"))}, ValueError, "dataset must have a class for each of "
     "the network's 3 outputs, got iris with 5 classes; where the outputs are no classes pass dataclasses.replace(data, "
     "class_names=())"),
    ({"dataset": (1, 2)}, TypeError, "dataset must be a data set such as fnn.data.load makes, or None, got a tuple"),
    ({"dataset": dataclasses.replace(IRIS, standardizer=len)}, ValueError, "dataset's standardizer must be made by "
     "functional_nn.data to be written down, got <built-in function len>; apply it to the rows beforehand, and pass "
     "dataclasses.replace(data, standardizer=None)"),
    ({"loss": "cross_entrpy"}, ValueError, "unknown loss 'cross_entrpy'; did you mean 'cross_entropy'? There are: "
     f"{', '.join(fnn.losses.LOSSES)}"),
    ({"params": NAN}, ValueError, "params[0]['w'] must be finite, got 1 NaN or inf of 20 values; the training diverged, so try "
     "a smaller learning rate"),
    ({"params": FLOAT8}, ValueError, "params 0/b must be of float16, bfloat16, float32 or float64, got float8_e4m3fn; convert "
     "it with astype"),
    ({"about": {"cost": np.float32(1)}}, TypeError, "about['cost'] must be text, a number, True, False, None, or a list or "
     "dict of them, got float32; an array is written as .tolist(), or kept in state"),
    ({"about": {"cost": [1.0, float("nan")]}}, ValueError, "about['cost'][1] must be finite, got nan; write None, or a text"),
    ({"about": [1]}, TypeError, "about must be a dict of plain values, got list"),
    *(({"net": fnn.sequential(4, dense(5, "tanh"), layer)}, ValueError, "net must be made of the library's layers to be "
       "written down, got Network(4 -> dense(5, tanh) -> dense(3, softmax)), which does not come back as it is; make its "
       "layers with fnn.layers") for layer in (LYING, EMPTY)),
])
def test_save_says_what_does_not_fit_and_writes_nothing(changes, kind, words, tmp_path):
    with pytest.raises(kind) as error:
        save(tmp_path / "m", **changes)
    assert str(error.value) == words
    assert not contents(tmp_path)


def test_params_of_another_network_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^params is not of this network: params\[0\]\['b'\] must have shape \(5,\), got "):
        save(tmp_path / "m", params=fnn.mlp((4, 6, 3)).init(jax.random.key(0)))
    assert not contents(tmp_path)


def test_nothing_is_ever_overwritten(tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = contents(tmp_path)
    for name, what in (("../full", "which holds 'notes'"), ("../file", "which is a file"), (".", "the current one")):
        with pytest.raises(ValueError) as error:
            save(name)
        assert str(error.value) == f"folder must be new or empty, got {name!r}, {what}; give another, as nothing is overwritten"
    with pytest.raises(TypeError, match=r"^folder must be the path of a new folder, got 3$"):
        save(3)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("step", ["write", "replace", "race"])
def test_what_ends_halfway_leaves_nothing(tmp_path, monkeypatch, step, there, fault):
    def fail(*arguments):
        assert any(path.name == "model.safetensors" for path in tmp_path.rglob("*"))  # it was halfway
        raise fault

    def write(path, data, write_bytes=Path.write_bytes):
        fail() if path.name == "manifest.json" else write_bytes(path, data)

    def race(partial, folder, replace=os.replace):
        folder.mkdir(exist_ok=True)
        (folder / "notes").write_text("mine")
        replace(partial, folder)

    if there:
        (tmp_path / "m").mkdir()
    before = contents(tmp_path)
    if step == "race":
        before, fault = {"m": None, "m/notes": b"mine"}, OSError
        monkeypatch.setattr(writing.os, "replace", race)
    else:
        monkeypatch.setattr(*((Path, "write_bytes", write) if step == "write" else (writing.os, "replace", fail)))
    with pytest.raises(fault if isinstance(fault, type) else OSError):
        save(tmp_path / "m")
    assert contents(tmp_path) == before


def test_a_process_that_is_killed_leaves_no_model(tmp_path, monkeypatch):
    monkeypatch.setattr(writing.shutil, "rmtree", lambda *arguments, **options: None)  # no time to clean up
    monkeypatch.setattr(writing.os, "replace", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(tmp_path / "m")
    assert not (tmp_path / "m").exists()
    monkeypatch.undo()
    save(tmp_path / "m")
    assert_same(handover.load(tmp_path / "m").params, PARAMS)


def flipped(data, place=-3):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1:]


SHA = ("{m}/model.safetensors must be the file that was saved with its manifest, got {size} bytes "
       "with another sha256" + AGAIN)
WITHOUT = ("folder must hold manifest.json and model.safetensors as handover.save writes them, got "
           "'{m}' without {name}; copy the whole folder")


@pytest.mark.parametrize(("spoil", "kind", "words", "fields"), [
    (spoil("model.safetensors", flipped), ValueError, SHA, {"size": "..."}),
    (spoil("model.safetensors", lambda data: data[:100]), ValueError, SHA, {"size": "100"}),
    (lambda m: (m / "manifest.json").unlink(), FileNotFoundError, WITHOUT,
     {"name": "manifest.json"}),
    (lambda m: (m / "model.safetensors").unlink(), FileNotFoundError, WITHOUT,
     {"name": "model.safetensors"}),
])
def test_load_says_what_is_wrong(spoil, kind, words, fields, tmp_path):
    check_load_refused(tmp_path, spoil, kind, words, fields)


def test_load_says_that_there_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    for name, what in (("nothing", "nothing there"), ("file", "a file")):
        with pytest.raises(FileNotFoundError) as error:
            handover.load(tmp_path / name)
        assert str(error.value) == (f"folder must be one that handover.save wrote, got '{tmp_path / name}', {what}; look for a "
                                    "mistake in the path")
    with pytest.raises(TypeError, match=r"^folder must be the path of a folder, got None$"):
        handover.load(None)
