"""A folder with the checkpoints of a small run, and the checks that the tests here share."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn.checkpoint import Checkpoints

RUN = {"network": "mlp(4, 3)", "batch_size": 32}
STATE = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}


def fill(folder, steps=(100, 200, 300), **options):
    with Checkpoints(folder, run=RUN, **options) as checkpoints:
        for step in steps:
            checkpoints.save(step, {"w": STATE["w"] + step}, {"epoch": step // 100},
                             score=abs(step - 190))
    return folder


def image(folder):
    """The files of a folder: name -> (bytes, time of the last change)."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns)
            for path in folder.iterdir() if path.is_file()}


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
