"""Optimisers that want the objective itself: line searches and plateaus, with the gradients that `fit` was given."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import minimize

import functional_nn as fnn
from tests.slow import few
from tests.training.memory import Memory
from tests.training.runs import NOISY, N, X, Y, fit, same

PLATEAU = optax.contrib.reduce_on_plateau(factor=0.5, patience=2, accumulation_size=2)
WANTING = {"lbfgs": optax.lbfgs(), "plateau": optax.chain(optax.adam(0.05), PLATEAU),
           "polyak": optax.polyak_sgd(max_learning_rate=0.5),
           "backtracking": optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(8, store_grad=True))}


@pytest.fixture(autouse=True)
def standard_promotion():
    """optax's own arithmetic raises under the strict one of these tests."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def test_lbfgs_finds_the_optimum_that_scipy_finds():
    """Softmax regression with an L2 penalty, which is strictly convex in the weights."""
    with jax.enable_x64(True):
        net, loss, penalty = fnn.mlp((3, 3), output="softmax"), "cross_entropy", fnn.penalties.l2(0.1, "all")
        result = fit(net, loss, (X, Y), optax.lbfgs(), batch_size=None, epochs=60, penalty=penalty)
        start, tree = jax.flatten_util.ravel_pytree(result.params)
        cost = fnn.cost(net, loss)

        @jax.jit
        @jax.value_and_grad
        def objective(flat):
            return cost(tree(flat), jnp.asarray(X), jnp.asarray(Y)) + penalty.value(tree(flat))

        best = minimize(lambda flat: tuple(map(np.asarray, objective(flat))), np.zeros(start.size),
                        jac=True, method="BFGS", options={"gtol": 1e-9})
        np.testing.assert_allclose(start, best.x, atol=1e-7)
        assert float(objective(start)[0]) == pytest.approx(best.fun, rel=1e-12)


def recorder(seen):
    """An optimiser that stands still and keeps, in its state, what `seen` computes from its arguments."""
    def update(gradient, state, params, *, value, grad, value_fn):
        return jax.tree.map(jnp.zeros_like, gradient), seen(params, value, grad, value_fn)

    return optax.GradientTransformationExtraArgs(lambda params: jnp.zeros(()), update)


def apart(one, other):
    return sum(jnp.sum(jnp.abs(a - b)) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2.0, N)], ids=["alike", "weighted"])
def test_the_value_function_is_the_objective_of_this_step_with_its_dropout(weights):
    run = functools.partial(fit, NOISY, epochs=1, penalty=fnn.penalties.l2(0.3), sample_weights=weights)
    again = run(optimizer=recorder(lambda params, value, grad, value_fn: value - value_fn(params)))
    assert again.optimizer_state == 0.0  # another mask would give another value
    other = run(optimizer=recorder(lambda params, value, grad, value_fn: value))
    moved = run(optimizer=recorder(lambda params, value, grad, value_fn: value_fn(
        jax.tree.map(lambda w: w + 1, params))))
    assert other.optimizer_state > other.history["penalty"][0] > 0 and moved.optimizer_state != other.optimizer_state


def test_its_derivative_is_the_gradient_that_fit_was_given():
    """A gradient that is three times too large goes into the line search as it is, forward and backward."""
    def tripled(net, loss):
        run = fnn.backprop.value_and_grad(net, loss)
        return lambda *args: (lambda cost, grad: (cost, jax.tree.map(lambda g: 3 * g, grad)))(*run(*args))

    def forward(params, value_fn, grad):
        return jax.jvp(value_fn, (params,), (grad,))[1] - optax.tree.vdot(grad, grad)

    def missed(params, value, grad, value_fn):
        return jnp.maximum(apart(jax.grad(value_fn)(params), grad), jnp.abs(forward(params, value_fn, grad)))

    assert fit(optimizer=recorder(missed), epochs=1, value_and_grad=tripled).optimizer_state < 1e-5
    size = recorder(lambda params, value, grad, value_fn: optax.tree.norm(jax.grad(value_fn)(params)))
    wrong, right = (fit(optimizer=size, epochs=1, value_and_grad=way).optimizer_state
                    for way in (tripled, fnn.backprop.value_and_grad))
    assert wrong == pytest.approx(3 * float(right), rel=1e-5)


@pytest.mark.parametrize("name", few(WANTING, "plateau"))
def test_a_run_goes_on_to_the_same_bits(name):
    """With dropout, from amid an epoch and from a result."""
    options = {"net": NOISY, "optimizer": WANTING[name], "penalty": fnn.penalties.l2(1e-3)}
    store = Memory()
    whole = fit(epochs=4, every=2, checkpoints=store, **options)
    half = Memory()
    half.all = store.all[:3]
    same(fit(epochs=4, every=2, checkpoints=half, **options), whole)
    same(fit(epochs=4, resume=fit(epochs=2, **options), **options).params, whole.params)
    assert np.isfinite(whole.history["cost"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", WANTING)
def test_float32_parameters_train_under_x64_too(name):
    """One that keeps gradients in its line search does not, in optax itself, and is refused in words."""
    with jax.enable_x64(True):
        if name == "backtracking":
            with pytest.raises(TypeError, match="got one whose update fails with them"):
                fit(data=(X.astype(np.float32), Y), optimizer=WANTING[name], epochs=2)
            return
        result = fit(data=(X.astype(np.float32), Y), optimizer=WANTING[name], epochs=2, monitor=True)
        assert jax.tree.leaves(result.params)[0].dtype == "float32" and np.isfinite(result.history["cost"]).all()


def test_a_plateau_lowers_the_rate():
    result = fit(optimizer=optax.chain(optax.sgd(0.0), PLATEAU), epochs=12)
    assert float(optax.tree.get(result.optimizer_state, "scale")) < 0.5


@pytest.mark.parametrize(("optimizer", "wanted"), [
    (optax.contrib.sophia(0.01), "obj_fn"),
    (optax.GradientTransformationExtraArgs(lambda p: (), lambda g, s, p, *, batch, **more: (g, s)), "batch")])
def test_one_that_wants_something_else_is_refused_by_the_name_of_that_before_anything_runs(optimizer, wanted):
    calls = []
    with pytest.raises(TypeError, match=f"optimizer must need no more than .* value, grad and value_fn.*{wanted}"):
        fit(optimizer=optimizer, callbacks=[calls.append], checkpoints=(store := Memory()))
    assert not calls and not store.all
