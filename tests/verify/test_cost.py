"""check_gradients: to fail costs at most ten times as much as to pass, counted in evaluations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn.verify import check_gradients
from tests.slow import few


def counted(function):
    def count(*args):
        count.calls += 1
        return function(*args)

    count.calls = 0
    return count


@pytest.mark.parametrize(("shape", "miss"), few([((6, 7), 1e-9), ((100, 70), 0.5), ((100, 70), 1e-9)], 0, 1))
def test_failing_costs_at_most_ten_times_as_much_as_passing(shape, miss):
    """Counted in evaluations, of f and of manual, central differences of a NumPy function."""
    def f(p):
        return float(np.sum(np.sin(p["w"])) + np.sum(p["b"] ** 3) + np.sum(np.maximum(p["c"], 0)))

    def right(p):
        return {"w": np.cos(p["w"]), "b": 3 * p["b"] ** 2, "c": np.where(p["c"] == 0, 0.5, p["c"] > 0)}

    random = np.random.default_rng(0)
    params = {"w": random.normal(size=shape), "b": random.normal(size=5), "c": np.arange(3.0) + 1}
    kinks = {**params, "c": np.zeros(3)}
    spot = np.zeros(shape)
    spot[3, 5] = 0.3
    ways = {"sign": lambda p: jax.tree.map(np.negative, right(p)), "entry": lambda p: {**right(p), "w": right(p)["w"] + spot},
            "noise": lambda p: jax.tree.map(lambda g: g + np.sin(7 * g), right(p)),
            "one leaf": lambda p: {**right(p), "b": 1.01 * right(p)["b"]},
            "kinks": lambda p: {**right(p), "c": np.where(p["c"] == 0, 3.0, p["c"] > 0)}}
    passing, by_hand = counted(f), counted(right)
    assert check_gradients(passing, by_hand, params, miss=miss)
    for name, way in ways.items():
        failing, wrong = counted(f), counted(way)
        assert not check_gradients(failing, wrong, kinks if name == "kinks" else params, miss=miss)
        assert failing.calls <= 10 * passing.calls and wrong.calls <= 10 * by_hand.calls, name


@pytest.mark.slow
def test_so_it_does_against_jax_grad_even_at_kinks_in_every_leaf():
    seen = [0]

    def f(p):
        jax.debug.callback(lambda: seen.__setitem__(0, seen[0] + 1))
        return sum(jnp.sum(jnp.abs(w) + w**2) for w in p)

    def manual(p, at_zero):
        return [np.where(w == 0, at_zero, np.sign(w)) + 2 * w for w in p]

    def cost(at_zero, params):
        seen[0] = 0
        report = check_gradients(f, lambda p: manual(p, at_zero), params)
        jax.effects_barrier()
        return seen[0], bool(report)

    kinks = [jnp.zeros((4, 3)) for _ in range(20)]
    passing, right = cost(1.0, [jnp.ones((4, 3)) for _ in range(20)])
    assert right
    for at_zero, verdict in ((0.5, True), (3.0, False), (-2.0, False)):
        calls, right = cost(at_zero, kinks)
        assert right == verdict and calls <= 10 * passing
