"""A weight counts as so many examples; what is held out is a share of every class; stream = arrays."""

import jax
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

import functional_nn as fnn
from functional_nn.training.sources import examples
from tests.training.runs import NOISY, SGD, N, X, Y, close, fit, same

COUNTS = np.array([0, 1, 2, 3, 1, 0, 2, 1, 1, 4, 1, 1, 2])


@pytest.mark.parametrize("value_and_grad", [fnn.backprop.value_and_grad, fnn.autodiff.value_and_grad])
def test_a_weight_counts_as_so_many_examples(value_and_grad):
    with jax.enable_x64(True):
        options = {"batch_size": None, "shuffle": False, "value_and_grad": value_and_grad}
        weighted = fit(sample_weights=COUNTS.astype(float), **options)
        repeated = fit(data=(X.repeat(COUNTS, axis=0), Y.repeat(COUNTS)), **options)
        close(weighted.params, repeated.params)
        close(weighted.history["cost"], repeated.history["cost"])


def test_only_the_ratios_of_weights_matter():
    with jax.enable_x64(True):
        ones, plain = fit(sample_weights=np.full(N, 7.0)), fit()
        close(ones.params, plain.params)
        close(ones.history["cost"], plain.history["cost"])


def test_mini_batches_weigh_as_the_whole_does():
    """The sum over an epoch's batches of their steps at a rate near 0 is the step of the whole: no batch is scaled anew."""
    with jax.enable_x64(True):
        weights = np.linspace(0, 3, N)
        steps = []
        for size, n in ((None, 1), (1, N)):
            start = NOISY.init(jax.random.key(3), "float64")
            run = fit(NOISY, params=start, batch_size=size, epochs=1, sample_weights=weights, shuffle=False,
                      optimizer=fnn.optimizers.sgd(1e-7), value_and_grad=without_dropout)
            steps.append(jax.tree.map(lambda a, b, n=n: (a - b) / n, run.params, start))
        close(steps[0], steps[1], 1e-10)
        assert all(np.abs(leaf).max() > 1e-9 for leaf in jax.tree.leaves(steps[0]))


def without_dropout(net, loss, reduction="mean"):
    run = fnn.backprop.value_and_grad(net, loss, reduction)
    return lambda params, X, Y, key, **weights: run(params, X, Y, **weights)


@pytest.mark.parametrize("class_weights", ["balanced", {0: 1.0, 1: 5.0, 2: 0.5}])
def test_class_weights_are_the_weights_of_their_examples(class_weights):
    weights = compute_sample_weight(class_weights, Y).astype(np.float32)
    same(fit(class_weights=class_weights).params, fit(sample_weights=weights).params)
    own = np.arange(1.0, N + 1, dtype=np.float32)
    same(fit(class_weights=class_weights, sample_weights=own).params, fit(sample_weights=own * weights).params)


def test_what_is_held_out_is_a_share_of_every_class():
    X, Y = np.arange(200.0)[:, None], np.arange(200) % 4
    source, (x, y) = examples((X, Y), 0.25, None, None, jax.random.key(3))
    kept = np.asarray(source.examples[0])[:, 0]
    assert sorted([*kept.tolist(), *np.asarray(x)[:, 0].tolist()]) == list(range(200)) and len(y) == 50
    assert sorted(np.bincount(y)) == [12, 12, 13, 13]
    assert np.array_equal(Y[kept.astype(int)], source.examples[1])
    again = examples((X, Y), 0.25, None, None, jax.random.key(3))[1]
    other = examples((X, Y), 0.25, None, None, jax.random.key(4))[1]
    assert np.array_equal(again[0], x) and not np.array_equal(other[0], x)
    values, _ = examples((X, Y / 3), 0.25, None, None, jax.random.key(3))
    assert len(values) == 150


def test_weights_follow_their_examples_out():
    source, _ = examples((X, Y), 0.3, np.arange(1.0, N + 1), None, jax.random.key(0))
    X_kept, _, W = source.examples
    rows = [int(np.flatnonzero((np.float32(X) == row).all(axis=1))[0]) for row in np.asarray(X_kept)]
    np.testing.assert_allclose(W, (np.array(rows) + 1) / np.mean(np.array(rows) + 1), rtol=1e-6)


def test_held_out_is_what_is_validated_on():
    result = fit(validation=0.3)
    source, pair = examples((X, Y), 0.3, None, None, jax.random.split(jax.random.key(0), 3)[2])
    same(fit(data=source.examples, validation=pair).history, result.history)


def test_every_target_of_a_stream_is_looked_at_before_training():
    late = np.where(np.arange(N) == 12, 3, Y)
    with pytest.raises(ValueError, match="Y must hold classes from 0 to 2 for 3 outputs"):
        fit(data=fnn.data.stream(X, late), optimizer=SGD)


@pytest.mark.parametrize("chunk_bytes", [1, 200, 10**6])
def test_a_stream_is_trained_on_as_arrays_are(chunk_bytes):
    data = fnn.data.stream(X, Y, chunk_bytes=chunk_bytes)
    streamed, whole = fit(NOISY, data=data, validation=(X, Y)), fit(NOISY, validation=(X, Y))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
                 streamed.params, whole.params)
    same(fit(NOISY, data=data, every=3).params, streamed.params)
