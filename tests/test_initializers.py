"""Initialisers: the standard deviations they promise for weights stored as (n_out, n_in), and the biases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import initializers
from functional_nn.initializers import INITIALIZERS, Initializer
from functional_nn.layers import dense, maxout

N_IN, N_OUT = 300, 200  # unequal, so that a fan taken of the wrong axis shows

# One row an initialiser: (standard deviation of the weights, of the biases).
DEVIATIONS = {
    "glorot_uniform": ((2 / (N_IN + N_OUT)) ** 0.5, 0), "glorot_normal": ((2 / (N_IN + N_OUT)) ** 0.5, 0),
    "he_uniform": ((2 / N_IN) ** 0.5, 0), "he_normal": ((2 / N_IN) ** 0.5, 0),
    "lecun_uniform": ((1 / N_IN) ** 0.5, 0), "lecun_normal": ((1 / N_IN) ** 0.5, 0),
    "orthogonal": ((1 / N_IN) ** 0.5, 0), "zeros": (0, 0),
    "nielsen": ((1 / N_IN) ** 0.5, 1), "nielsen_large": (1, 1),
}


def assert_deviation(values, sigma):
    """Within 5 standard errors, mean and deviation."""
    values = np.asarray(values, np.float64)
    assert abs(values.mean()) <= 5 * sigma / values.size**0.5
    assert abs(values.std() - sigma) <= 5 * sigma / (2 * values.size) ** 0.5


@pytest.mark.parametrize("name", INITIALIZERS)
def test_standard_deviations(name):
    params = dense(N_OUT, init=name).init(jax.random.key(0), N_IN, jnp.float32)
    assert params["w"].shape == (N_OUT, N_IN) and params["b"].shape == (N_OUT,)
    assert_deviation(params["w"], DEVIATIONS[name][0])
    assert_deviation(params["b"], DEVIATIONS[name][1])


def test_every_initialiser_has_a_row():
    assert set(DEVIATIONS) == set(INITIALIZERS)


def test_nielsens_are_normal():
    for name in ("nielsen", "nielsen_large"):
        w = np.asarray(dense(N_OUT, init=name).init(jax.random.key(1), N_IN, jnp.float32)["w"], np.float64).ravel()
        for sigmas, share in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
            within = np.mean(np.abs(w) < sigmas * w.std())
            assert abs(within - share) < 5 * (share * (1 - share) / w.size) ** 0.5


def test_orthogonal_is():
    w = np.asarray(dense(3, init="orthogonal").init(jax.random.key(0), 5, jnp.float32)["w"])
    np.testing.assert_allclose(w @ w.T, np.eye(3), atol=1e-6)


def test_every_piece_of_maxout_is_drawn_as_a_dense_layer():
    params = maxout(N_OUT, pieces=2, init="nielsen").init(jax.random.key(0), N_IN, jnp.float32)
    for w, b in zip(params["w"], params["b"], strict=True):
        assert_deviation(w, N_IN**-0.5)
        assert_deviation(b, 1)


def test_a_function_of_jax_is_taken_with_its_fan_and_zero_biases():
    params = dense(N_OUT, init=jax.nn.initializers.he_normal()).init(jax.random.key(0), N_IN, jnp.float32)
    assert_deviation(params["w"], (2 / N_IN) ** 0.5)
    np.testing.assert_array_equal(params["b"], 0)
    np.testing.assert_array_equal(params["w"], dense(N_OUT, init="he_normal").init(jax.random.key(0), N_IN, jnp.float32)["w"])


def test_a_pair_is_taken_as_it_is():
    pair = Initializer(jax.nn.initializers.constant(2.0), jax.nn.initializers.constant(-1.0))
    params = dense(2, init=pair).init(jax.random.key(0), 3, jnp.bfloat16)
    assert params["w"].tolist() == [[2.0] * 3] * 2 and params["b"].tolist() == [-1.0] * 2
    assert {leaf.dtype for leaf in params.values()} == {jnp.dtype(jnp.bfloat16)}
    assert initializers.get(pair) is pair and initializers.get("nielsen") is INITIALIZERS["nielsen"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_dtype_is_kept(name, dtype):
    with jax.enable_x64(dtype == "float64"):
        params = jax.eval_shape(lambda: dense(3, init=name).init(jax.random.key(0), 4, jnp.dtype(dtype)))
        assert params["w"].dtype == params["b"].dtype == dtype


@pytest.mark.parametrize(("init", "kind", "words"), [
    ("nielson", ValueError, "unknown initializer 'nielson'; did you mean 'nielsen'? There are: glorot_uniform, glorot_normal"),
    (None, ValueError, "unknown initializer None"),
    (jax.nn.initializers.he_normal, TypeError, "those of jax.nn.initializers that take settings are called first: he_normal()"),
    (jax.nn.initializers.normal, TypeError, "init must be a function (key, (n_in, n_out), dtype) -> kernel, got <function"),
])
def test_names_the_mistake(init, kind, words):
    with pytest.raises(kind) as error:
        initializers.get(init)
    assert words in str(error.value)


def test_orthogonal_matrices_are_decomposed_one_after_the_other():
    """Several at once, in a compiled program, can make XLA's threads on a CPU wait for each other for ever."""
    net, keys = fnn.mlp((6, 5, 4), init="orthogonal"), jax.random.split(jax.random.key(0), 3)
    together = jax.vmap(net.init)
    assert "qr" in (program := str(jax.make_jaxpr(together)(keys))) and "scan" in program
    alone = jax.tree.map(lambda *leaves: np.stack(leaves), *map(net.init, keys))
    jax.tree.map(np.testing.assert_array_equal, jax.jit(together)(keys), alone)
