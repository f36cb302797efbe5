"""What is saved is restored to the bit; the latest and the best are kept; every error leaves the folder as it was."""

import concurrent.futures
import contextlib
import errno
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from safetensors import safe_open
from safetensors.numpy import load_file

import functional_nn as fnn
from functional_nn.checkpoint import Checkpoints, container, restore

RUN = {"network": "mlp(4, 3)", "batch_size": 32}
STATE = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}


def fill(folder, steps=(100, 200, 300), **options):
    with Checkpoints(folder, run=RUN, **options) as checkpoints:
        for step in steps:
            checkpoints.save(step, {"w": STATE["w"] + step}, {"epoch": step // 100}, score=abs(step - 190))
    return folder


def image(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir() if path.is_file()}


@contextlib.contextmanager
def refused(folder, words, kind=ValueError):
    """An error of exactly these words, and a folder that stays as it is."""
    before = image(folder)
    with pytest.raises(kind) as error:
        yield
    assert str(error.value) == words.replace("FOLDER", str(folder))
    assert image(folder) == before


def same(one, other):
    """Equal to the bit, and of the same types, dtypes, weak types, shapes and places."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert type(a) is type(b)
        if isinstance(a, jax.Array):
            assert a.aval == b.aval and a.sharding == b.sharding and a.committed == b.committed
            if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
                assert jax.random.key_impl(a) == jax.random.key_impl(b)
                a, b = jax.random.key_data(a), jax.random.key_data(b)
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def zeros(leaf):
    """A leaf like this one with other values."""
    if type(leaf) in (bool, int, float, complex):
        return type(leaf)()
    if isinstance(leaf, jax.Array):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(jnp.zeros_like(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        with jax.enable_x64(True):
            return jnp.zeros_like(leaf)
    return np.zeros_like(leaf) if isinstance(leaf, np.ndarray) else type(leaf)(0)


dtypes = st.sampled_from(["?", "i1", "u2", ">i4", "<i8", "f2", ">f4", "f8", "c8", "c16", jnp.bfloat16, jnp.float8_e4m3fn,
                          jnp.int4])
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@st.composite
def leaves(draw):
    kind = draw(st.sampled_from(["numpy", "numpy", "jax", "key", "number", "scalar"]))
    if kind == "number":
        return draw(st.booleans() | st.integers(-2**63, 2**63 - 1) | st.floats() | st.complex_numbers())
    if kind == "key":
        return jax.random.key(draw(st.integers(0, 2**31)), impl=draw(st.sampled_from(["threefry2x32", "rbg"])))
    dtype = np.dtype(draw(dtypes))
    shape = () if kind == "scalar" else draw(shapes)
    most = {"bool": 2, "int4": 8}.get(dtype.name, 256)
    bits = np.random.default_rng(draw(st.integers(0, 999))).integers(0, most, (*shape, dtype.itemsize), np.uint8)
    array = bits.view(dtype).reshape(shape)
    if kind == "jax":
        with jax.enable_x64(True):
            return jnp.array(array.astype(dtype.newbyteorder("=")))
    return array[()] if kind == "scalar" else array.T if draw(st.booleans()) else array


names = st.text(max_size=5)
trees = st.recursive(leaves() | st.none(), lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.builds(
    optax.TraceState, inner) | st.dictionaries(names, inner, max_size=3), max_leaves=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | names
plain = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
                     max_leaves=8)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(trees, st.dictionaries(names, plain, max_size=3), st.floats(allow_nan=False) | st.none())
def test_what_is_saved_is_restored_to_the_bit(tmp_path_factory, state, record, score):
    folder = tmp_path_factory.mktemp("round")
    with Checkpoints(folder, run=record) as checkpoints:
        checkpoints.save(7, state, record, score)
    saved = restore(folder, jax.tree.map(zeros, state))
    same(saved.state, state)
    assert (saved.step, saved.score, repr(saved.record), repr(saved.run)) == (7, score, repr(record), repr(record))
    assert container.read_header(next(folder.iterdir())).start % 8 == 0


def test_places_and_weak_types_come_back(tmp_path):
    mesh = jax.make_mesh((2,), ("d",), axis_types=(AxisType.Auto,))
    state = {"weak": jnp.asarray(1.5), "weak array": jnp.full(3, 2.0), "here": jax.device_put(jnp.ones(3), jax.devices()[1]),
             "spread": jax.device_put(jnp.arange(4), NamedSharding(mesh, PartitionSpec("d")))}
    assert state["weak"].weak_type and state["weak array"].weak_type
    with Checkpoints(tmp_path, run=RUN) as checkpoints:
        checkpoints.save(0, state, {})
        same(checkpoints.restore(jax.tree.map(jnp.zeros_like, state)).state, state)


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


def test_donated_and_changed_arrays_do_not_show(tmp_path, monkeypatch):
    step = jax.jit(lambda w: w * 2 + 1, donate_argnums=0)
    mine, given, record = np.ones(3), jnp.ones(100_000), {"cost": [1.0]}
    writing, write = concurrent.futures.Future(), container.write
    monkeypatch.setattr(container, "write", lambda *arguments: (writing.result(60), write(*arguments)))
    with Checkpoints(tmp_path, run=RUN) as checkpoints:
        checkpoints.save(1, {"given": given, "mine": mine}, record)
        given = step(step(given))
        mine[:] = 5
        record["cost"].append(2.0)
        jax.block_until_ready(given)
        writing.set_result(None)
    saved = restore(tmp_path, {"given": given, "mine": mine})
    assert (np.asarray(saved.state["given"]) == 1).all() and (saved.state["mine"] == 1).all()
    assert saved.record == {"cost": [1.0]}


@settings(derandomize=True, deadline=None, max_examples=25)
@given(st.lists(st.sampled_from([None, 0.25, 0.5, 1.0, float("nan"), float("inf")]), min_size=1, max_size=7),
       st.integers(1, 4), st.booleans(), st.integers(0, 7))
def test_the_last_and_the_best_are_kept(tmp_path_factory, scores, keep_last, keep_best, reopened):
    folder = tmp_path_factory.mktemp("kept")
    for part in (range(reopened), range(reopened, len(scores))):
        with Checkpoints(folder, run=RUN, keep_last=keep_last, keep_best=keep_best) as checkpoints:
            for step in [step for step in part if step < len(scores)]:
                checkpoints.save(step, step, {}, scores[step])
                assert checkpoints.steps[-1] == step
    rated = [step for step, score in enumerate(scores) if score is not None and score == score]
    best = min(rated, key=lambda step: scores[step], default=None)
    kept = set(range(len(scores))[-keep_last:]) | ({best} if keep_best and best is not None else set())
    assert sorted(path.name for path in folder.iterdir()) == [f"step-{step:09d}.safetensors" for step in sorted(kept)]
    with Checkpoints(folder, run=RUN) as checkpoints:
        assert checkpoints.steps == sorted(kept) and checkpoints.restore(0).state == max(kept)
        if keep_best:
            found = checkpoints.restore(0, best=True)
            assert (None if found is None else found.state) == best


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


@pytest.mark.parametrize(("run", "words"), [
    ({**RUN, "batch_size": 64}, "run['batch_size'] is 32 there, got 64; name a new folder, or give run['batch_size'] as it is "
     "there"),
    ({**RUN, "batch_size": 32.0}, "run['batch_size'] is 32 there, got 32.0; name a new folder, or give run['batch_size'] as it "
     "is there"),
    ({**RUN, "seed": {"a": 1}}, "run['seed'] is nothing there, got {'a': 1}; name a new folder, or give run['seed'] as it is "
     "there"),
    ({}, "run['network'] is 'mlp(4, 3)' there, got nothing; name a new folder, or give run['network'] as it is there"),
])
def test_a_folder_of_another_run_is_refused(tmp_path, run, words):
    with refused(fill(tmp_path), f"'FOLDER' belongs to another run: {words}"):
        Checkpoints(tmp_path, run=run)
    with Checkpoints(tmp_path, run=dict(reversed(RUN.items()))) as checkpoints:
        assert checkpoints.steps == [100, 200, 300]


def test_a_folder_with_other_files_is_not_written_to(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    words = "the folder must hold checkpoints of functional_nn and nothing else, got {} in 'FOLDER'; name a new folder"
    with refused(tmp_path, words.format("'notes.txt'")):
        Checkpoints(tmp_path, run=RUN)
    (tmp_path / "notes.txt").rename(tmp_path / "step-000000001.safetensors.partial")
    with refused(tmp_path, words.format("'step-000000001.safetensors.partial'")):
        Checkpoints(tmp_path, run=RUN)
    (tmp_path / "step-000000001.safetensors.partial").unlink()
    (tmp_path / "step-000000001.safetensors").mkdir()
    with refused(tmp_path, words.format("'step-000000001.safetensors'")):
        Checkpoints(tmp_path, run=RUN)
    (tmp_path / "file").write_text("mine")
    with refused(tmp_path, "the path must be a folder, got the file 'FOLDER/file'; name a new folder"):
        Checkpoints(tmp_path / "file", run=RUN)
    other = fill(tmp_path / "other")
    (other / "notes.txt").write_text("mine")
    assert restore(other, STATE).step == 300  # who only reads does not mind


def test_what_a_killed_save_left_goes_when_all_else_is_right(tmp_path):
    left = fill(tmp_path) / ".step-000000400.safetensors.123.partial"
    left.write_bytes(b"half")
    assert restore(tmp_path, STATE).step == 300 and left.exists()
    with pytest.raises(ValueError, match="belongs to another run"):
        Checkpoints(tmp_path, run={})
    assert left.exists()
    with Checkpoints(tmp_path, run=RUN):
        assert not left.exists() and len(image(tmp_path)) == 3


def test_one_writer_at_a_time(tmp_path):
    with Checkpoints(fill(tmp_path), run=RUN):
        with refused(tmp_path, "'FOLDER' must have one writer at a time, got a second one; close the first, or name another "
                     "folder"):
            Checkpoints(tmp_path, run=RUN)
        assert restore(tmp_path, STATE).step == 300
    with Checkpoints(tmp_path, run=RUN):
        pass


FIX = "make `like` as the saved run made its state"
HAS = "like must be a state such as FOLDER/step-000000300.safetensors holds: "


@pytest.mark.parametrize(("like", "words"), [
    ({"w": np.zeros((2, 4), np.float32)}, "state['w'] is float32 of shape (2, 3) there, got float32 of shape (2, 4)"),
    ({"w": jnp.zeros((2, 3), jnp.bfloat16)}, "state['w'] is float32 of shape (2, 3) there, got bfloat16 of shape (2, 3)"),
    ({"w": 1.0}, "state['w'] is float32 of shape (2, 3) there, got Python float"),
    ({"w": jax.random.split(jax.random.key(0), (2, 3))}, "state['w'] is float32 of shape (2, 3) there, got key<fry> of shape "
     "(2, 3)"),
    ({"v": STATE["w"]}, "state['w'] is float32 of shape (2, 3) there, got nothing"),
    ((), "state['w'] is float32 of shape (2, 3) there, got nothing"),
    ({**STATE, "b": np.zeros(2)}, "state['b'] is nothing there, got float64 of shape (2,)"),
])
def test_another_structure_is_refused_by_leaf(tmp_path, like, words):
    with refused(fill(tmp_path), f"{HAS}{words}; {FIX}"):
        restore(tmp_path, like)
    with Checkpoints(tmp_path, run=RUN) as checkpoints, refused(tmp_path, f"{HAS}{words}; {FIX}"):
        checkpoints.restore(like)


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


def test_a_traced_state_is_refused(tmp_path):
    with Checkpoints(tmp_path, run=RUN) as checkpoints, pytest.raises(TypeError, match=r"^state must be an array of numbers"):
        jax.jit(lambda w: checkpoints.save(1, w, {}))(jnp.ones(2))
    assert not image(tmp_path)


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


def test_other_tools_read_the_arrays(tmp_path):
    with Checkpoints(tmp_path, run=RUN) as checkpoints:
        checkpoints.save(1, ({"w": jnp.ones((2, 3), jnp.bfloat16)}, np.arange(6.0).reshape(2, 3).T, True), {})
    found = load_file(tmp_path / "step-000000001.safetensors")
    assert sorted(found) == ["state[0]['w']", "state[1]", "state[2]"]
    assert found["state[0]['w']"].dtype == jnp.bfloat16 and found["state[1]"].tolist() == [[0, 3], [1, 4], [2, 5]]
    with safe_open(tmp_path / "step-000000001.safetensors", "numpy") as file:
        assert json.loads(file.metadata()["run"]) == RUN
