"""A folder of three checkpoints, which tests damage."""

import pytest

from functional_nn.checkpoint import Checkpoints
from tests.checkpoint.damaged import RUN, state


@pytest.fixture
def folder(tmp_path):
    with Checkpoints(tmp_path, run=RUN) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, state(step), {"cost": [1 / step]}, score=step)
    return tmp_path
