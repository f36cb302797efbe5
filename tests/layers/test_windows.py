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
        here, noise = grid("layer", *case), np.random.default_rng(0)
        a, w = noise.normal(size=case[0]), noise.normal(size=(np.prod(here.size), *here.n_out, case[0][-1]))
        windows, spread = jax.jit(lambda a, w: (here.take(a), here.spread(w)))(a, w)
        assert windows.shape == w.shape and spread.shape == a.shape
        np.testing.assert_allclose(np.vdot(windows, w), np.vdot(a, spread), rtol=1e-12)


def test_one_window_by_eye():
    here = grid("layer", (3, 3, 1), 2, 1)
    windows = here.take(jnp.arange(9.0).reshape(3, 3, 1))
    assert windows[:, 1, 0, 0].tolist() == [3, 4, 6, 7]
    assert here.spread(jnp.ones_like(windows))[..., 0].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_sizes_are_integers_or_one_for_each_axis():
    assert (per_axis("size", 3), per_axis("size", [3, 2])) == (3, (3, 2))
    with pytest.raises(TypeError, match="size must be an integer of at least 1, got True"):
        per_axis("size", True)
