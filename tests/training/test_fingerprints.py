"""A fingerprint sees every number that a function computes with, and is the same in every process."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_nn as fnn
from functional_nn.training.fingerprints import of_array, of_function, of_rows

LOUD = np.float32(3.0)


def schedules():
    """Pairs of optimisers that take the same first steps, or nearly."""
    sgd, cosine = fnn.optimizers.sgd, fnn.schedules.cosine_decay
    return {
        "the end of a cosine": (sgd(cosine(0.1, 800)), sgd(cosine(0.1, 801))),
        "the second of two steps": (sgd(fnn.schedules.step_decay(0.1, 0.5, 30)), sgd(fnn.schedules.step_decay(0.1, 0.5, 40))),
        "a rate": (sgd(0.1), sgd(0.1 + 1e-7)),
        "a decay": (optax.adamw(1e-3, weight_decay=0.0), optax.adamw(1e-3, weight_decay=1e-9)),
        "a rate in the state": (optax.inject_hyperparams(optax.sgd)(0.1), optax.inject_hyperparams(optax.sgd)(0.2)),
        "an array": (optax.scale_by_learning_rate(jnp.array([0.1, 0.2])), optax.scale_by_learning_rate(jnp.array([0.1, 0.3])))}


def of_optimizer(optimizer, params):
    return of_function(optimizer.init, params) + of_function(
        lambda gradient, params: optimizer.update(gradient, optimizer.init(params), params), params, params)


@pytest.fixture(autouse=True)
def as_users_promote():
    with jax.numpy_dtype_promotion("standard"):  # for optax
        yield


@pytest.mark.parametrize("pair", schedules())
def test_one_number_makes_another_optimizer(pair):
    """`jit` in between, and a loop, hide nothing."""
    params = {"w": jnp.ones(2)}
    (one, other), (again, _) = schedules()[pair], schedules()[pair]
    assert of_optimizer(one, params) == of_optimizer(again, params) != of_optimizer(other, params)

    def inside(optimizer):
        return of_function(jax.jit(lambda g, p: jax.lax.fori_loop(
            0, 3, lambda _, p: optimizer.update(g, optimizer.init(p), p)[0], p)), params, params)

    assert inside(one) == inside(again) != inside(other)


def test_constants_count_by_their_bytes():
    def shifted(values):
        return of_function(lambda x: x + jnp.asarray(values), jnp.zeros(200))

    values = np.arange(200, dtype=np.float32)
    changed = values.copy()
    changed[100] += 1
    assert shifted(values) == shifted(values.copy()) != shifted(changed)
    assert of_function(lambda: jax.random.normal(jax.random.key(0))) != of_function(
        lambda: jax.random.normal(jax.random.key(1)))


def test_values_of_arguments_do_not_count_but_shapes_do():
    def double(x):
        return 2 * x

    assert of_function(double, jnp.zeros(3)) == of_function(double, jnp.ones(3)) != of_function(double, jnp.ones(4))
    assert of_function(lambda x: (x, 2 * x), 1.0) != of_function(lambda x: [x, 2 * x], 1.0)


PROGRAM = """
import jax, functional_nn as fnn
from functional_nn.training.fingerprints import of_function
net = fnn.sequential(4, fnn.layers.dense(5, "gelu"), fnn.layers.dropout(0.1), fnn.layers.dense(3, "softmax"))
params = net.init(jax.random.key(0))
cost = fnn.autodiff.value_and_grad(net, "cross_entropy")
print(of_function(lambda p, k: cost(p, jax.numpy.ones((2, 4)), jax.numpy.array([0, 1]), key=k), params, jax.random.key(0)))
"""


def test_it_is_the_same_in_every_process():
    root = str(Path(__file__).parents[2])
    made = {subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, timeout=120,
                           env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root, "JAX_PLATFORMS": "cpu"}).stdout
            for seed in ("1", "2")}
    assert len(made) == 1 and len(made.pop().strip()) == 32


@pytest.mark.parametrize("array", [np.arange(12.0).reshape(4, 3), np.zeros((0, 3), np.int8), np.float32(3), jnp.ones(3, jnp.bfloat16)])
def test_an_array_counts_by_its_bytes(array):
    assert of_array(array) == of_array(np.asfortranarray(array))
    if np.size(array):
        assert of_array(array) != of_array(np.asarray(array) + 1)


def test_an_array_on_disk_is_read_in_blocks(tmp_path, monkeypatch):
    array = np.random.default_rng(0).normal(size=(1000, 7))
    np.save(tmp_path / "a.npy", array)
    monkeypatch.setattr("functional_nn.training.fingerprints.BLOCK_BYTES", 999)
    assert of_rows(np.load(tmp_path / "a.npy", mmap_mode="r")) == of_array(array)
