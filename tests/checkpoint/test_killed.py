"""A writer killed at any moment leaves whole checkpoints, and every one whose save was over."""

import random
import subprocess
import sys
import time

import numpy as np

from functional_nn.checkpoint import Checkpoints, restore

RUN = {"seed": 1}
LIKE = {"w": np.zeros((2000, 1000), np.float32), "t": 0}
WRITER = """
import sys
import numpy as np
from functional_nn.checkpoint import Checkpoints
with Checkpoints(sys.argv[1], run={"seed": 1}, keep_last=2) as checkpoints:
    saved = checkpoints.restore({"w": np.zeros((2000, 1000), np.float32), "t": 0})
    step = 0 if saved is None else saved.step
    while True:
        step += 1
        checkpoints.save(step, {"w": np.full((2000, 1000), step, np.float32), "t": step}, {"cost": [step] * 5}, score=-step)
        print(step - 1, flush=True)  # save is back, so the one before is on the disk
"""


def test_a_killed_writer_loses_only_the_save_under_way(tmp_path):
    rng, latest = random.Random(0), 0
    for _ in range(2):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        writer.stdout.readline()
        writer.stdout.readline()
        time.sleep(rng.uniform(0, 0.2))
        writer.kill()
        told = [int(line) for line in writer.communicate()[0].split("\n")[:-1]]
        assert writer.returncode == -9
        saved = restore(tmp_path, LIKE)
        latest = max([latest, *told])
        assert latest <= saved.step <= latest + 2
        assert saved.state["t"] == saved.step and (saved.state["w"] == saved.step).all() and saved.record == {
            "cost": [saved.step] * 5}
        latest = saved.step
    with Checkpoints(tmp_path, run=RUN, keep_last=2) as checkpoints:
        checkpoints.save(latest + 1, LIKE, {})
        assert len(checkpoints.steps) == 2 + (checkpoints.restore(LIKE, best=True).step < latest)
    assert all(path.name.startswith("step-") for path in tmp_path.iterdir())
