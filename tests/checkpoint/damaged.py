"""Checkpoints to be damaged, and the check that a folder with a damaged one is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from functional_nn.checkpoint import Checkpoints, restore
from tests.checkpoint.runs import image

RUN = {"seed": 1}
LIKE = {"w": np.zeros((2, 3), np.float32), "m": jnp.zeros(3, jnp.bfloat16), "t": 0}
GO_ON = "; delete that one file to go on from step 2, the newest that is whole"


def state(step):
    return {"w": np.full((2, 3), step, np.float32), "m": jnp.full(3, step / 8, jnp.bfloat16),
            "t": step}


def path(folder, step):
    return folder / f"step-{step:09d}.safetensors"


def open_and_restore(folder):
    with Checkpoints(folder, run=RUN) as checkpoints:
        checkpoints.restore(LIKE)


def check_refused(folder, words):
    """Both ways to restore raise a ValueError of exactly these words and change no file."""
    before = image(folder)
    for read in (lambda: restore(folder, LIKE), lambda: open_and_restore(folder)):
        with pytest.raises(ValueError) as error:
            read()
        assert str(error.value) == words.replace("FOLDER", str(folder))
        assert image(folder) == before
