"""The whole surface works in every mode of JAX that a user may have switched on, and whatever the hash seed is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.training.runs import fit

ROOT = Path(__file__).parents[1]
MODES = [  # those in a tuple have no influence on a number
    ("JAX_ENABLE_X64=1",),
    ("PYTHONHASHSEED=1", "PYTHONHASHSEED=2", "JAX_DEBUG_NANS=1", "JAX_NUMPY_DTYPE_PROMOTION=strict",
     "JAX_NUMPY_RANK_PROMOTION=raise")]


def toured(mode, folder):
    """The digest of the tour in a mode, in a process of its own."""
    name, value = mode.split("=")
    done = subprocess.run([sys.executable, "-W", "error", "-m", "tests.tour", str(folder)], cwd=ROOT, text=True,
                          capture_output=True, timeout=1200, env=os.environ | {"PYTHONPATH": str(ROOT), name: value})
    assert done.returncode == 0, f"{mode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("modes", MODES, ids=lambda modes: modes[0])
def test_the_whole_surface_works_in_the_mode(modes, tmp_path):
    digests = []
    for mode in modes:
        (tmp_path / mode).mkdir()
        digests.append(toured(mode, tmp_path / mode))
    assert all(digest == digests[0] for digest in digests), digests


@pytest.mark.parametrize("x64", [False, True])
def test_a_share_is_held_out_in_every_mode(x64):
    with jax.enable_x64(x64):
        result = fit(validation=0.3, epochs=1)
    assert np.isfinite(result.history["validation_cost"]).all()


def test_the_monitor_watches_a_healthy_run_while_nans_are_hunted():
    with jax.debug_nans(True):
        result = fit(monitor=True, epochs=1)
    assert result.stopped.reason == "epochs" and np.isnan(result.layers["idle_units"][0]).sum() == 1
