"""Layers of one example: the hand-written backward is the vector-Jacobian product; factors are the gradient unmultiplied."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn import layers
from functional_nn.activations import Activation, softmax
from functional_nn.layers import dense, dropout, layer_norm, maxout, residual

# One row a kind: (layer, size of its input).
KINDS = {
    "dense": (dense(4, "tanh"), 3),
    "dense of one": (dense(1), 1),
    "maxout": (maxout(4), 3),
    "maxout of 1 piece": (maxout(4, pieces=1), 3),
    "maxout of 5 pieces": (maxout(2, pieces=5, init="nielsen"), 3),
    "dropout": (dropout(0.4), 6),
    "layer_norm": (layer_norm(), 5),
    "layer_norm(epsilon=0.1)": (layer_norm(0.1), 2),
    "layer_norm of one": (layer_norm(), 1),
    "residual": (residual(dense(4, "gelu"), dense(3, "tanh")), 3),
    "residual ending in softmax": (residual(dense(3, "softmax")), 3),
    "residual of residual": (residual(dense(3, "silu"), residual(layer_norm(), maxout(3)), dropout(0.3)), 3),
}
every_kind = pytest.mark.parametrize(("layer", "n_in"), KINDS.values(), ids=KINDS)
BATCH = 4


def random_like(tree):
    noise = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(noise.normal(size=leaf.shape)), tree)


def problem(layer, n_in):
    """Parameters of any value, a batch of inputs and of δ, and a key for each example."""
    shapes = jax.eval_shape(lambda: layer.init(jax.random.key(0), n_in, jnp.float64))
    params, A, D = random_like((shapes, np.zeros((BATCH, n_in)), np.zeros((BATCH, layer.n_out(n_in)))))
    return params, A, D, jax.random.split(jax.random.key(3), BATCH)


def by_hand(layer):
    """(params, a, delta, key) -> z, ∂L/∂a, factors."""
    def run(params, a, delta, key):
        z, saved = layer.forward(params, a, key)
        return z, *layer.backward(params, saved, delta)
    return run


def by_jax(layer):
    def run(params, a, delta, key):
        z, pullback = jax.vjp(lambda params, a: layer.forward(params, a, key)[0], params, a)
        return z, *pullback(delta)
    return run


@functools.cache
def compiled_batch(way, layer):
    return jax.jit(jax.vmap(way(layer), in_axes=(None, 0, 0, 0)))


def assert_trees_close(got, want, rtol=1e-12, atol=1e-14):
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


@every_kind
def test_backward_is_the_vector_jacobian_product(layer, n_in):
    with jax.enable_x64(True):
        params, A, D, keys = problem(layer, n_in)
        z, cotangent, factors = compiled_batch(by_hand, layer)(params, A, D, keys)
        wanted_z, wanted_gradient, wanted = compiled_batch(by_jax, layer)(params, A, D, keys)
        gradient = jax.jit(jax.vmap(layer.factors.gradient, axis_size=BATCH))(factors)
        assert_trees_close((z, cotangent, gradient), (wanted_z, wanted, wanted_gradient))
        assert z.shape == D.shape == (BATCH, layer.n_out(n_in))


@every_kind
def test_factors_agree_with_the_gradients_they_stand_for(layer, n_in):
    with jax.enable_x64(True):
        params, A, D, keys = problem(layer, n_in)
        weights = jnp.array([0.5, -1.0, 0.0, 2.0])

        @jax.jit
        def both(factors):
            squared_norms = jax.vmap(layer.factors.squared_norm, axis_size=BATCH)(factors)
            return layer.factors.weighted_sum(factors, weights), squared_norms

        weighted_sum, squared_norms = both(compiled_batch(by_hand, layer)(params, A, D, keys)[-1])
        automatic = compiled_batch(by_jax, layer)(params, A, D, keys)[1]
        assert_trees_close(weighted_sum, jax.tree.map(lambda g: np.tensordot(weights, g, axes=1), automatic))
        squares = sum((np.square(g).reshape(BATCH, -1).sum(1) for g in jax.tree.leaves(automatic)), np.zeros(BATCH))
        np.testing.assert_allclose(squared_norms, squares, rtol=1e-12)


@every_kind
def test_a_batch_is_a_loop_and_jit_is_eager(layer, n_in):
    with jax.enable_x64(True):
        params, A, D, keys = problem(layer, n_in)
        batch = compiled_batch(by_hand, layer)(params, A, D, keys)
        single = jax.jit(by_hand(layer))
        singles = [single(params, *one) for one in zip(A, D, keys, strict=True)]
        assert_trees_close(batch, jax.tree.map(lambda *leaves: np.stack(leaves), *singles))
        assert_trees_close(singles[0], by_hand(layer)(params, A[0], D[0], keys[0]))


@every_kind
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_dtype_is_kept(layer, n_in, dtype):
    with jax.enable_x64(dtype == "float64"):
        params = jax.eval_shape(lambda: layer.init(jax.random.key(0), n_in, jnp.dtype(dtype)))
        a, delta = jnp.ones(n_in, dtype), jnp.ones(layer.n_out(n_in), dtype)
        z, cotangent, factors = jax.eval_shape(by_hand(layer), params, a, delta, jax.random.key(1))
        gradient = jax.eval_shape(layer.factors.gradient, factors)
        assert {leaf.dtype for leaf in jax.tree.leaves((params, z, cotangent, gradient))} == {jnp.dtype(dtype)}
        assert jax.tree.map(jnp.shape, gradient) == jax.tree.map(jnp.shape, params)


def test_a_chain_gives_every_delta_and_the_gradient_of_its_input():
    """δˡ = ∂L/∂zˡ, by adding a probe to each zˡ and letting `jax.grad` see it; here L = v · aᴸ."""
    chain = (dense(4, "sigmoid"), residual(dense(4, "tanh")), dense(3, "softmax"), maxout(3), layer_norm(), dense(2, "elu"))
    with jax.enable_x64(True):
        shapes = jax.eval_shape(lambda: layers.init(chain, jax.random.key(0), 5, jnp.float64))
        params, x = random_like((shapes, np.zeros(5)))
        v, probes = jnp.array([1.0, -2.0]), [jnp.zeros(n) for n in layers.sizes(chain, 5)[1:]]

        def probed(probes, a):
            for layer, p, probe in zip(chain, params, probes, strict=True):
                a = layer.activation(layer.forward(p, a, None)[0] + probe)
            return v @ a

        @jax.jit
        def by_hand():
            out, tape = layers.forward(chain, params, x)
            delta = chain[-1].activation.pullback(tape[-1].z, v)
            deltas, factors, cotangent = layers.backward(chain, params, tape, delta)
            return v @ out, list(deltas), cotangent, layers.factors_of(chain).gradient(factors)

        @jax.jit
        def by_jax():
            value, (deltas, cotangent) = jax.value_and_grad(probed, argnums=(0, 1))(probes, x)
            return value, deltas, cotangent, jax.grad(lambda params: v @ layers.forward(chain, params, x)[0])(params)

        assert_trees_close(by_hand(), by_jax())


def test_dropout_drops_the_rate_and_keeps_the_mean():
    ones = jnp.ones(20_000)
    for rate in (0.1, 0.5, 0.9):
        z, mask = dropout(rate).forward((), ones, jax.random.key(0))
        noise = (rate * (1 - rate) / ones.size) ** 0.5
        assert abs(float(jnp.mean(z == 0)) - rate) < 4 * noise  # what is dropped is the rate, not 1 - rate
        assert abs(float(jnp.mean(z)) - 1) < 4 * noise / (1 - rate)
        np.testing.assert_allclose(z[z != 0], 1 / (1 - rate), rtol=1e-6)
        np.testing.assert_array_equal(z, mask)


def test_dropout_draws_from_its_key_alone():
    layer, a = dropout(0.5), jnp.linspace(1.0, 2.0, 64)
    first, again, other = (layer.forward((), a, jax.random.key(seed))[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(layer.forward((), a, None)[0], a)
    np.testing.assert_array_equal(dropout(0).forward((), a, jax.random.key(0))[0], a)
    masks = jax.vmap(lambda key: layer.forward((), a, key)[1])(jax.random.split(jax.random.key(0), 8))
    assert len({mask.tobytes() for mask in np.asarray(masks)}) == 8


def test_layers_of_a_chain_draw_apart():
    layer = residual(dropout(0.5), dropout(0.5))
    z, tape = layer.forward(((), ()), jnp.ones(64), jax.random.key(0))
    assert (tape[0].saved != tape[1].saved).any()
    np.testing.assert_array_equal(z, 1 + tape[0].saved * tape[1].saved)
    assert layer.random and not residual(dense(3)).random and dropout(0.0).random


def test_maxout_is_the_largest_piece():
    with jax.enable_x64(True):
        layer = maxout(4, pieces=3)
        params, A, _, _ = problem(layer, 5)
        pieces = [np.array(w) @ A[0] + b for w, b in zip(params["w"], params["b"], strict=True)]
        np.testing.assert_allclose(layer.forward(params, A[0], None)[0], np.max(pieces, axis=0), rtol=1e-14)
    drawn = np.asarray(layer.init(jax.random.key(0), 5, jnp.float32)["w"])
    assert len({piece.tobytes() for piece in drawn}) == 3


@pytest.mark.parametrize("pieces", [2, 3])
def test_pieces_that_tie_share_the_gradient_as_jax_has_it(pieces):
    layer, n = maxout(2, pieces), 3
    params = {"w": jnp.ones((pieces, 2, n)), "b": jnp.zeros((pieces, 2)).at[0, 1].set(-1.0)}  # neuron 1: piece 0 has lost
    _, cotangent, factors = by_hand(layer)(params, jnp.ones(n), jnp.array([1.0, 5.0]), None)
    _, gradient, wanted = by_jax(layer)(params, jnp.ones(n), jnp.array([1.0, 5.0]), None)
    assert_trees_close((cotangent, layer.factors.gradient(factors)), (wanted, gradient))
    np.testing.assert_allclose(factors[0], [[1 / pieces, 0]] + [[1 / pieces, 5 / (pieces - 1)]] * (pieces - 1), rtol=1e-6)


def test_maxout_of_one_piece_is_dense_and_linear():
    a, delta = jnp.array([0.5, -2.0, 1.0]), jnp.array([1.0, -1.0])
    params = maxout(2, pieces=1).init(jax.random.key(0), 3, jnp.float32)
    z, cotangent, factors = by_hand(maxout(2, pieces=1))(params, a, delta, None)
    plain_z, plain_cotangent, plain = by_hand(dense(2))(jax.tree.map(lambda p: p[0], params), a, delta, None)
    assert_trees_close((z, cotangent, factors[0][0]), (plain_z, plain_cotangent, plain[0]), rtol=1e-6)


vectors = st.lists(st.floats(-100, 100), min_size=6, max_size=6).map(np.array).filter(lambda a: np.std(a) > 0.1)
repeatable = settings(derandomize=True, deadline=None, max_examples=40)


def normalised(a, epsilon=1e-5):
    layer = layer_norm(epsilon)
    return layer.forward(layer.init(jax.random.key(0), 6, jnp.float64), jnp.asarray(a), None)[0]


@repeatable
@given(vectors, st.floats(0.5, 50), st.floats(-50, 50))
def test_layer_norm_has_mean_0_and_variance_1_and_sees_no_shift_or_scale(a, scale, shift):
    with jax.enable_x64(True):
        z = normalised(a)
        np.testing.assert_allclose(jnp.mean(z), 0, atol=1e-11)
        np.testing.assert_allclose(jnp.var(z), np.var(a) / (np.var(a) + 1e-5), rtol=1e-11)
        np.testing.assert_allclose(normalised(scale * a + shift, 1e-5 * scale**2), z, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(normalised(-a), -z, rtol=1e-12)


@pytest.mark.parametrize("constant", [0.0, 3.0, 1e4, -1e30])
def test_layer_norm_of_equal_features_is_finite(constant):
    layer, a = layer_norm(), jnp.full(4, constant)
    params = layer.init(jax.random.key(0), 4, jnp.float32)
    z, cotangent, factors = by_hand(layer)(params, a, jnp.arange(4.0), None)
    np.testing.assert_array_equal(z, jnp.zeros(4))
    assert np.isfinite(cotangent).all() and np.isfinite(factors["gain"]).all()


def test_residual_of_a_zero_branch_is_the_identity():
    a, delta = jnp.array([1.0, -2.0, 3.0]), jnp.array([0.5, 1.0, -4.0])
    layer = residual(dense(7, "relu"), dense(3, init="zeros"))
    z, cotangent, _ = by_hand(layer)(layer.init(jax.random.key(0), 3, jnp.float32), a, delta, None)
    np.testing.assert_array_equal(z, a)
    np.testing.assert_array_equal(cotangent, delta)


def test_residual_takes_the_last_activation_with_it():
    a = jnp.array([1.0, -2.0])
    branch = dense(2, "tanh")
    params = branch.init(jax.random.key(0), 2, jnp.float32)
    want = a + jnp.tanh(branch.forward(params, a, None)[0])
    np.testing.assert_allclose(residual(branch).forward((params,), a, None)[0], want, rtol=1e-6)


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: residual(dense(4)).n_out(3), ValueError,
     "residual adds its input, of size 3, to the output of its layers, of size 4; end it with a layer of 3 neurons"),
    (lambda: residual(dense(3), residual(dense(2))).n_out(3), ValueError, "of size 3, to the output of its layers, of size 2"),
    (lambda: residual(), ValueError, "residual needs at least one layer, got none"),
    (lambda: residual(dense(3), "relu"), TypeError,
     "residual takes layers such as fnn.layers.dense(30, 'relu'), got 'relu' in place 1"),
    (lambda: dense(0), ValueError, "n_out must be an integer of at least 1, got 0"),
    (lambda: dense(True), TypeError, "n_out must be an integer of at least 1, got True"),
    (lambda: dense(2.0), TypeError, "n_out must be an integer of at least 1, got 2.0"),
    (lambda: dense(3, "rulu"), ValueError, "unknown activation 'rulu'; did you mean 'relu'?"),
    (lambda: dense(3, init="he"), ValueError, "unknown initializer 'he'. There are: glorot_uniform"),
    (lambda: maxout(3, pieces=0), ValueError, "pieces must be an integer of at least 1, got 0"),
    (lambda: dropout(1.0), ValueError, "rate must be the share of units to drop, from 0 to below 1, got 1.0"),
    (lambda: dropout(-0.1), ValueError, "rate must be the share of units to drop"),
    (lambda: dropout(np.nan), ValueError, "rate must be the share of units to drop, from 0 to below 1, got nan"),
    (lambda: dropout("0.5"), TypeError, "rate must be the share of units to drop, from 0 to below 1, got '0.5'"),
    (lambda: layer_norm(0), ValueError, "epsilon must be a positive number, got 0"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)


def test_reads_as_it_is_written():
    assert repr(residual(dense(4, softmax), maxout(3, pieces=4), dropout(0.25), layer_norm(0.1))) == (
        "residual(dense(4, softmax), maxout(3, pieces=4), dropout(0.25), layer_norm(epsilon=0.1))")
    assert repr(dense(2, Activation("cube", lambda z: z**3, lambda z: 3 * z**2))) == "dense(2, cube)"
