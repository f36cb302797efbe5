"""Laws of backpropagation by hand: batch = mean of singles, weights, norms, deltas, heads, transformations, memory.

The full grid hand = `jax.grad` is in tests/test_contract.py; here are random architectures, and what holds for every one.
"""

import collections
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import functional_nn as fnn
from functional_nn.layers import dense, dropout, layer_norm, maxout, residual
from tests.backprop.networks import (
    FUSED,
    KINDS,
    PAIRS,
    B,
    N,
    both,
    close,
    drawn,
    each_case,
    each_kind,
    network,
    quick,
)


def weighted(weights, gradients):
    return jax.tree.map(lambda g: jnp.tensordot(weights, g, axes=1), gradients)


@each_case
def test_the_batch_is_the_mean_of_its_examples(kind, pair):
    output, loss = pair
    with jax.enable_x64(True):
        net, weights = network(kind, output), jnp.array([0.5, 2.0, 0.0, 1.0, 3.0])
        params, X, Y = drawn(net)
        mean, total = (fnn.backprop.value_and_grad(net, loss, reduction) for reduction in ("mean", "sum"))

        @quick
        def everything(params, key):
            singles = jax.lax.map(lambda xy: mean(params, xy[0][None], xy[1][None]), (X, Y))
            each = fnn.backprop.per_example_gradients(net, loss)(params, X, Y, key=key)
            return [(mean(params, X, Y), weighted(jnp.full(B, 1 / B), singles)),
                    (total(params, X, Y), weighted(jnp.ones(B), singles)),
                    (mean(params, X, Y, key=key)[1], weighted(jnp.full(B, 1 / B), each)),
                    (mean(params, X, Y, key=key, sample_weights=weights)[1], weighted(weights / 6.5, each)),
                    (total(params, X, Y, key=key, sample_weights=weights)[1], weighted(weights, each))]

        for got, wanted in everything(params, jax.random.key(3)):
            close(got, wanted)


@both
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weights_count_examples(way, reduction):
    """An integer weight is a row that often, and weight 0 leaves it out; for the cost too."""
    with jax.enable_x64(True):
        net, times, rows = network("residual"), jnp.array([2, 0, 1, 3, 1]), jnp.array([0, 0, 2, 3, 3, 3, 4])
        run, (params, X, Y) = way.value_and_grad(net, "cross_entropy", reduction), drawn(net)

        @quick
        def everything(params):
            return [(run(params, X, Y, sample_weights=times.astype(float)), run(params, X[rows], Y[rows])),
                    (run(params, X, Y, sample_weights=jnp.ones(B)), run(params, X, Y))]

        for got, wanted in everything(params):
            close(got, wanted)


@each_case
def test_per_example_gradients_norms_and_deltas_follow_autodiff(kind, pair):
    output, loss = pair
    with jax.enable_x64(True):
        net = network(kind, output)
        params, X, Y = drawn(net)

        @quick
        def everything(params, key):
            return [{"gradients": way.per_example_gradients(net, loss)(params, X, Y, key=key),
                     "norms": way.per_example_norms(net, loss)(params, X, Y, key=key),
                     "deltas": way.deltas(net, loss)(params, X[0], Y[0], key=key)}
                    for way in (fnn.backprop, fnn.autodiff)]

        by_hand, by_jax = everything(params, jax.random.key(4))
        for name in by_hand:
            close(by_hand[name], by_jax[name])
        squares = sum(jnp.sum(g.reshape(B, -1) ** 2, axis=1) for g in jax.tree.leaves(by_hand["gradients"]))
        close(by_hand["norms"], jnp.sqrt(squares))
        assert [d.shape for d in by_hand["deltas"]] == [
            n if isinstance(n, tuple) else (n,) for n in net.sizes[1:]]


@pytest.mark.parametrize("pair", FUSED, ids="-".join)
def test_the_last_delta_is_a_minus_y(pair):
    output, loss = pair
    with jax.enable_x64(True):
        net = network("dense", output)
        params, X, Y = drawn(net)
        close(fnn.backprop.deltas(net, loss)(params, X[0], Y[0])[-1], net.apply(params, X[0]) - Y[0])


@pytest.mark.parametrize("pair", FUSED, ids="-".join)
def test_the_general_head_is_the_stable_one(pair):
    output, loss = pair
    with jax.enable_x64(True):
        net = network("dense", output)
        params, X, Y = drawn(net)

        @quick
        def everything(params):
            names = ("per_example_gradients", "per_example_norms", "value_and_grad")
            return [[fnn.backprop.deltas(net, loss, head=head)(params, X[0], Y[0]),
                     [getattr(fnn.backprop, name)(net, loss, head=head)(params, X, Y) for name in names]]
                    for head in ("general", "stable")]

        close(*everything(params))


@pytest.mark.parametrize("pair", FUSED[:2], ids="-".join)
def test_the_stable_head_is_finite_where_the_general_is_not(pair):
    """z = ±40 in float32 (softmax: ±200, as its a is 0 only below e⁻¹⁰³) on the wrong side: C = the gap, δ = ±1."""
    output, loss = pair
    net, X, Y = fnn.mlp((1, 2), output=output), jnp.ones((1, 1)), jnp.array([[0.0, 1.0]])
    z = 200 if output == "softmax" else 40
    params = ({"w": jnp.array([[z], [-z]], float), "b": jnp.zeros(2)},)
    cost, gradient = fnn.backprop.value_and_grad(net, loss)(params, X, Y)
    assert float(cost) == pytest.approx(400 if output == "softmax" else 80)
    np.testing.assert_allclose(gradient[0]["b"], [1, -1], rtol=1e-6)
    cost, gradient = fnn.backprop.value_and_grad(net, loss, head="general")(params, X, Y)
    assert not np.isfinite([float(cost), *gradient[0]["b"]]).all()


@pytest.mark.exact
def test_jit_vmap_and_scan_change_nothing():
    with jax.enable_x64(True):
        net, key = network("dropout"), jax.random.key(5)
        _, X, Y = drawn(net)
        run = fnn.backprop.value_and_grad(net, "cross_entropy")
        compiled = jax.jit(run)
        several = jax.tree.map(lambda *each: jnp.stack(each), *(drawn(net, seed=seed)[0] for seed in range(3)))
        each = [jax.tree.map(lambda p, i=i: p[i], several) for i in range(3)]
        one_by_one = [compiled(params, X, Y, key=key) for params in each]
        close(run(each[0], X, Y, key=key), one_by_one[0])
        stacked = jax.tree.map(lambda *each: jnp.stack(each), *one_by_one)
        close(jax.jit(jax.vmap(lambda params: run(params, X, Y, key=key)))(several), stacked)
        close(jax.lax.scan(lambda carry, params: (carry, run(params, X, Y, key=key)), 0, several)[1], stacked)


@each_kind
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_gradient_has_the_dtype_of_the_parameters(kind, dtype):
    net, key = network(kind), jax.random.key(0)
    params, (X, Y) = drawn(net, dtype=dtype)[0], drawn(net, dtype="float32")[1:]
    for way in (fnn.backprop, fnn.autodiff):
        cost, gradient = jax.eval_shape(way.value_and_grad(net, "cross_entropy"), params, X, Y, key=key)
        chex.assert_trees_all_equal_shapes_and_dtypes(gradient, params)
        norms = jax.eval_shape(way.per_example_norms(net, "cross_entropy"), params, X, Y)
        assert cost.dtype == norms.dtype == dtype


def test_dropout_takes_a_key_and_without_one_does_nothing():
    net = network("dropout")
    plain = fnn.sequential(N, KINDS["dropout"][0], dense(3, "softmax"))
    (params, X, Y), run = drawn(net, dtype="float32"), jax.jit(fnn.backprop.value_and_grad(net, "cross_entropy"))
    without = run(params, X, Y)
    close(without[1][::2], fnn.backprop.value_and_grad(plain, "cross_entropy")(params[::2], X, Y)[1], rtol=1e-6)
    costs = {float(run(params, X, Y, key=jax.random.key(seed))[0]) for seed in (0, 0, 1, 2)} | {float(without[0])}
    assert len(costs) == 4  # the same key, the same cost; every other one another
    each = fnn.backprop.per_example_gradients(net, "cross_entropy")(params, X[:1].repeat(40, 0), Y[:1].repeat(40, 0),
                                                                    key=jax.random.key(0))
    assert len(np.unique(each[0]["b"][:, 0] != 0)) == 2  # examples drop units of their own


def test_one_trace_for_one_shape():
    net = network("maxout")
    params, X, Y = drawn(net, dtype="float32")
    run = jax.jit(chex.assert_max_traces(fnn.backprop.value_and_grad(net, "cross_entropy"), n=2))
    for i in range(4):
        run(jax.tree.map(lambda p, i=i: p + i, params), X * i, Y)
    run(params, X[:2], Y[:2])


@pytest.mark.parametrize("name", ["value_and_grad", "per_example_gradients"])
def test_the_gradient_has_the_containers_of_the_parameters(name):
    """Restored parameters may come in lists and ordered dictionaries; the gradient must still go with them."""
    net = network("residual")
    params, X, Y = drawn(net, dtype="float32")
    (inner_0, inner_1), last = params
    other = [[collections.OrderedDict(w=inner_0["w"], b=inner_0["b"]), inner_1], last]
    gradients = [getattr(way, name)(net, "cross_entropy")(other, X, Y) for way in (fnn.backprop, fnn.autodiff)]
    close(*gradients, rtol=1e-5)
    if name == "value_and_grad":
        assert jax.tree.structure(gradients[0][1]) == jax.tree.structure(other)


SMOOTH = ["linear", "sigmoid", "tanh", "softplus", "gelu", "silu", "softmax"]
KINKED = ["relu", "leaky_relu", "elu"]
HEADS = [*PAIRS, ("tanh", "quadratic"), ("linear", "mse"), ("linear", "log_cosh"), ("softmax", "squared_error")]


@st.composite
def architectures(draw, activations):
    """n_in, layers and the loss's name: up to four layers of any kind and size under a dense output."""
    parts, n_in = [], draw(st.integers(1, 5))
    n = n_in
    for _ in range(draw(st.integers(0, 3))):
        activation, width = draw(st.sampled_from(activations)), draw(st.integers(2, 5))
        kinds = [dense(width, activation), dropout(0.3), layer_norm(epsilon=0.1),
                 residual(dense(width, activation), layer_norm(epsilon=0.1), dense(n, activation)),
                 *([maxout(width)] if activations != SMOOTH else [])]
        parts.append(draw(st.sampled_from(kinds)))
        n = parts[-1].n_out(n)
    output, loss = draw(st.sampled_from(HEADS))
    return fnn.sequential(n_in, *parts, dense(draw(st.integers(2, 4)), output)), loss, draw(st.integers(0, 99))


@settings(derandomize=True, deadline=None, max_examples=4, database=None)
@given(architectures(SMOOTH + KINKED), st.sampled_from(["mean", "sum"]))
def test_random_networks_by_hand_and_by_jax(case, reduction):
    net, loss, seed = case
    with jax.enable_x64(True):
        @quick
        def both_ways(params, X, Y, weights, key):
            return [way.value_and_grad(net, loss, reduction)(params, X, Y, sample_weights=weights, key=key)
                    for way in (fnn.backprop, fnn.autodiff)]

        close(*both_ways(*drawn(net, 3, seed=seed), jnp.array([1.0, 2.5, 0.3]), jax.random.key(seed)))


@settings(derandomize=True, deadline=None, max_examples=2, database=None)
@given(architectures(SMOOTH))
def test_random_smooth_networks_by_hand_and_by_differences(case):
    net, loss, seed = case
    key = jax.random.key(seed)
    with jax.enable_x64(True):
        arguments = drawn(net, 3, seed=seed)
    manual = jax.jit(lambda *args: fnn.backprop.value_and_grad(net, loss)(*args, key=key)[1])
    cost = jax.jit(functools.partial(fnn.cost(net, loss), key=key))
    fnn.verify.assert_gradients(cost, manual, *arguments, reference="fd")


def test_norms_pay_for_factors():
    """784-512-10, B = 256: the gradients of all examples take B times the parameters' memory, their norms a sliver.

    And the norms take half the work of the batch's gradient: nothing of the size of W is ever made.
    """
    net = fnn.mlp((784, 512, 10), hidden="relu", output="softmax")
    params, X, Y = jax.eval_shape(net.init, jax.random.key(0)), jnp.ones((256, 784)), jnp.zeros(256, int)
    all_gradients = 256 * sum(leaf.size * 4 for leaf in jax.tree.leaves(params))

    def costs_of(make):
        compiled = jax.jit(make(net, "cross_entropy")).lower(params, X, Y).compile()
        memory = compiled.memory_analysis()
        return memory.temp_size_in_bytes + memory.output_size_in_bytes, compiled.cost_analysis()["flops"]

    norms, gradient = costs_of(fnn.backprop.per_example_norms), costs_of(fnn.backprop.value_and_grad)
    assert norms[0] < all_gradients / 50 and gradient[0] < all_gradients / 50
    assert costs_of(fnn.backprop.per_example_gradients)[0] >= all_gradients
    assert norms[1] < 0.6 * gradient[1] and norms[1] < 0.5 * costs_of(fnn.autodiff.per_example_norms)[1]
