"""Resumed = uninterrupted; every error is a sentence and leaves the folder as it was."""

import concurrent.futures
import errno
import json
import os
import stat

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_nn as fnn
from functional_nn.checkpoint import Checkpoints, restore
from tests.checkpoint.runs import RUN, STATE, fill, image, refused, same


def test_a_resumed_run_is_an_uninterrupted_one(tmp_path):
    net, optimizer = fnn.mlp((4, 8, 3)), fnn.optimizers.adam(0.01)
    gradient = fnn.backprop.value_and_grad(net, "mse")

    @jax.jit
    def step(state):
        params, moments, key = state
        key, drawn = jax.random.split(key)
        X = jax.random.normal(drawn, (16, 4))
        updates, moments = optimizer.update(gradient(params, X, X[:, :3])[1], moments, params)
        return optax.apply_updates(params, updates), moments, key

    def start(seed):
        params = net.init(jax.random.key(seed))
        return params, optimizer.init(params), jax.random.key(seed + 1)

    state = start(0)
    for number in range(10):
        if number == 4:
            with Checkpoints(tmp_path, run=RUN) as checkpoints:
                checkpoints.save(number, state, {})
        state = step(state)
    resumed = restore(tmp_path, start(5))
    for _ in range(resumed.step, 10):
        resumed = resumed._replace(state=step(resumed.state))
    same(resumed.state, state)


def test_an_empty_folder_has_none(tmp_path):
    with Checkpoints(tmp_path / "a" / "new", run=RUN) as checkpoints:
        assert checkpoints.restore(STATE) is None and checkpoints.restore(STATE, best=True) is None
        assert checkpoints.steps == []
    with refused(tmp_path / "a" / "new", "the folder must hold a checkpoint, got none in 'FOLDER'", FileNotFoundError):
        restore(tmp_path / "a" / "new", STATE)
    with refused(tmp_path, "there is no folder 'FOLDER/b' to restore from", FileNotFoundError):
        restore(tmp_path / "b", STATE)
    with Checkpoints(tmp_path / "c", run=RUN) as checkpoints:
        checkpoints.save(1, STATE, {})
    with refused(tmp_path / "c", "the folder must hold a checkpoint with a score, got none in 'FOLDER'", FileNotFoundError):
        restore(tmp_path / "c", STATE, best=True)


def gone():
    array = jnp.ones(3)
    array.delete()
    return array


@pytest.mark.parametrize(("arguments", "kind", "words"), [
    ((300, STATE, {}), ValueError, "step must be more than 300, the latest in 'FOLDER', got 300; restore to go on from there, "
     "or name a new folder"),
    ((-1, STATE, {}), ValueError, "step must be an integer of at least 0, got -1"),
    ((400, {"name": "oak"}, {}), TypeError, "state['name'] must be an array of numbers, a key or a number, got str; save "
     "outside jit, and put text into record"),
    ((400, [np.array(["oak"])], {}), TypeError, "state[0] must be an array of numbers, a key or a number, got an array of <U3; "
     "save outside jit, and put text into record"),
    ((400, [2**63], {}), ValueError, "state[0] must fit 64 bits, got the integer 9223372036854775808; put it into record"),
    ((400, [gone()], {}), ValueError, "state[0] must still be there, got an array that was donated; save what the step "
     "returned"),
    ((400, STATE, [1]), TypeError, "record must be a dict of plain values, got list"),
    ((400, STATE, {"cost": [0.5, np.ones(2)]}), TypeError, "record['cost'][1] must be text, a number, True, False, None, or a "
     "list or dict of them, got ndarray; an array is written as .tolist(), or kept in state"),
    ((400, STATE, {"by": {3: 1}}), TypeError, "record['by'] must have text as keys, got 3; write str(3)"),
    ((400, STATE, {}, "low"), TypeError, "score must be a number such as the validation cost, or None, got 'low'"),
])
def test_what_cannot_be_kept_is_refused(tmp_path, arguments, kind, words):
    with Checkpoints(fill(tmp_path), run=RUN) as checkpoints:
        with refused(tmp_path, words, kind):
            checkpoints.save(*arguments)
        checkpoints.save(400, STATE, {}, jnp.asarray(0.5))
    assert restore(tmp_path, STATE, best=True).score == 0.5


def test_a_record_that_holds_itself_is_refused(tmp_path):
    record = {}
    record["record"] = record
    with Checkpoints(tmp_path, run=RUN) as checkpoints, refused(tmp_path, "record must not be nested without end, got a value "
                                                                "that holds itself"):
        checkpoints.save(1, STATE, record)


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


FULL = ("the checkpoint of step 400 could not be written to 'FOLDER': No space left on device; mend that, or name another "
        "folder")


def test_a_failed_save_is_told_by_the_next_and_leaves_nothing(tmp_path, monkeypatch):
    checkpoints = Checkpoints(fill(tmp_path), run=RUN)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with refused(tmp_path, FULL, OSError):
            checkpoints.save(400, STATE, {})
            checkpoints.save(500, STATE, {})
    checkpoints.save(400, STATE, {})
    assert checkpoints.steps == [200, 300, 400]
    checkpoints.close()
    with pytest.raises(ValueError, match="must be open to save"):
        checkpoints.save(500, STATE, {})


def test_a_failed_save_is_told_on_leaving(tmp_path, monkeypatch):
    fill(tmp_path)
    monkeypatch.setattr(os, "replace", full)
    with refused(tmp_path, FULL, OSError), Checkpoints(tmp_path, run=RUN) as checkpoints:
        checkpoints.save(400, STATE, {})
    with pytest.raises(ZeroDivisionError) as error, Checkpoints(tmp_path, run=RUN) as checkpoints:
        checkpoints.save(400, STATE, {})
        raise ZeroDivisionError
    assert error.value.__notes__ == [FULL.replace("FOLDER", str(tmp_path))]
    with Checkpoints(tmp_path, run=RUN):  # neither kept the folder locked
        pass


def test_a_folder_removed_meanwhile_is_told(tmp_path):
    with pytest.raises(OSError, match=r"^the checkpoint of step 1 could not be written to '.*/a': No such file or directory; "
                       "mend that, or name another folder$"), Checkpoints(tmp_path / "a", run=RUN) as checkpoints:
        (tmp_path / "a").rmdir()
        checkpoints.save(1, STATE, {})
    assert not image(tmp_path)


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path):
    with pytest.raises(OSError, match=r"there is a file 'step-000000001\.safetensors' already"), Checkpoints(
            tmp_path, run=RUN) as checkpoints:
        (tmp_path / "step-000000001.safetensors").write_text("mine")
        checkpoints.save(1, STATE, {})
    assert {name: data for name, (data, _) in image(tmp_path).items()} == {"step-000000001.safetensors": b"mine"}


def test_ctrl_c_ends_only_the_waiting(tmp_path, monkeypatch):
    from functional_nn.checkpoint import checkpoints as module
    once = iter([True])

    def interrupted(futures):
        if next(once, False):
            raise KeyboardInterrupt
        concurrent.futures.wait(futures)

    monkeypatch.setattr(module, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt), Checkpoints(tmp_path, run=RUN) as checkpoints:
        checkpoints.save(1, STATE, {})
        checkpoints.wait()
    same(restore(tmp_path, STATE).state, STATE)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch, number):
    """Network file systems sync files, but not the names in a folder."""
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    fill(tmp_path)
    assert restore(tmp_path, STATE).step == 300


def test_a_folder_that_fails_to_sync_is_a_failure(tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    fill(tmp_path)
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output error"), Checkpoints(tmp_path, run=RUN) as checkpoints:
        checkpoints.save(400, STATE, {})


def test_a_checkpoint_costs_the_same_however_long_the_history(tmp_path, monkeypatch):
    """Bytes that are written are counted: those of the files, and of the history once for each line."""
    written = []
    real = os.fsync

    def fsync(descriptor):
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            written.append((os.readlink(f"/proc/self/fd/{descriptor}").rpartition("/")[2], os.fstat(descriptor).st_size))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    row = {"epoch": 10**6, "cost": 0.1, "validation_cost": 0.2}
    sizes = []
    with Checkpoints(tmp_path, run=RUN) as checkpoints:
        for epoch in range(1, 301):
            written.clear()
            checkpoints.save(10**8 + epoch, STATE, {"epoch": 10**6 + epoch}, history=[row])
            checkpoints.wait()
            sizes.append(max(size for name, size in written if name.startswith(".step")))
    assert len(set(sizes[5:])) == 1 and max(sizes) - min(sizes) < 64
    assert written[0] == ("history.jsonl", 300 * (len(json.dumps(row, separators=(",", ":"))) + 1))
    assert restore(tmp_path, STATE).history == [row] * 300
