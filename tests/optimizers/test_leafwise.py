"""The frame of the optimisers: what `by_leaf` gives to a rule, what it keeps, and the averages."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from functional_nn import optimizers
from functional_nn.optimizers import by_leaf
from functional_nn.optimizers.leafwise import average, like, share, unbiased
from tests.optimizers.runs import steps


def test_the_count_stays_at_the_largest_integer():
    optimizer, largest = optimizers.sgd(lambda count: count), jnp.iinfo(jnp.int32).max
    state = optimizer.init(jnp.ones(()))
    for count, after in [(0, 1), (largest - 1, largest), (largest, largest)]:
        _, ahead = jax.jit(optimizer.update)(
            jnp.ones(()), state._replace(count=jnp.asarray(count, jnp.int32)))
        assert ahead.count == after


def test_a_mask_of_anything_but_booleans_is_refused():
    optimizer, w = optimizers.adamw(0.1, mask={"w": 1.0}), {"w": jnp.ones(2)}
    says = r"mask must be None, 'weights', a tree of booleans .* got 1.0 in it"
    with pytest.raises(TypeError, match=says):
        optimizer.update(w, optimizer.init(w), w)


def test_a_rule_sees_the_step_from_1_and_its_rates_at_the_count_from_0():
    seen = by_leaf(
        lambda leaf: (jnp.stack([leaf.t.astype(float), leaf.gamma, leaf.lam, leaf.w[0]]), ()),
        learning_rate=lambda count: 10 + count, weight_decay=lambda count: 20 + count,
        needs_params=True)
    taken = steps(seen, np.zeros((3, 4), np.float32), jnp.full(4, 7.0))
    assert taken.tolist() == [[1, 10, 20, 7], [2, 11, 21, 7], [3, 12, 22, 7]]


def test_a_rule_has_its_memory_by_name_leaf_by_leaf():
    def rule(leaf, total, last):
        return total + last, (total + leaf.g, leaf.g)

    optimizer = by_leaf(rule, total=100.0, last=0.5)
    gradients = {"w": jnp.array([1.0, 2.0]), "b": jnp.asarray(-3.0)}
    state = optimizer.init(gradients)
    for wanted in (100.0 + 0.5, 101.0 + 1.0, 102.0 + 1.0):
        step, state = optimizer.update(gradients, state)
        assert step["w"][0] == wanted
    assert jax.tree.map(lambda leaf: leaf.tolist(), state.memory) == {
        "total": {"w": [103.0, 106.0], "b": 91.0}, "last": {"w": [1.0, 2.0], "b": -3.0}}


@pytest.mark.parametrize(("mask", "chosen"), [
    (None, {"w", "b", "scale"}), ("weights", {"w"}), (False, set()),
    ({"w": False, "b": True, "scale": np.bool_(True)}, {"b", "scale"}),
    (lambda params: {name: name == "scale" for name in params}, {"scale"})],
    ids=["none", "weights", "one boolean", "tree", "function"])
def test_the_mask_says_which_leaves_are_chosen(mask, chosen):
    params = {"w": jnp.ones((2, 1)), "b": jnp.ones(2), "scale": jnp.ones(())}
    optimizer = by_leaf(
        lambda leaf: (leaf.g if leaf.chosen else jnp.zeros_like(leaf.g), ()), mask=mask)
    step, _ = optimizer.update(params, optimizer.init(params), params)
    assert {name for name, leaf in step.items() if leaf.all()} == chosen


def test_a_mask_needs_the_parameters():
    optimizer = by_leaf(lambda leaf: (leaf.g, ()), mask="weights")
    with pytest.raises(ValueError, match="params must be given"):
        optimizer.update(jnp.ones(2), optax.EmptyState())


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999])
def test_the_corrected_average_of_a_constant_is_the_constant(beta, dtype):
    """Up to four roundings a step and two at the end, and the rounding of 1 − βᵗ in float32."""
    rtol = 7 * float(jnp.finfo(dtype).eps) + float(jnp.finfo("float32").eps) / (1 - beta)
    x, mean = jnp.full(3, 8.0, dtype), jnp.zeros(3, dtype)
    for t in range(1, 4):
        mean = average(beta, mean, x)
        corrected = unbiased(beta, jnp.asarray(t), mean)
        assert corrected.dtype == mean.dtype == jnp.dtype(dtype)
        np.testing.assert_allclose(corrected.astype(float), 8.0, rtol=rtol)


def test_an_average_weighs_each_value_by_how_long_ago_it_was():
    values, mean = [3.0, -1.0, 4.0], jnp.zeros(())
    for x in values:
        mean = average(0.75, mean, jnp.asarray(x))
    np.testing.assert_allclose(mean, 0.25 * (0.75**2 * 3.0 - 0.75 * 1.0 + 4.0), rtol=1e-6)


def test_a_number_takes_the_dtype_of_the_array_beside_it():
    for dtype in ("bfloat16", "float32"):
        for number in (0.5, np.float64(0.5), jnp.asarray(0.5)):
            assert like(jnp.ones(2, dtype), number).dtype == jnp.dtype(dtype)


@pytest.mark.parametrize("value", [0, 0.0, 0.5, np.nextafter(1, 0), jnp.ones(2)])
def test_a_share_is_from_0_to_below_1_and_arrays_are_not_checked(value):
    assert share("momentum", value) is None


@pytest.mark.parametrize(("value", "kind"), [
    (1, ValueError), (-1e-9, ValueError), (float("nan"), ValueError), ("0.5", TypeError)])
def test_no_other_number_is_a_share(value, kind):
    with pytest.raises(kind, match="momentum must be a number of at least 0 and below 1"):
        share("momentum", value)
