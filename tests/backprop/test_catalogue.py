"""Asking for quantities: one pass for all, transformations, memory, and what is said of mistakes."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from experiments.quantities import REFERENCES, ROWS
from functional_nn.activations import Activation
from functional_nn.backprop import QUANTITIES
from functional_nn.layers import Factors, Layer, dense, layer_norm, residual
from functional_nn.losses import Loss
from tests.backprop.networks import B, close, drawn, network, quick

NET = network("dropout")
NAMES = list(QUANTITIES)


def test_every_quantity_has_a_reference_a_text_and_a_limit_or_none():
    assert set(REFERENCES) == set(QUANTITIES)
    assert {name for names in ROWS for name in names} | {"fisher_diagonal"} == set(QUANTITIES)
    for name, quantity in QUANTITIES.items():
        assert quantity.name == name and len(quantity.text) > 40


def test_together_as_alone_compiled_mapped_and_scanned():
    with jax.enable_x64(True):
        net = fnn.mlp((4, 5, 3), hidden="tanh", output="softmax")
        params, X, Y = drawn(net)
        several = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), params)
        names = ["norms", "variance", "ggn_diagonal", "hvp"]

        def of(params, names=names):
            return fnn.backprop.quantities(net, "cross_entropy", names)(params, X, Y, direction=params)

        @quick
        def everything(params):
            mapped, (_, scanned) = jax.vmap(of)(several), jax.lax.scan(lambda carry, p: (carry, of(p)), 0, several)
            return of(params), {name: of(params, [name])[name] for name in names}, *(
                jax.tree.map(lambda leaf: leaf[1], found) for found in (mapped, scanned))

        together, *others = everything(params)
        for other in others:
            close(other, together)
        close(of(params, ["norms"])["norms"], together["norms"])


def test_the_same_key_drops_the_same_units_as_in_the_gradient():
    params, X, Y = drawn(NET, dtype="float32")
    key = jax.random.key(1)

    @quick
    def both(params):
        found = fnn.backprop.quantities(NET, "cross_entropy", ["norms", "gradient"])(params, X, Y, key=key)
        return found, {"norms": fnn.backprop.per_example_norms(NET, "cross_entropy")(params, X, Y, key=key),
                       "gradient": fnn.backprop.value_and_grad(NET, "cross_entropy")(params, X, Y, key=key)[1]}

    close(*both(params), 1e-6)


def test_values_have_the_containers_and_dtype_of_the_parameters():
    params, X, Y = drawn(network("residual"), dtype="float32")
    (inner_0, inner_1), last = params
    other = [[collections.OrderedDict(w=inner_0["w"], b=inner_0["b"]), inner_1], last]
    names = [name for name in NAMES if name != "kronecker"]
    quantities = fnn.backprop.quantities(network("residual"), "cross_entropy", names)
    found = jax.eval_shape(lambda params: quantities(params, X, Y, clip=1.0, direction=params, key=jax.random.key(0)), other)
    for name in names:
        if QUANTITIES[name].of == "parameters":
            assert jax.tree.structure(found[name]) == jax.tree.structure(other)
        assert {leaf.dtype for leaf in jax.tree.leaves(found[name])} == {jnp.dtype("float32")}
    assert found["dots"].shape == found["cosines"].shape == (B,)


def test_memory_is_that_of_the_factors():
    """784-64-10 with 256 examples: no quantity takes a tenth of what the gradients of all examples take."""
    net = fnn.mlp((784, 64, 10), hidden="relu", output="softmax")
    params, X, Y = jax.eval_shape(net.init, jax.random.key(0)), jnp.ones((256, 784)), jnp.zeros(256, int)
    every = 256 * sum(leaf.size * 4 for leaf in jax.tree.leaves(params))
    quantities = fnn.backprop.quantities(net, "cross_entropy", NAMES)

    def of(params, X, Y, key):
        return quantities(params, X, Y, clip=1.0, direction=params, key=key)

    analysis = jax.jit(of).lower(params, X, Y, jax.random.key(0)).compile().memory_analysis()
    assert analysis.temp_size_in_bytes + analysis.output_size_in_bytes < every / 3


def spline(**fields):
    """A layer of a user's, of which the library knows the gradient alone."""
    of = dense(3)
    return Layer("spline", of.n_out, of.init, of.forward, of.backward, Factors(*of.factors[:3]), **fields)


def ask(names, net=NET, loss="cross_entropy", **options):
    params, X, Y = drawn(net, dtype="float32")
    return fnn.backprop.quantities(net, loss, names)(params, X, Y, **options)


CUBE = Activation("cube", lambda z: z**3, lambda z: 3 * z**2)
QUARTIC = Loss("quartic", lambda a, y: jnp.sum((a - y)**4), lambda a, y: 4 * (a - y)**3)
OTHER = fnn.mlp((4, 3)).init(jax.random.key(0))
SHORT = (drawn(NET, dtype="float32")[0][0], (), {"w": jnp.ones((3, 6)), "b": jnp.ones(4)})


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: ask(["norm"]), ValueError, "unknown quantity 'norm'; did you mean 'norms'? There are: gradient, norms"),
    (lambda: ask("norms"), TypeError, "names must be a list of names, got 'norms'; write ['norms']"),
    (lambda: ask([]), ValueError, "names must hold at least one quantity"),
    (lambda: ask(["clipped_sum"]), ValueError, "clipped_sum needs the option clip: the largest norm that an example's"),
    (lambda: ask(["clipped_sum"], clip=-1), ValueError, "clip must be a finite number above 0, got -1"),
    (lambda: ask(["hvp"]), ValueError, "hvp needs the option direction: a pytree shaped like params"),
    (lambda: ask(["hvp"], direction=OTHER), ValueError, "direction is not of this network: direction[0]['b'] must have shap"),
    (lambda: ask(["dots"], direction=SHORT), ValueError, "direction[2]['b'] must have shape (3,), got (4,)"),
    (lambda: ask(["dots"], direction={"w": 1.0}), ValueError, "direction[0]['b'] of shape (6,) is missing"),
    (lambda: ask(["ggn_diagonal_mc"]), ValueError, "ggn_diagonal_mc needs the option key: a typed key, such as key=jax.ran"),
    (lambda: ask(["ggn_diagonal_mc"], key=3), TypeError, "key must be a typed key, got 3"),
    (lambda: ask(["kronecker"], network("layer_norm")), ValueError,
     "kronecker cannot be computed: layer 1, layer_norm(), cannot give it: its gradient is not the product of"),
    (lambda: ask(["kronecker"], network("nested")), ValueError, "layer 0, layer_norm(), cannot give it"),
    (lambda: ask(["kronecker"], fnn.sequential(4, residual(dense(4), layer_norm()), dense(3, "softmax"))), ValueError,
     "layer 0.1, layer_norm(), cannot give it"),
    (lambda: ask(["hvp"], fnn.sequential(4, spline(), dense(3, "softmax"))), ValueError,
     "hvp cannot be computed: layer 0, spline(), cannot give it: its `Layer` does not say how"),
    (lambda: ask(["variance"], fnn.sequential(4, spline(), dense(3, "softmax"))), ValueError,
     "variance cannot be computed: layer 0, spline(), cannot give it: its `Factors` do not say how"),
    (lambda: ask(["hvp"], fnn.mlp((4, 5, 3), hidden=CUBE, output="softmax")), ValueError,
     "hvp cannot be computed: the activation cube of layer 0 does not know its second derivative; give it as `curvature`"),
    (lambda: ask(["ggn_diagonal"], fnn.mlp((4, 3)), QUARTIC), ValueError,
     "ggn_diagonal cannot be computed: a second derivative of the loss quartic on the output linear is not known"),
    (lambda: ask(["norms"], fnn.mlp((4, 3)), "cross_entropy"), ValueError, "cross_entropy takes the logarithm"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    assert words in str(error.value)


def test_a_layer_that_knows_its_gradient_alone_gives_what_follows_from_it():
    net = fnn.sequential(4, spline(), dense(3, "softmax"))
    plain = fnn.sequential(4, dense(3), dense(3, "softmax"))
    names = ["gradient", "norms", "clipped_sum", "noise_scale", "delta_statistics"]
    close(*quick(lambda: (ask(names, net, clip=1.0), ask(names, plain, clip=1.0)))())


def test_an_activation_that_bends_in_an_unknown_way_has_the_rest():
    net = fnn.mlp((4, 5, 3), hidden=CUBE, output="softmax")
    found = quick(lambda v: ask(["ggn_vp", "ggn_diagonal"], net, direction=v))(net.init(jax.random.key(0)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
