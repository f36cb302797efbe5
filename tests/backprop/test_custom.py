"""Our backward pass inside other people's code: `jax.grad` of it, under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import functional_nn as fnn
from functional_nn import layers
from functional_nn.backprop import as_custom_vjp, custom
from functional_nn.losses import LOSSES, Loss
from tests.backprop.networks import close, drawn, each_case, network, quick


@each_case
def test_every_gradient_is_that_of_the_cost(kind, pair):
    """With respect to params, X, Y and the weights, with dropout, scaled by what comes after."""
    output, loss = pair
    with jax.enable_x64(True):
        net = network(kind, output)
        params, X, Y = drawn(net)
        weights, key = jnp.array([0.5, 2.0, 0.1, 1.0, 3.0]), jax.random.key(2)

        def gradients(make):
            cost = make(net, loss)
            return jax.value_and_grad(lambda *args: jnp.sin(3 * cost(*args[:3], sample_weights=args[3], key=key)),
                                      argnums=(0, 1, 2, 3))(params, X, Y, weights)

        close(*quick(lambda: (gradients(as_custom_vjp), gradients(fnn.cost)))())


@pytest.mark.parametrize("loss", LOSSES)
def test_the_derivative_by_the_targets_of_every_loss(loss):
    with jax.enable_x64(True):
        net = fnn.mlp((4, 3), output=LOSSES[loss].output or "tanh")
        params, X, Y = drawn(net)

        @quick
        def by_targets(Y):
            return [[jax.grad(make(net, loss, head=head), argnums=2)(params, X, Y) for head in ("stable", "general")]
                    for make in (as_custom_vjp, fnn.cost)]

        close(*by_targets(Y))


def test_it_is_our_backward_pass_that_runs(monkeypatch):
    """A mistake in the hand-written pass is a mistake in `jax.grad` of the function."""
    net = fnn.mlp((4, 3))
    params, X, Y = drawn(net, dtype="float32")
    right = jax.grad(as_custom_vjp(net, "quadratic"))(params, X, Y)
    monkeypatch.setattr(custom, "factors_of", lambda of: layers.factors_of(of)._replace(
        weighted_sum=lambda factors, weights: jax.tree.map(jnp.zeros_like, params)))
    wrong = jax.grad(as_custom_vjp(net, "quadratic"))(params, X, Y)
    assert all(float(jnp.abs(leaf).max()) == 0 for leaf in jax.tree.leaves(wrong))
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(right))


def test_jit_vmap_scan_and_remat_change_nothing():
    with jax.enable_x64(True):
        net = fnn.mlp((4, 3), output="softmax")
        _, X, Y = drawn(net)
        cost = as_custom_vjp(net, "cross_entropy")
        slope = jax.grad(lambda params: cost(params, X, Y))
        several = jax.tree.map(lambda *each: jnp.stack(each), *(drawn(net, seed=seed)[0] for seed in range(3)))
        each = [jax.tree.map(lambda p, i=i: p[i], several) for i in range(3)]
        wanted = jax.tree.map(lambda *each: jnp.stack(each), *map(quick(slope), each))
        close(quick(jax.vmap(slope))(several), wanted)
        close(quick(lambda several: jax.lax.scan(lambda carry, params: (carry, slope(params)), 0, several)[1])(several), wanted)
        remat = jax.grad(jax.checkpoint(lambda params: cost(params, X, Y)))
        close(quick(remat)(each[0]), jax.tree.map(lambda leaf: leaf[0], wanted))
        together = jax.grad(lambda params: jax.lax.scan(lambda sum, xy: (sum + cost(params, xy[0][None], xy[1][None]), None),
                                                        jnp.zeros(()), (X, Y))[0] / len(X))
        close(quick(together)(each[0]), jax.tree.map(lambda leaf: leaf[0], wanted))
        close(slope(each[0]), quick(slope)(each[0]))


def test_integer_classes_and_float0():
    net = network("dense")
    params, X, _ = drawn(net, dtype="float32")
    Y = jnp.array([0, 2, 1, 1, 0])
    close(*quick(lambda params, X: [jax.grad(make(net, "cross_entropy"), argnums=(0, 1))(params, X, Y)
                                    for make in (as_custom_vjp, fnn.cost)])(params, X), rtol=1e-5)
    nothing = jax.grad(as_custom_vjp(net, "cross_entropy"), argnums=2, allow_int=True)(params, X, Y)
    assert nothing.dtype == jax.dtypes.float0


def sharded(function, mesh, *, check):
    """`function` of (params, X, Y), the examples divided among the devices."""
    data, same = PartitionSpec("data"), PartitionSpec()
    return jax.jit(jax.shard_map(function, mesh=mesh, in_specs=(same, data, data), out_specs=same, check_vma=check))


@pytest.mark.parametrize("check", [True, False], ids=["checked", "unchecked"])
def test_inside_shard_map(check):
    """The mean of the costs has the gradient of the whole batch; and all is as with a plain function of JAX."""
    with jax.enable_x64(True):
        net = network("dense")
        params, X, Y = drawn(net, 6)
        mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
        whole = fnn.backprop.value_and_grad(net, "cross_entropy")(params, X, Y)[1]

        def after(make):
            """What decision 6 of the design warns of: N times too large where JAX has added up already."""
            return sharded(lambda *args: jax.lax.pmean(jax.grad(make(net, "cross_entropy"))(*args), "data"), mesh,
                           check=check)(params, X, Y)

        close(after(as_custom_vjp), after(fnn.cost))
        close(after(as_custom_vjp), jax.tree.map(lambda leaf: (2 if check else 1) * leaf, whole))
        by_hand = sharded(lambda *args: jax.lax.pmean(fnn.backprop.value_and_grad(net, "cross_entropy")(*args)[1], "data"),
                          mesh, check=check)
        close(by_hand(params, X, Y), whole)
        if check:
            cost = as_custom_vjp(net, "cross_entropy")
            before = sharded(jax.grad(lambda *args: jax.lax.pmean(cost(*args), "data")), mesh, check=True)
            close(before(params, X, Y), whole)


def test_forward_mode_is_refused_by_jax():
    net = fnn.mlp((4, 3))
    params, X, Y = drawn(net, dtype="float32")
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(lambda params: as_custom_vjp(net, "quadratic")(params, X, Y), (params,), (params,))


def test_reverse_over_reverse_gives_the_hessian_too():
    with jax.enable_x64(True):
        net = network("dense")
        params, X, Y = drawn(net)
        cost = as_custom_vjp(net, "cross_entropy")

        @quick
        def both(params):
            _, pullback = jax.vjp(jax.grad(lambda params: cost(params, X, Y)), params)
            found = fnn.backprop.quantities(net, "cross_entropy", ["hvp"])(params, X, Y, direction=params)["hvp"]
            return pullback(params)[0], found

        close(*both(params))


def test_a_loss_that_does_not_know_its_targets():
    quartic = Loss("quartic", lambda a, y: jnp.sum((a - y)**4), lambda a, y: 4 * (a - y)**3)
    net = fnn.mlp((4, 3))
    params, X, Y = drawn(net, dtype="float32")
    cost = as_custom_vjp(net, quartic)
    close(jax.grad(cost)(params, X, Y), jax.grad(fnn.cost(net, quartic))(params, X, Y), rtol=1e-5)
    with pytest.raises(ValueError, match="with respect to Y: the loss quartic does not know its derivative there"):
        jax.grad(cost, argnums=2)(params, X, Y)


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda p, X, Y: as_custom_vjp(3, "mse"), TypeError, "net must be a network"),
    (lambda p, X, Y: jax.grad(as_custom_vjp(fnn.mlp((4, 3)), "mse"))(p, X[:, :2], Y), ValueError, "X must have shape"),
    (lambda p, X, Y: as_custom_vjp(fnn.mlp((4, 3)), "mse")(p, X, Y[:, :2]), ValueError, "Y must have shape (5, 3)"),
])
def test_names_the_mistake(call, kind, words):
    with pytest.raises(kind) as error:
        call(*drawn(fnn.mlp((4, 3)), dtype="float32"))
    assert words in str(error.value)


def test_a_training_loop_of_someone_else():
    """Plain JAX, with a layer of one's own in front: the gradient goes through ours into theirs."""
    net = fnn.mlp((3, 8, 1), hidden="tanh")
    cost, net_params = as_custom_vjp(net, "mse"), net.init(jax.random.key(0))
    X = jax.random.normal(jax.random.key(1), (64, 2))
    Y = (X[:, 0] * X[:, 1])[:, None]
    theirs = {"mix": jax.random.normal(jax.random.key(2), (2, 3)), "net": net_params}

    def loss(p):
        return cost(p["net"], jnp.sin(X @ p["mix"]), Y)

    @jax.jit
    def step(p, _):
        value, slope = jax.value_and_grad(loss)(p)
        return jax.tree.map(lambda leaf, g: leaf - 0.05 * g, p, slope), value

    _, values = jax.lax.scan(step, theirs, length=1000)
    assert np.isfinite(values).all() and float(values[-1]) < float(values[0]) / 4
