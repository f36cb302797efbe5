"""Clipping, decay and max-norm: what they are the gradient of, what they leave alone, and what they bound."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from functional_nn import optimizers
from functional_nn.optimizers import (
    clip_by_global_norm,
    clip_by_value,
    decoupled_decay,
    l1,
    l2,
    max_norm,
)


def params(dtype=float):
    """Two weights' leaves, and two that are none."""
    w = jnp.asarray([[3.0, -4.0], [0.0, 0.5]], dtype)
    return {"w": w, "b": jnp.asarray([2.0, -1.0], dtype), "scale": jnp.asarray(-2.0, dtype),
            "kernel": jnp.stack([w, -w, 2 * w]), "none": None}


def once(transformation, gradients, params):
    return jax.jit(transformation.update)(gradients, transformation.init(params), params)[0]


def close(here, there, rtol=1e-6):
    for name in there:
        if there[name] is not None:
            np.testing.assert_allclose(here[name], there[name], rtol=rtol, atol=1e-12, err_msg=name)


NONE = {"w": 0.0, "b": 0.0, "scale": 0.0, "kernel": 0.0}
MASKS = {"weights": ("weights", {"w", "kernel"}), "all": (None, {"w", "kernel", "b", "scale"}), "biases": (
    {"w": False, "b": True, "scale": False, "kernel": False, "none": False}, {"b"}),
    "function": (lambda params: {name: name == "scale" for name in params}, {"scale"})}


@pytest.mark.parametrize(("mask", "chosen"), MASKS.values(), ids=MASKS)
@pytest.mark.parametrize(("make", "penalty"), [
    (l2, lambda w: 0.3 / 2 * jnp.sum(w**2)), (l1, lambda w: 0.3 * jnp.sum(jnp.sqrt(w**2 + 1e-30)))], ids=["l2", "l1"])
def test_a_coupled_decay_is_the_gradient_of_its_penalty_on_the_chosen_leaves(make, penalty, mask, chosen):
    with jax.enable_x64(True):
        w = params()
        g = jax.tree.map(jnp.cos, w)
        of_penalty = jax.grad(lambda w: sum(penalty(w[name]) for name in sorted(chosen)))(w)
        close(once(make(0.3, mask), g, w), jax.tree.map(jnp.add, g, of_penalty), rtol=1e-14)


@pytest.mark.parametrize(("make", "name"), [(l2, "l2"), (l1, "l1")])
def test_the_default_is_the_weights_alone_and_none_is_no_change(make, name):
    w = params()
    g = jax.tree.map(jnp.ones_like, w)
    close(once(make(0.3), g, w), once(make(0.3, "weights"), g, w))
    close(once(make(0.0, None), g, w), g)


def test_l1_makes_weights_small_that_l2_only_shrinks():
    def end(decay):
        optimizer, w = optax.chain(decay, optimizers.sgd(0.1)), jnp.asarray([[0.1, 2.0]])
        state, update = optimizer.init(w), jax.jit(optimizer.update)
        for _ in range(100):
            step, state = update(jnp.asarray([[0.0, -0.1]]), state, w)
            w = w + step
        return w[0]

    assert abs(end(l1(0.05))[0]) <= 0.005 + 1e-6 < abs(end(l2(0.05))[0])


@pytest.mark.parametrize("mask", [None, "weights"])
@pytest.mark.parametrize("twin", ["adamw", "lion"])
def test_decoupled_decay_after_an_optimiser_is_the_decoupled_optimiser(twin, mask):
    plain = {"adamw": lambda rate: optimizers.adam(rate), "lion": lambda rate: optimizers.lion(rate, weight_decay=0.0)}[twin]
    with jax.enable_x64(True):
        rate, w = optax.exponential_decay(0.1, 3, 0.5), params()
        two, one = optax.chain(plain(rate), decoupled_decay(rate, 0.2, mask)), getattr(optimizers, twin)(
            rate, weight_decay=0.2, mask=mask)
        states = [two.init(w), one.init(w)]
        for _ in range(5):
            steps, states = zip(*(o.update(w, s, w) for o, s in zip((two, one), states, strict=True)), strict=True)
            close(*steps, rtol=1e-12)
            w = optax.apply_updates(w, steps[0])


def test_decoupled_decay_shrinks_by_a_share_whatever_the_gradients_were():
    for g in (0.0, 1.0, 1e6):
        w = jnp.full((1, 1), 4.0)
        both = optax.chain(optimizers.adam(0.5), decoupled_decay(0.5, 0.1))
        alone = optimizers.adam(0.5)
        gradient = jnp.full((1, 1), g)
        apart = both.update(gradient, both.init(w), w)[0] - alone.update(gradient, alone.init(w), w)[0]
        np.testing.assert_allclose(apart, -0.5 * 0.1 * 4.0, rtol=1e-5)


@pytest.mark.parametrize("make", [lambda: clip_by_value(0.5), lambda: clip_by_global_norm(0.5), lambda: l2(0.1),
                                  lambda: l1(0.1), lambda: decoupled_decay(0.1, 0.1), lambda: max_norm(0.5)],
                         ids=["clip_by_value", "clip_by_global_norm", "l2", "l1", "decoupled_decay", "max_norm"])
def test_the_dtype_and_the_structure_stay_and_it_compiles_once(make):
    w, transformation = params(jnp.bfloat16), make()
    state = transformation.init(w)
    update = jax.jit(transformation.update)
    for _ in range(3):
        changed, state = update(w, state, w)
    assert update._cache_size() == 1
    assert jax.tree.map(jnp.result_type, changed) == jax.tree.map(jnp.result_type, w)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    frozen = {**w, "w": None}
    assert jax.tree.structure(transformation.update(frozen, transformation.init(w), w)[0]) == jax.tree.structure(frozen)


def test_clipping_by_norm_keeps_the_direction_and_by_value_need_not():
    g = {"a": jnp.array([3.0, 0.1]), "b": jnp.asarray(4.0)}
    by_norm, by_value = once(clip_by_global_norm(1.0), g, g), once(clip_by_value(1.0), g, g)
    norm = float(jnp.sqrt(25.01))
    close(by_norm, jax.tree.map(lambda leaf: leaf / norm, g))
    close(by_value, {"a": jnp.array([1.0, 0.1]), "b": jnp.asarray(1.0)})
    close(once(clip_by_global_norm(6.0), g, g), g)


def test_leaves_of_several_dtypes_share_one_norm():
    g = {"a": jnp.array([3.0], jnp.bfloat16), "b": jnp.array([4.0])}
    clipped = once(clip_by_global_norm(1.0), g, g)
    np.testing.assert_allclose([clipped["a"].astype(float)[0], clipped["b"][0]], [0.6, 0.8], rtol=0.01)


@pytest.mark.parametrize(("mask", "chosen"), MASKS.values(), ids=MASKS)
def test_max_norm_bounds_every_row_of_the_chosen_leaves_and_leaves_the_rest(mask, chosen):
    with jax.enable_x64(True):
        w = params()
        step = jax.tree.map(lambda p: jnp.sin(3 * p + 1), w)
        bounded, free = (optax.apply_updates(w, s) for s in (once(max_norm(1.0, mask), step, w), step))
        for name in set(w) - {"none"}:
            length = jnp.linalg.norm(jnp.atleast_1d(free[name]), axis=-1, keepdims=True).reshape(
                *free[name].shape[:-1], *(1,) * (free[name].ndim > 0))
            wanted = free[name] / jnp.maximum(length, 1.0) if name in chosen else free[name]
            np.testing.assert_allclose(bounded[name], wanted, rtol=1e-14, err_msg=name)


def test_max_norm_does_nothing_to_what_it_has_bounded_and_to_steps_inside_to_the_bit():
    w, step = jnp.asarray([[3.0, 4.0], [0.1, 0.2]]), jnp.asarray([[30.0, 40.0], [1e-5, 0.3]])
    bound = max_norm(5.0)
    first = once(bound, step, w)
    assert first[1].tolist() == step[1].tolist()
    np.testing.assert_allclose(once(bound, first, w), first, atol=1e-6)
    np.testing.assert_allclose(jnp.linalg.norm(w + first, axis=-1)[0], 5.0, rtol=1e-6)


def test_max_norm_holds_all_along_a_training():
    optimizer, w = optax.chain(optimizers.adam(0.3), max_norm(2.0)), jnp.asarray([[0.1, 0.2], [0.3, -0.1]])
    state, update = optimizer.init(w), jax.jit(optimizer.update)
    for _ in range(20):
        step, state = update(w - 10.0, state, w)
        w = w + step
        assert (jnp.linalg.norm(w, axis=-1) <= 2.0 * (1 + 1e-6)).all()
    np.testing.assert_allclose(w, jnp.sqrt(2.0), rtol=0.02)  # the point of the bound nearest (10, 10), in each row


@pytest.mark.parametrize(("make", "kind", "words"), [
    (lambda: clip_by_value(0.0), ValueError, "limit must be a finite number above 0, got 0.0"),
    (lambda: clip_by_value(None), TypeError, "limit must be a finite number above 0, got None"),
    (lambda: clip_by_global_norm(-1.0), ValueError, "max_norm must be a finite number above 0, got -1.0"),
    (lambda: max_norm(float("inf")), ValueError, "limit must be a finite number above 0, got inf"),
    (lambda: max_norm(1.0, "bias"), ValueError, "unknown mask 'bias'. There are: weights"),
    (lambda: l1(-0.1), ValueError,
     "weight_decay must be a finite number of at least 0 or a schedule (count -> weight decay), got -0.1"),
    (lambda: decoupled_decay(-0.1, 0.1), ValueError,
     "learning_rate must be a finite number of at least 0 or a schedule (count -> learning rate), got -0.1"),
])
def test_names_the_bad_argument(make, kind, words):
    with pytest.raises(kind) as error:
        make()
    assert str(error.value) == words


@pytest.mark.parametrize("make", [l1, l2, max_norm])
def test_what_needs_the_parameters_says_so(make):
    with pytest.raises(ValueError, match="params must be given"):
        make(0.1).update(jnp.ones(2), make(0.1).init(jnp.ones(2)))
