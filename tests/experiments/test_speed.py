"""The benchmark, small: it checks the work before it times it, and reports a ratio. No time decides a test."""

import json

import jax.numpy as jnp
import pytest

from experiments import speed


@pytest.mark.slow
def test_it_reports_every_case(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(speed, "CASES", (((20, 8, 4), 5),))
    found = speed.main(speed.Config(turns=3, seconds=0.001, out=str(tmp_path / "run")))
    assert found["gradients"][0]["ratio"] > 0
    assert found["norms"][0]["norms_bytes"] < found["norms"][0]["gradients_bytes"]
    assert json.loads((tmp_path / "run" / "speed.json").read_text())["gradients"][0]["batch"] == 5
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines() if not line.startswith("wrote"))


def test_programs_that_differ_are_not_timed():
    with pytest.raises(AssertionError):
        speed.same_work({"w": jnp.ones(2)}, {"w": jnp.array([1.0, 1.1])})
