"""The comparison of all optimisers with optax, small: its finding holds, and what it writes is all there."""

import html
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_nn as fnn
from experiments import optimizers
from functional_nn.optimizers import TWINS, Twin, sgd

CHOSEN = ("nesterov", "adam")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("optimizers") / "run"
    with pytest.MonkeyPatch.context() as patch, jax.numpy_dtype_promotion("standard"):
        patch.setattr(optimizers, "TWINS", {name: TWINS[name] for name in CHOSEN})
        return optimizers.main(optimizers.Config(hidden=8, batch_size=64, steps=12, out=str(out))), out


def test_every_optimiser_stays_with_its_twin_and_learns(run):
    found, _ = run
    assert set(found["optimizers"]) == set(CHOSEN)
    for row in found["optimizers"].values():
        for dtype in optimizers.DTYPES:
            assert row[dtype]["ours"].shape == row[dtype]["ulp"].shape == (12,)
            assert row[dtype]["ulp_of_leaf"].max() <= 100
            np.testing.assert_allclose(row[dtype]["ours"], row[dtype]["optax"], rtol=1e-4)
        assert row["float64"]["ours"][-1] < row["float64"]["ours"][0]


def test_everything_is_written(run):
    found, out = run
    assert {path.name for path in out.iterdir()} == {
        "results.json", "report.html", "costs.png", "costs.svg", "differences.png", "differences.svg"}
    assert found["finding"] in html.unescape((out / "report.html").read_text())
    results = json.loads((out / "results.json").read_text())
    assert results["config"]["steps"] == 12
    assert results["optimizers"]["adam"]["float32"]["ours"] == found["optimizers"]["adam"]["float32"]["ours"].tolist()


def test_a_wrong_twin_is_seen():
    wrong = Twin(lambda rate: sgd(rate, momentum=0.9), lambda rate: optax.sgd(rate, momentum=0.89), 0.1)
    net, data, batches = optimizers.assemble(optimizers.Config(hidden=4, batch_size=64, steps=3))
    with jax.enable_x64(True):
        examples = [(data.x_train[rows].astype(float), data.y_train[rows]) for rows in batches]
        cost_and_gradient = jax.jit(fnn.backprop.value_and_grad(net, optimizers.LOSS))
        row = optimizers.race(wrong, cost_and_gradient, net.init(jax.random.key(0), float), examples)
    assert row["ulp_of_leaf"][-1] > 1e6


def test_a_unit_in_the_last_place_is_one():
    one = {"w": jnp.array([1.0, 0.5])}
    other = {"w": jnp.array([1.0, float(np.nextafter(np.float32(0.5), np.float32(1)))])}
    assert optimizers.apart(one, other) == {"ulp": 1.0, "ulp_of_leaf": 0.5}
