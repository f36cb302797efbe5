"""Windows and their adjoint: ⟨take(a), w⟩ = ⟨a, spread(w)⟩ for every size, stride and padding."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn.layers.windows import grid, per_axis


@pytest.mark.parametrize("case", list(itertools.product([(5, 4, 2), (7, 1)], [1, 2, 3], [1, 2, 4], ["valid", "same", 1]))[::4], ids=str)
def test_spread_is_the_adjoint_of_take(case):
    with jax.enable_x64(True):
        here = grid("layer", *case)
        a = jax.random.normal(jax.random.key(0), case[0], jnp.float64)
        windows = here.take(a)
        w = jax.random.normal(jax.random.key(1), windows.shape, jnp.float64)
        assert windows.shape == (np.prod(here.size), *here.n_out, case[0][-1])
        np.testing.assert_allclose(jnp.vdot(windows, w), jnp.vdot(a, here.spread(w)), rtol=1e-12)


def test_one_window_by_eye():
    here = grid("layer", (3, 3, 1), 2, 1)
    windows = here.take(jnp.arange(9.0).reshape(3, 3, 1))
    assert windows[:, 1, 0, 0].tolist() == [3, 4, 6, 7]
    assert here.spread(jnp.ones_like(windows))[..., 0].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_sizes_are_integers_or_one_for_each_axis():
    assert (per_axis("size", 3), per_axis("size", [3, 2])) == (3, (3, 2))
    with pytest.raises(TypeError, match="size must be an integer of at least 1, got True"):
        per_axis("size", True)
