"""What is saved is restored to the bit, with its types and places; other structures are refused."""

import concurrent.futures

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from functional_nn.checkpoint import Checkpoints, container, restore
from tests.checkpoint.runs import RUN, STATE, fill, image, refused, same

FIX = "make `like` as the saved run made its state"
HAS = "like must be a state such as FOLDER/step-000000300.safetensors holds: "


def zeros(leaf):
    """A leaf like this one with other values."""
    if type(leaf) in (bool, int, float, complex):
        return type(leaf)()
    if isinstance(leaf, jax.Array):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(jnp.zeros_like(jax.random.key_data(leaf)),
                                            impl=jax.random.key_impl(leaf))
        with jax.enable_x64(True):
            return jnp.zeros_like(leaf)
    return np.zeros_like(leaf) if isinstance(leaf, np.ndarray) else type(leaf)(0)


dtypes = st.sampled_from(["?", "i1", "u2", ">i4", "<i8", "f2", ">f4", "f8", "c8", "c16",
                          jnp.bfloat16, jnp.float8_e4m3fn, jnp.int4])
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@st.composite
def leaves(draw):
    kind = draw(st.sampled_from(["numpy", "numpy", "jax", "key", "number", "scalar"]))
    if kind == "number":
        return draw(st.booleans() | st.integers(-2**63, 2**63 - 1) | st.floats()
                    | st.complex_numbers())
    if kind == "key":
        return jax.random.key(draw(st.integers(0, 2**31)),
                              impl=draw(st.sampled_from(["threefry2x32", "rbg"])))
    dtype = np.dtype(draw(dtypes))
    shape = () if kind == "scalar" else draw(shapes)
    most = {"bool": 2, "int4": 8}.get(dtype.name, 256)
    bits = np.random.default_rng(draw(st.integers(0, 999))).integers(
        0, most, (*shape, dtype.itemsize), np.uint8)
    array = bits.view(dtype).reshape(shape)
    if kind == "jax":
        with jax.enable_x64(True):
            return jnp.array(array.astype(dtype.newbyteorder("=")))
    return array[()] if kind == "scalar" else array.T if draw(st.booleans()) else array


names = st.text(max_size=5)
trees = st.recursive(
    leaves() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.builds(
        optax.TraceState, inner) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | names
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(trees, st.dictionaries(names, plain, max_size=3), st.floats(allow_nan=False) | st.none())
def test_what_is_saved_is_restored_to_the_bit(tmp_path_factory, state, record, score):
    folder = tmp_path_factory.mktemp("round")
    with Checkpoints(folder, run=record) as checkpoints:
        checkpoints.save(7, state, record, score)
    saved = restore(folder, jax.tree.map(zeros, state))
    same(saved.state, state)
    assert (saved.step, saved.score) == (7, score)
    assert repr(saved.record) == repr(saved.run) == repr(record)
    assert container.read_header(next(folder.iterdir())).start % 8 == 0


def test_places_and_weak_types_come_back(tmp_path):
    mesh = jax.make_mesh((2,), ("d",), axis_types=(AxisType.Auto,))
    state = {"weak": jnp.asarray(1.5), "weak array": jnp.full(3, 2.0),
             "here": jax.device_put(jnp.ones(3), jax.devices()[1]),
             "spread": jax.device_put(jnp.arange(4), NamedSharding(mesh, PartitionSpec("d")))}
    assert state["weak"].weak_type and state["weak array"].weak_type
    with Checkpoints(tmp_path, run=RUN) as checkpoints:
        checkpoints.save(0, state, {})
        same(checkpoints.restore(jax.tree.map(jnp.zeros_like, state)).state, state)


def test_donated_and_changed_arrays_do_not_show(tmp_path, monkeypatch):
    step = jax.jit(lambda w: w * 2 + 1, donate_argnums=0)
    mine, given, record = np.ones(3), jnp.ones(100_000), {"cost": [1.0]}
    writing, write = concurrent.futures.Future(), container.write
    monkeypatch.setattr(
        container, "write", lambda *arguments: (writing.result(60), write(*arguments)))
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


@pytest.mark.parametrize(("like", "words"), [
    ({"w": np.zeros((2, 4), np.float32)},
     "state['w'] is float32 of shape (2, 3) there, got float32 of shape (2, 4)"),
    ({"w": jnp.zeros((2, 3), jnp.bfloat16)},
     "state['w'] is float32 of shape (2, 3) there, got bfloat16 of shape (2, 3)"),
    ({"w": 1.0}, "state['w'] is float32 of shape (2, 3) there, got Python float"),
    ({"w": jax.random.split(jax.random.key(0), (2, 3))},
     "state['w'] is float32 of shape (2, 3) there, got key<fry> of shape (2, 3)"),
    ({"v": STATE["w"]}, "state['w'] is float32 of shape (2, 3) there, got nothing"),
    ((), "state['w'] is float32 of shape (2, 3) there, got nothing"),
    ({**STATE, "b": np.zeros(2)}, "state['b'] is nothing there, got float64 of shape (2,)"),
])
def test_another_structure_is_refused_by_leaf(tmp_path, like, words):
    with refused(fill(tmp_path), f"{HAS}{words}; {FIX}"):
        restore(tmp_path, like)
    with Checkpoints(tmp_path, run=RUN) as checkpoints, refused(tmp_path, f"{HAS}{words}; {FIX}"):
        checkpoints.restore(like)


def test_a_traced_state_is_refused(tmp_path):
    with Checkpoints(tmp_path, run=RUN) as checkpoints, pytest.raises(
            TypeError, match=r"^state must be an array of numbers"):
        jax.jit(lambda w: checkpoints.save(1, w, {}))(jnp.ones(2))
    assert not image(tmp_path)
