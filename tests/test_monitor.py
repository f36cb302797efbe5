"""What is said of the layers is what autodiff, example by example, says of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.monitor import IDLE_SLOPE, MEASURES, quantity_function, watch_function
from tests.slow import few

X, Y = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30) % 3
NETS = {
    "mlp": fnn.mlp((4, 6, 5, 3), hidden="sigmoid", output="softmax"),
    "every layer": fnn.sequential(4, fnn.layers.dropout(0.2), fnn.layers.dense(6, "relu"), fnn.layers.layer_norm(),
                                  fnn.layers.residual(fnn.layers.dense(6, "tanh")), fnn.layers.maxout(5, 2),
                                  fnn.layers.dense(3, "softmax"))}


def norm(tree):
    return np.sqrt(sum(float((np.asarray(leaf) ** 2).sum()) for leaf in jax.tree.leaves(tree)))


@pytest.mark.parametrize("name", NETS)
def test_the_measures_are_those_of_the_plain_loop(name):
    net, optimizer = NETS[name], fnn.optimizers.sgd(0.3, momentum=0.9)
    with jax.enable_x64(True):
        params = net.init(jax.random.key(0), "float64")
        state = optimizer.update(params, optimizer.init(params), params)[1]  # some momentum
        gradient = jax.jit(fnn.autodiff.value_and_grad(net, "cross_entropy"))(params, X, Y)[1]
        watch = watch_function(net, "cross_entropy", lambda *args: fnn.backprop.value_and_grad(net, "cross_entropy")(*args)[1],
                               optimizer)
        seen = jax.jit(watch)(params, state, X, Y)
        assert list(seen) == sorted(MEASURES)
        by_jax = jax.jit(fnn.autodiff.deltas(net, "cross_entropy"))
        errors = [by_jax(params, x, y) for x, y in zip(X, Y, strict=True)]
        steps = optimizer.update(gradient, state, params)[0]
        for l in range(len(net.layers)):
            deltas = np.array([error[l] for error in errors])
            assert seen["delta_of_mean"][l] == pytest.approx(np.linalg.norm(deltas.mean(axis=0)), rel=1e-10)
            assert seen["delta_mean"][l] == pytest.approx(np.linalg.norm(deltas, axis=1).mean(), rel=1e-10)
            own = norm(params[l])
            assert seen["update_ratio"][l] == pytest.approx(norm(steps[l]) / own if own else 0, rel=1e-10)


@pytest.mark.parametrize(("activation", "shifts", "share"), [
    ("relu", [0, -1e3, 0, 1e3], 0.25), ("sigmoid", [0, -1e3, 0, 1e3], 0.5), ("tanh", [99] * 4, 1),
    ("linear", [0] * 4, 0)])
def test_idle_units_are_dead_or_saturated(activation, shifts, share):
    net = fnn.mlp((4, 4, 3), hidden=activation, output="softmax")
    params = net.init(jax.random.key(0))
    params[0]["b"] = jnp.array(shifts, jnp.float32)
    watch = watch_function(net, "cross_entropy", lambda *args: fnn.backprop.value_and_grad(net, "cross_entropy")(*args)[1],
                           fnn.optimizers.sgd(0.1))
    seen = jax.jit(watch)(params, fnn.optimizers.sgd(0.1).init(params), X, Y)
    assert seen["idle_units"][0] == share and np.isnan(seen["idle_units"][1]) and IDLE_SLOPE == 0.01


@pytest.mark.parametrize("weighted", few([False, True], 0))
def test_fit_looks_as_often_as_it_can_afford(weighted):
    options = {"key": jax.random.key(0), "batch_size": 8, "progress": False, "monitor": True}
    if weighted:
        options["sample_weights"] = np.linspace(1, 2, 30)
    net = NETS["every layer"]
    result = fnn.fit(net, "cross_entropy", fnn.optimizers.sgd(0.1), (X, Y), epochs=121, **options)
    assert result.layers["epoch"].tolist() == [1, 61, 121]  # 30 examples of 30, and 60 epochs to make up for them
    for name in MEASURES:
        assert result.layers[name].shape == (3, len(net.layers))
    plain = fnn.fit(net, "cross_entropy", fnn.optimizers.sgd(0.1), (X, Y), epochs=121, **{**options, "monitor": False})
    assert not plain.layers
    jax.tree.map(np.testing.assert_array_equal, plain.params, result.params)


def test_a_quantity_is_recorded_and_the_run_is_the_same():
    options = {"key": jax.random.key(0), "batch_size": 30, "progress": False, "epochs": 1}
    net, sgd = NETS["mlp"], fnn.optimizers.sgd(0.1)
    result = fnn.fit(net, "cross_entropy", sgd, (X, Y), monitor=["norms"], **options)
    assert set(result.layers) == {"epoch", *MEASURES, "norms"}
    found = fnn.backprop.quantities(net, "cross_entropy", ["norms"])(result.params, X.astype(np.float32), Y)
    assert result.layers["norms"][-1] == pytest.approx(float(found["norms"].mean()), rel=1e-4)
    plain = fnn.fit(net, "cross_entropy", sgd, (X, Y), **options)
    jax.tree.map(np.testing.assert_array_equal, plain.params, result.params)


@pytest.mark.slow
def test_quantities_are_recorded_beside_the_measures():
    options = {"key": jax.random.key(0), "batch_size": 8, "progress": False}
    net, sgd, names = NETS["mlp"], fnn.optimizers.sgd(0.1), ["noise_scale", "norms", "ggn_diagonal", "delta_statistics"]
    result = fnn.fit(net, "cross_entropy", sgd, (X, Y), epochs=61, monitor=names, **options)
    assert result.layers["epoch"].tolist() == [1, 61]
    assert set(result.layers) == {"epoch", *MEASURES, *names[:3], *(
        f"delta_statistics_{part}" for part in ("mean", "deviation", "zeros", "norm", "norm_of_mean"))}
    plain = fnn.fit(net, "cross_entropy", sgd, (X, Y), epochs=61, **options)
    jax.tree.map(np.testing.assert_array_equal, plain.params, result.params)
    found = fnn.backprop.quantities(net, "cross_entropy", names)(result.params, X.astype(np.float32), Y)
    assert result.layers["noise_scale"][-1] == pytest.approx(float(found["noise_scale"]), rel=1e-4)
    assert result.layers["norms"][-1] == pytest.approx(float(found["norms"].mean()), rel=1e-4)
    traces = [sum(float(leaf.sum()) for leaf in jax.tree.leaves(own)) for own in found["ggn_diagonal"]]
    np.testing.assert_allclose(result.layers["ggn_diagonal"][-1], traces, rtol=1e-4)
    more = fnn.fit(net, "cross_entropy", sgd, (X, Y), epochs=121, monitor=True, resume=result, **options)
    assert more.layers["ggn_diagonal"].shape == (3, 3) and np.isnan(more.layers["ggn_diagonal"][-1]).all()


@pytest.mark.parametrize(("names", "kind", "words"), [
    (["norm"], ValueError, "unknown quantity 'norm'; did you mean 'norms'?"),
    ("norms", TypeError, "monitor must be True, False or a list of quantities, got 'norms'"),
    (["hvp"], ValueError, "monitor cannot record hvp: it needs the option direction; compute it in a callback"),
    (["kronecker"], ValueError, "monitor cannot record kronecker: its value is matrices"),
])
def test_quantities_that_cannot_be_recorded(names, kind, words):
    with pytest.raises(kind) as error:
        quantity_function(NETS["mlp"], "cross_entropy", names)
    assert words in str(error.value)
