"""Rounding averages away, a mistake stays, and the points looked at keep to their side of the kinks where they can."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn.objective import objective
from functional_nn.verify import kinks
from functional_nn.verify.dither import MOVES, PAIRS, _points, dithered, rounds_late

UNIT = 2.0**-9


def rounded(tree):
    return jax.tree.map(lambda leaf: np.asarray(jnp.asarray(leaf).astype(jnp.bfloat16), np.float64), tree)


def no_kinks(several, X=None, Y=None):
    return None


def test_points_stand_in_pairs_and_on_one_side_of_a_kink_where_they_can():
    """A kink that half of the pairs would cross: of those drawn enough do not."""
    params = {"w": np.ones(3)}
    edge = 1 - 3.5 * UNIT

    def sides(several):
        return np.array([[tree["w"][0] > edge] for tree in several])

    points = _points(params, sides, UNIT, np.random.default_rng(0))
    assert len(points) == 2 * PAIRS and sides(points).all()
    for up, down in zip(points[::2], points[1::2], strict=True):
        np.testing.assert_allclose(up["w"] + down["w"], 2 * params["w"], rtol=1e-14)
        assert 0 < np.abs(up["w"] - 1).max() <= 7 * UNIT
    assert not sides(_points(params, no_kinks, UNIT, np.random.default_rng(0))).all()


def test_rounding_averages_away_and_a_mistake_stays():
    def right(several, X, Y):
        for tree in several:
            yield jax.tree.map(np.tanh, tree)

    params = {"w": np.random.default_rng(1).normal(size=50)}
    plain = dithered(lambda p, X, Y: rounded(next(right([p], X, Y))), right, no_kinks, UNIT, 0)
    wrong = dithered(lambda p, X, Y: rounded({"w": 1.01 * np.tanh(p["w"])}), right, no_kinks, UNIT, 0)
    exact, size = np.tanh(params["w"]), np.linalg.norm(np.tanh(params["w"]))
    once = np.linalg.norm(rounded({"w": exact})["w"] - exact)
    mean, deviation = plain(params, None, None)
    off = np.abs(mean["w"] - exact)
    assert np.linalg.norm(off) < 0.5 * once and (off <= 6 * deviation["w"] + 1e-12).mean() > 0.9
    assert np.linalg.norm(wrong(params, None, None)[0]["w"] - exact) == pytest.approx(0.01 * size, rel=0.2)


@pytest.mark.parametrize(("net", "kinked"), [
    (fnn.mlp((3, 4, 2), hidden="tanh"), False), (fnn.mlp((3, 4, 2), hidden="relu"), True),
    (fnn.sequential(3, fnn.layers.maxout(4, 2), fnn.layers.dense(2)), True),
    (fnn.sequential(3, fnn.layers.maxout(4, 1), fnn.layers.dense(2)), False)])
def test_sides_are_those_of_the_units(net, kinked):
    assert kinks.has_kinks(net) is kinked
    if not kinked:
        return
    with jax.enable_x64(True):
        problem, several = objective(net, "mse"), [net.init(jax.random.key(i), "float64") for i in range(3)]
        X = np.random.default_rng(0).normal(size=(5, 3))
        batch = problem.batch(several[0], X, np.zeros((5, 2)))
        found = kinks.sides_of(problem, several, batch)
        for params, sides in zip(several, found, strict=True):
            w, b = np.asarray(params[0]["w"]), np.asarray(params[0]["b"])
            z = np.einsum("...jk,ik->i...j", w, X) + b
            np.testing.assert_array_equal(sides, z.argmax(axis=1) if w.ndim > 2 else z > 0)


@pytest.mark.parametrize(("notices", "late"), [(3, True), (MOVES + 1, False)])
def test_what_seldom_changes_is_moved_several_times(notices, late):
    """A function that notices one move in so many; of what is rounded on entry none is noticed."""
    calls = {"params": 0, "X": 0}

    def function(params, X, Y):
        for name, value in (("params", params["w"]), ("X", X)):
            calls[name] += not np.array_equal(value, np.ones(3))
        return {"w": np.array([float(calls["params"] >= notices), float(calls["X"] >= notices)])}

    assert rounds_late(function, {"w": np.ones(3)}, np.ones(3), None, jnp.bfloat16) is late
