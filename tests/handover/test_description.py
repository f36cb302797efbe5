"""Every network and loss of the library comes back from JSON as it went in; what has no name is refused by its place."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.handover import description
from functional_nn.layers import (
    attention,
    average_pool,
    convolution,
    dense,
    dropout,
    embedding,
    flatten,
    gru,
    layer_norm,
    max_pool,
    maxout,
    positions,
    reshape,
    residual,
)

ACTIVATIONS = [*fnn.activations.ACTIVATIONS.values(), fnn.activations.leaky_relu.configure(slope=1 / 3),
               fnn.activations.elu.configure(alpha=1e-30)]
LOSSES = [*fnn.losses.LOSSES.values(), fnn.losses.huber.configure(delta=1 / 3), fnn.losses.quantile.configure(tau=0.1)]
NETS = {
    **{f"dense {a}": fnn.sequential(3, dense(4, a), dense(2)) for a in ACTIVATIONS},
    "maxout": fnn.sequential(3, maxout(4, pieces=3, init="he_normal"), dense(2)),
    "dropout": fnn.sequential(3, dropout(1 / 3), dense(2, "softmax")),
    "dropout alone": fnn.sequential(3, dropout(0.5)),
    "layer_norm": fnn.sequential(3, layer_norm(), layer_norm(1e-3), dense(2)),
    "image": fnn.sequential(3, dense(24), reshape((4, 3, 2)), convolution(3, (2, 1), "elu", padding="same"), max_pool(2, 1),
                            average_pool((1, 2), (1, 1)), flatten(), dense(2)),
    "signal": fnn.sequential(3, reshape((3, 1)), convolution(2, 3, stride=2, padding=1), flatten(), dense(2)),
    "tokens": fnn.sequential(3, embedding(4, 6, init="he_normal"), positions("zeros"), attention(4, heads=2, causal=True), gru(2),
                             flatten(), dense(2)),
    "residual": fnn.sequential(3, residual(layer_norm(0.5), residual(dense(3, "gelu"), dropout(0.1)), maxout(3)), dense(1)),
}


def again(described):
    return json.loads(json.dumps(described))


@pytest.mark.parametrize("kind", NETS)
def test_a_network_comes_back_with_its_start_and_outputs(kind):
    net = NETS[kind]
    other = description.network(again(description.of_network(net)))
    assert repr(other) == repr(net) and other.sizes == net.sizes and other.random == net.random
    params, key = net.init(jax.random.key(1)), jax.random.key(2)
    jax.tree.map(np.testing.assert_array_equal, other.init(jax.random.key(1)), params)
    x = jnp.linspace(-2, 1, 3) if net.layers[0].tokens is None else jnp.array([3.0, 0.0, 1.0])
    for k in (None, key):
        np.testing.assert_array_equal(other.apply(params, x, key=k), net.apply(params, x, key=k))


@pytest.mark.parametrize("init", fnn.initializers.INITIALIZERS)
def test_an_initialiser_keeps_its_name(init):
    described = again(description.of_network(fnn.sequential(2, dense(3, init=init), maxout(1, init=init))))
    assert [layer["init"] for layer in described["layers"]] == [init, init]
    assert description.of_network(description.network(described)) == described


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_a_loss_comes_back(loss):
    other = description.loss(again(description.of_loss(loss)))
    assert other.name == loss.name and other.parameters == loss.parameters and other.function is loss.function


def test_every_kind_of_layer_is_known():
    kinds = {name for name in fnn.layers.__all__ if name.islower() and callable(made := getattr(fnn.layers, name))
             and made.__annotations__.get("return") in (fnn.layers.Layer, "Layer")}
    assert kinds == set(fnn.layers.KINDS)
    inside = {layer.kind for net in NETS.values() for layer in net.layers}
    assert inside == kinds


mine = dataclasses.replace(fnn.activations.relu, name="mine")
false_relu = dataclasses.replace(fnn.activations.relu, function=jnp.sin)
swept = fnn.activations.leaky_relu.configure(slope=jnp.array(0.5))
ACTIVATION_NAMES = ", ".join(fnn.activations.ACTIVATIONS)


@pytest.mark.parametrize(("part", "words"), [
    (dense(3, mine), f"layer 1's activation must be one of {ACTIVATION_NAMES} to be written down, got mine; use one of them"),
    (dense(3, false_relu), f"layer 1's activation must be one of {ACTIVATION_NAMES} to be written down, got another function "
     "called 'relu'; use one of them"),
    (dense(3, swept), "layer 1's activation's slope must be a number to be written down, got ArrayImpl; convert it with "
     "float(...), and make the network or the loss again"),
    (dropout(jnp.array(0.5)), "layer 1's rate must be a number to be written down, got ArrayImpl; convert it with float(...), "
     "and make the network or the loss again"),
    (residual(layer_norm(), dense(3, init=jax.nn.initializers.normal(0.3))),
     f"layer 1.1's init must be one of {', '.join(fnn.initializers.INITIALIZERS)} to be written down, got one without a name; "
     "make the network again with one of them, its trained parameters fit as they are"),
    (dataclasses.replace(dense(3), kind="conv"), f"net must be made of {', '.join(fnn.layers.KINDS)} to be "
     "written down, got conv(3, linear) as layer 1; put one of them in its place"),
])
def test_what_has_no_name_is_refused(part, words):
    with pytest.raises(ValueError) as error:
        description.of_network(fnn.sequential(3, dense(3), part))
    assert str(error.value) == words


def test_a_loss_without_a_name_is_refused():
    with pytest.raises(ValueError, match=r"^loss must be one of quadratic, .* to be written down, got mine; use one of them$"):
        description.of_loss(dataclasses.replace(fnn.losses.mse, name="mine"))
