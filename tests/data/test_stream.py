"""Chunks are the whole: the same mini-batches in the same order, so the same parameters to the bit, from memory or a file."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import functional_nn as fnn
from functional_nn.data import Standardizer, epoch_indices, stream

sizes = st.integers(1, 20).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


@settings(derandomize=True, deadline=None, max_examples=8)
@given(sizes, st.integers(1, 500), st.integers(0, 9), st.booleans())
def test_the_mini_batches_are_those_of_the_whole(sizes, chunk_bytes, seed, shuffle):
    (n, size), key = sizes, jax.random.key(seed)
    X, Y = np.arange(3.0 * n, dtype=np.float32).reshape(n, 3), np.arange(n, dtype=np.int32)
    full, rest = epoch_indices(key, n, size, shuffle=shuffle)
    batches = [np.asarray(rows) for rows in full] + [np.asarray(rest)] * bool(len(rest))
    chunks = list(stream(X, Y, chunk_bytes=chunk_bytes).chunks(key, size, shuffle=shuffle))
    streamed = [(x, y) for xs, ys in chunks for x, y in zip(xs, ys, strict=True)]
    assert [np.asarray(y).tolist() for _, y in streamed] == [rows.tolist() for rows in batches]
    for (x, _), rows in zip(streamed, batches, strict=True):
        np.testing.assert_array_equal(x, X[rows])
    assert all(x.nbytes + y.nbytes <= max(chunk_bytes, size * 16) for x, y in chunks)
    assert len({x.shape for x, _ in chunks}) <= 3  # whole chunks, a shorter one, the rest: as many compilations


def in_chunks(net, optimizer, params, state, chunks):
    """An epoch of training on chunks, as `fit` has it on the whole."""
    step = fnn.backprop.value_and_grad(net, "cross_entropy")

    def one(carry, batch):
        params, state = carry
        cost, gradient = step(params, *batch)
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), cost

    scan = jax.jit(lambda carry, chunk: jax.lax.scan(one, carry, chunk))
    for chunk in chunks:
        (params, state), _ = scan((params, state), chunk)
    return params


def test_training_on_chunks_is_training_on_the_whole(tmp_path):
    iris = fnn.data.standardize(fnn.data.load("iris"))
    np.save(tmp_path / "X.npy", iris.x_train)
    data = stream(np.load(tmp_path / "X.npy", mmap_mode="r"), iris.y_train, chunk_bytes=1000)
    net, optimizer = fnn.mlp((4, 8, 3), hidden="tanh", output="softmax"), fnn.optimizers.sgd(0.1, momentum=0.9)
    key = jax.random.key(2)
    params = net.init(jax.random.key(0))
    epoch = jax.jit(fnn.training.epoch_function(
        net, fnn.backprop.value_and_grad(net, "cross_entropy"), optimizer, len(data), 16))
    whole, _, _ = epoch(params, optimizer.init(params), key, jnp.asarray(iris.x_train), jnp.asarray(iris.y_train))
    order_key, _, _ = jax.random.split(key, 3)
    streamed = in_chunks(net, optimizer, params, optimizer.init(params), data.chunks(order_key, 16))
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(streamed), strict=True):
        np.testing.assert_array_equal(one, other)


def test_only_the_rows_of_a_chunk_are_read():
    taken = []

    class Watched(np.ndarray):
        def __getitem__(self, rows):
            taken.append(np.size(rows))
            return np.asarray(super().__getitem__(rows))

    X = np.zeros((1000, 4), np.uint8).view(Watched)
    for x, _ in stream(X, np.arange(1000), chunk_bytes=1000).chunks(jax.random.key(0), 10):
        assert x.dtype == jnp.float32 and x.nbytes <= 1000
    assert max(taken) <= 50 and sum(taken) == 1001


def test_rows_are_transformed_as_they_are_read():
    X = np.random.default_rng(0).integers(0, 255, (100, 3), dtype=np.uint8)
    fitted = Standardizer.fit(X)
    [(x, y)] = stream(X, np.arange(100), transform=fitted).chunks(None, None, shuffle=False)
    np.testing.assert_array_equal(x[0], fitted(X))
    assert y.shape == (1, 100)


def test_a_standardizer_is_fitted_in_blocks(monkeypatch, tmp_path):
    x = np.random.default_rng(0).normal(3, 2, (1000, 3))
    x[:, 1] = 0.1
    np.save(tmp_path / "x.npy", x)
    whole = Standardizer.fit(x)
    monkeypatch.setattr(sys.modules[Standardizer.__module__], "ROWS_AT_ONCE", 64)
    blocks = Standardizer.fit(np.load(tmp_path / "x.npy", mmap_mode="r"))
    np.testing.assert_allclose(blocks.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(blocks.deviation, whole.deviation, rtol=1e-12)
    assert blocks.mean[1] == 0.1 and blocks.deviation[1] == 1.0


X, Y, KEY = np.ones((6, 2)), np.arange(6), jax.random.key(0)
NAN = np.where(np.arange(12).reshape(6, 2) == 9, np.nan, 1.0)


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: stream([[1.0]], Y), TypeError,
     "X must be a NumPy array of numbers, such as np.load(path, mmap_mode='r'), got list"),
    (lambda: stream(X, Y.astype(str)), TypeError,
     "Y must be a NumPy array of numbers, such as np.load(path, mmap_mode='r'), got <U21 of shape (6,)"),
    (lambda: stream(X, Y[:5]), ValueError, "X and Y must be of shapes (n, features) and (n, …), with one example at least, got "
     "(6, 2) and (5,); give one feature as X[:, None]"),
    (lambda: stream(X[:0], Y[:0]), ValueError, "X and Y must be of shapes (n, features) and (n, …), with one example at least, "
     "got (0, 2) and (0,); give one feature as X[:, None]"),
    (lambda: stream(X, Y, chunk_bytes=0), ValueError, "chunk_bytes must be an integer of at least 1, got 0"),
    (lambda: stream(X, Y, transform=255), TypeError,
     "transform must be a function of rows of X, such as a fitted Standardizer, got 255"),
    (lambda: stream(X, Y).chunks(KEY, 7), ValueError,
     "batch_size must be an integer from 1 to 6, the number of examples, got 7; pass None for all"),
    (lambda: stream(X, Y).chunks(0, 2), TypeError, "key must be a typed key, got 0; make one with jax.random.key(seed)"),
    (lambda: list(stream(NAN, Y).chunks(KEY, 2)), ValueError,
     "X must be finite, got a NaN or inf in row 4; drop or impute those rows first"),
    (lambda: list(stream(X, NAN[:, 1]).chunks(KEY, 2)), ValueError,
     "Y must be finite, got a NaN or inf in row 4; drop or impute those rows first"),
    (lambda: list(stream(X, Y, transform=lambda x: x[:1]).chunks(KEY, 2)), ValueError,
     "transform must return one row for each it is given, got 1 for 6"),
])
def test_names_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == words
