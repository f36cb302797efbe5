"""A run that is killed at any moment, saves included, and goes on, ends as the run that was never killed: to the bit."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("killed.py")
EVERY, LINES = 3, 8  # steps between checkpoints; a life is ended after so many of its words at most
LATE = 0.03  # seconds: about a save


@dataclass
class Lives:
    """The process that forks the lives, and what became of them."""

    cache: Path
    kills: int = 0
    inside: int = 0
    lost: list[int] = field(default_factory=list)

    def __enter__(self):
        root = Path(__file__).parents[2]
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(self.cache),
                       "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.05", "PYTHONPATH": str(root)}
        self._process = subprocess.Popen([sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True, env=environment)
        return self

    def __exit__(self, *error):
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def _word(self) -> tuple[str, int]:
        word, number = self._process.stdout.readline().split()
        return word, int(number)

    def _born(self, *arguments) -> int:
        self._process.stdin.write(" ".join(map(str, arguments)) + "\n")
        self._process.stdin.flush()
        word, pid = self._word()
        assert word == "born"
        return pid

    def whole(self, *arguments) -> str:
        """A life that ends by itself: what it left as its end."""
        self._born(*arguments)
        while (heard := self._word())[0] != "dead":
            pass
        assert heard[1] == 0
        return (arguments[0] / "end").read_text()

    def killed(self, words: int, wait: float, *arguments) -> bool:
        """A life that is killed so many seconds after it spoke so often; False where it came to its end before."""
        folder, step = arguments[0], 0
        pid = self._born(*arguments)
        for _ in range(words):
            word, number = self._word()
            if word == "dead":
                assert number == 0
                return False
            step = number
        time.sleep(wait)
        os.kill(pid, signal.SIGKILL)
        while (heard := self._word())[0] == "step":
            step = heard[1]
        if os.WIFEXITED(heard[1]):
            assert os.WEXITSTATUS(heard[1]) == 0
            return False
        assert os.WTERMSIG(heard[1]) == signal.SIGKILL
        self.kills += 1
        self.inside += bool(list(folder.glob("checkpoints/.*.partial")))
        saved = [int(re.search(r"\d+", path.name)[0]) for path in folder.glob("checkpoints/step-*")]
        if step:
            self.lost.append(step - max(saved, default=0))
        return True


def chain(lives: Lives, rng: random.Random, folder: Path, variant: str, epochs: int, kills: int) -> None:
    """Kill the run so often on its way to the end, and compare the end."""
    for name in ("whole", "killed"):
        (folder / name).mkdir(parents=True)
    wanted = lives.whole(folder / "whole", variant, epochs)
    before = lives.kills
    while lives.kills < before + kills:
        early = rng.random() < 0.2
        words, wait = (0, rng.uniform(0, 1.5)) if early else (rng.randint(1, LINES), rng.uniform(0, LATE))
        assert lives.killed(words, wait, folder / "killed", variant, epochs), f"the run was over before {kills} kills"
    for _ in range(2):  # the second time it is over, and stays as it is
        assert lives.whole(folder / "killed", variant, epochs) == wanted
    whole, killed = ((folder / name / "metrics.jsonl").read_bytes() for name in ("whole", "killed"))
    assert killed == whole and whole.count(b"\n") == epochs
    assert not list((folder / "killed").rglob("*.partial"))
    shutil.rmtree(folder)


def judge(lives: Lives, seed: int) -> None:
    print(f"seed {seed}: {lives.kills} kills, {lives.inside} of them inside a save, at most {max(lives.lost)} steps lost that "
          "had been told, all ends equal")
    assert lives.inside > 0
    assert max(lives.lost) <= 2 * EVERY  # the save under way and the one that was yet to begin


@pytest.mark.slow
def test_a_run_that_is_killed_three_times_ends_as_the_run_that_never_was(tmp_path):
    seed = 1
    with Lives(tmp_path / "cache") as lives:
        chain(lives, random.Random(seed), tmp_path / "small", "small", epochs=16, kills=3)
    assert lives.kills == 3 and max(lives.lost) <= 2 * EVERY


@pytest.mark.slow
def test_fifty_kills_change_nothing(tmp_path):
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    with Lives(tmp_path / "cache") as lives:
        for variant in ("adam", "momentum", "rate"):
            chain(lives, rng, tmp_path / variant, variant, epochs=75, kills=18)
    judge(lives, seed)
    assert lives.kills >= 50
