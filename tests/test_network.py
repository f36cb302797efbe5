"""Networks: what `init` makes, what `apply` takes, and the words that meet a mistake."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import layers
from functional_nn.layers import dense, dropout, layer_norm, maxout, residual

NET = fnn.mlp((2, 3, 4, 1), hidden="tanh")
PARAMS = NET.init(jax.random.key(0))
DEEP = fnn.sequential(5, dense(4, "relu"), residual(layer_norm(), dense(4, "relu")), maxout(3, pieces=2), dropout(0.2),
                      dense(2, "softmax"))


def shapes(tree):
    return jax.tree.map(lambda leaf: leaf.shape, tree)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_init_makes_one_dict_a_layer(dtype):
    with jax.enable_x64(dtype == "float64"):
        params = jax.eval_shape(lambda: NET.init(jax.random.key(0), jnp.dtype(dtype)))
        assert jax.eval_shape(NET.apply, params, jnp.ones(2)).dtype == dtype  # the parameters' dtype decides
    assert shapes(params) == ({"w": (3, 2), "b": (3,)}, {"w": (4, 3), "b": (4,)}, {"w": (1, 4), "b": (1,)})
    assert type(params) is tuple and {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(dtype)}


def test_a_key_decides_the_parameters():
    net = fnn.mlp((3, 3, 3), init="nielsen")
    first, again, other = (net.init(jax.random.key(seed)) for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    drawn = [leaf.tobytes() for params in (first, other) for leaf in map(np.asarray, jax.tree.leaves(params))]
    assert len(set(drawn)) == 8  # no layer, weight or bias repeats another


def test_apply_is_the_layers_one_after_another():
    x = np.array([0.5, -1.5], np.float32)
    a = x
    for p in PARAMS[:-1]:
        a = np.tanh(np.asarray(p["w"]) @ a + np.asarray(p["b"]))
    want = np.asarray(PARAMS[-1]["w"]) @ a + np.asarray(PARAMS[-1]["b"])
    np.testing.assert_allclose(NET.apply(PARAMS, x), want, rtol=1e-5, atol=1e-7)
    batch = jax.jit(jax.vmap(NET.apply, in_axes=(None, 0)))(PARAMS, jnp.stack([x, -x, 2 * x]))
    assert batch.shape == (3, 1)
    np.testing.assert_allclose(batch[0], want, rtol=1e-5, atol=1e-7)
    for form in (x.tolist(), x.astype(np.float64), jnp.asarray(x, jnp.bfloat16)):
        np.testing.assert_allclose(NET.apply(PARAMS, form), want, rtol=1e-5, atol=1e-7)


def test_apply_drops_with_a_key_alone():
    params, x = DEEP.init(jax.random.key(0)), jnp.linspace(-1.0, 1.0, 5)
    plain = NET.apply(PARAMS, x[:2])
    np.testing.assert_array_equal(NET.apply(PARAMS, x[:2], key=jax.random.key(0)), plain)
    dropped = np.asarray(jax.jit(jax.vmap(lambda key: DEEP.apply(params, x, key=key)))(jax.random.split(jax.random.key(0), 8)))
    assert len({row.tobytes() for row in dropped}) > 1
    np.testing.assert_allclose(dropped.sum(1), 1, rtol=1e-6)
    np.testing.assert_array_equal(DEEP.apply(params, x), DEEP.apply(params, x))
    assert DEEP.random and not NET.random


def test_parameters_are_plain_pytrees():
    leaves, structure = jax.tree.flatten(PARAMS)
    file = io.BytesIO()
    np.savez(file, *leaves)
    file.seek(0)
    with np.load(file) as saved:
        loaded = jax.tree.unflatten(structure, [saved[name] for name in saved.files])
    np.testing.assert_array_equal(NET.apply(loaded, jnp.ones(2)), NET.apply(PARAMS, jnp.ones(2)))
    jax.tree.map(np.testing.assert_array_equal, jax.jit(NET.init)(jax.random.key(0)), PARAMS)
    many = jax.eval_shape(jax.vmap(NET.init), jax.random.split(jax.random.key(0), 7))
    assert shapes(many)[0] == {"w": (7, 3, 2), "b": (7, 3)}
    assert type(PARAMS) is tuple and all(type(layer) is dict for layer in PARAMS)


def test_sizes_activations_and_layers_are_read_as_they_are_given():
    assert NET.sizes == (2, 3, 4, 1) and (NET.n_in, NET.n_out, NET.output.name) == (2, 1, "linear")
    assert DEEP.sizes == (5, 4, 4, 3, 3, 2)
    for sizes in ([2, 3, 1], np.array([2, 3, 1]), (np.int64(2), 3, 1)):
        assert repr(fnn.mlp(sizes)) == "Network(2 -> dense(3, sigmoid) -> dense(1, linear))"
    assert repr(fnn.mlp((2, 3, 4, 1), hidden=["relu", fnn.activations.elu.configure(alpha=2)], output="sigmoid")) == (
        "Network(2 -> dense(3, relu) -> dense(4, elu(alpha=2.0)) -> dense(1, sigmoid))")
    assert repr(fnn.mlp((2, 1), hidden=())) == repr(fnn.mlp((2, 1))) == "Network(2 -> dense(1, linear))"
    assert repr(DEEP) == ("Network(5 -> dense(4, relu) -> residual(layer_norm(), dense(4, relu)) -> maxout(3, pieces=2) -> "
                          "dropout(0.2) -> dense(2, softmax))")


@pytest.mark.parametrize("net", [NET, DEEP, fnn.mlp((784, 30, 10))], ids=["mlp", "deep", "wide"])
def test_summary_counts_every_parameter(net):
    header, first, *rows, total = fnn.summary(net).splitlines()
    params = jax.eval_shape(net.init, jax.random.key(0))
    counts = [sum(leaf.size for leaf in jax.tree.leaves(layer)) for layer in params]
    assert header.split() == ["layer", "output", "parameters", "count"] and first.split() == ["input", str(net.n_in)]
    assert [int(row.split()[-1].replace(",", "")) for row in rows] == counts
    assert int(total.split()[-1].replace(",", "")) == sum(counts)
    for row, layer, n, p in zip(rows, net.layers, net.sizes[1:], params, strict=True):
        assert repr(layer) in row and f" {n} " in row
        assert all(str(leaf.shape) in row for leaf in jax.tree.leaves(p))


def test_summary_names_the_parameters_inside_a_residual():
    row = fnn.summary(DEEP).splitlines()[3]
    assert row.split("  ")[0] == "1 residual(layer_norm(), dense(4, relu))" and row.endswith(" 28")
    assert "  0.bias (4,)  0.gain (4,)  1.b (4,)  1.w (4, 4)  " in row


OTHER = fnn.mlp((2, 5, 4, 1)).init(jax.random.key(0))
X = jnp.ones(2)


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: NET.apply(PARAMS, jnp.ones((5, 2))), ValueError,
     "x must be ONE example of shape (2,), got (5, 2); for a batch use jax.vmap(net.apply, in_axes=(None, 0))(params, X)"),
    (lambda: NET.apply(PARAMS, jnp.ones(3)), ValueError, "x must be ONE example of shape (2,), got (3,)"),
    (lambda: NET.apply(PARAMS, 1.0), ValueError, "x must be ONE example of shape (2,), got ()"),
    (lambda: NET.apply(PARAMS, jnp.arange(2)), TypeError, "x must hold real floating-point numbers, got int32; convert it"),
    (lambda: NET.apply(PARAMS, X, key=3), TypeError, "key must be a typed key, got 3; make one with jax.random.key(seed)"),
    (lambda: NET.apply(PARAMS[:2], X), ValueError, "params[2]['b'] of shape (1,) is missing"),
    (lambda: NET.apply(PARAMS + PARAMS[:1], X), ValueError, "it has params[3]['b'], which Network(2 -> dense(3, tanh)"),
    (lambda: NET.apply(OTHER, X), ValueError, "params[0]['b'] must have shape (3,), got (5,); Network(2 -> dense(3, tanh)"),
    (lambda: NET.apply(({"w": PARAMS[0]["w"]}, *PARAMS[1:]), X), ValueError, "params[0]['b'] of shape (3,) is missing; "),
    (lambda: NET.apply(({**PARAMS[0], "scale": 1.0}, *PARAMS[1:]), X), ValueError, "it has params[0]['scale'], which Network("),
    (lambda: NET.apply((*PARAMS[:2], {"w": PARAMS[2]["w"].T, "b": PARAMS[2]["b"]}), X), ValueError,
     "params[2]['w'] must have shape (1, 4), got (4, 1)"),
    (lambda: NET.apply(jax.tree.map(lambda p: p.astype(int), PARAMS), X), TypeError,
     "params[0]['b'] must hold real floating-point numbers, got int32; convert it with params[0]['b'].astype(float)"),
    (lambda: NET.apply(None, X), ValueError, "params[0]['b'] of shape (3,) is missing; "),
    (lambda: NET.init(0), TypeError, "key must be a typed key, got 0; make one with jax.random.key(seed)"),
    (lambda: NET.init(jax.random.PRNGKey(0)), TypeError, "key must be a typed key, got a legacy uint32 key; make one with"),
    (lambda: NET.init(jax.random.split(jax.random.key(0), 3)), ValueError,
     "key must be one key, got an array of keys of shape (3,); pick one, or use vmap"),
    (lambda: NET.init(jax.random.key(0), jnp.float64), ValueError,
     "dtype float64 needs 64-bit mode, which is off; use it inside `with jax.enable_x64(True):`"),
    (lambda: NET.init(jax.random.key(0), "float64"), ValueError, "dtype float64 needs 64-bit mode"),
    (lambda: NET.init(jax.random.key(0), jnp.int32), TypeError, "dtype must be a floating-point dtype such as jnp.float32"),
    (lambda: fnn.mlp((2, 0, 1)), ValueError, "sizes[1] must be an integer of at least 1, got 0"),
    (lambda: fnn.mlp((2, 3.0, 1)), TypeError, "sizes[1] must be an integer of at least 1, got 3.0"),
    (lambda: fnn.mlp((True, 1)), TypeError, "sizes[0] must be an integer of at least 1, got True"),
    (lambda: fnn.mlp((2,)), ValueError,
     "sizes must hold the input's size and at least one layer's, as (784, 30, 10) does; got (2,)"),
    (lambda: fnn.mlp(5), ValueError, "sizes must hold the input's size and at least one layer's, as (784, 30, 10) does; got 5"),
    (lambda: fnn.mlp((2, 3, 3, 1), hidden=["relu"]), ValueError,
     "hidden must be one activation or one for each of the 2 hidden layers, got 1"),
    (lambda: fnn.mlp((2, 3, 1), hidden=jnp.tanh), ValueError, "unknown activation <"),
    (lambda: fnn.mlp((2, 3, 1), hidden="rleu"), ValueError, "unknown activation 'rleu'; did you mean 'relu'?"),
    (lambda: fnn.mlp((2, 1), output="softmax"), ValueError,
     "softmax over one output is always 1; use output='sigmoid' with binary_cross_entropy, or two outputs"),
    (lambda: fnn.mlp((2, 1), init="xavier"), ValueError, "unknown initializer 'xavier'. There are: glorot_uniform"),
    (lambda: fnn.sequential(2), ValueError, "sequential needs at least one layer, got none"),
    (lambda: fnn.sequential(2, dense(3), "relu"), TypeError, "sequential takes layers such as"),
    (lambda: fnn.sequential(2, (dense(3),)), TypeError, "sequential takes layers such as"),
    (lambda: fnn.sequential(0, dense(3)), ValueError, "n_in must be an integer of at least 1, got 0"),
    (lambda: fnn.sequential(5, residual(dense(4))), ValueError, "residual adds its input, of size 5, to the output of its"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)


def test_a_network_is_its_layers_run_forward():
    params, x = DEEP.init(jax.random.key(0)), jnp.linspace(-1.0, 1.0, 5)
    np.testing.assert_array_equal(DEEP.apply(params, x), layers.forward(DEEP.layers, params, x)[0])
