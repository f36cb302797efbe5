"""A run that is killed at any moment, saves included, and goes on, ends as the run that was never killed: to the bit."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("killed.py")
EVERY, WORDS = 3, 16  # steps between checkpoints; a life is ended after so many of its words at most
LATE = 0.03  # seconds: about a save
DURING = ("step", "evaluation", "best", "other")  # what a run does in every epoch
AFTER = ("model", "picture")  # and at its end


@dataclass
class Lives:
    """The process that forks the lives, and what became of them."""

    cache: Path
    kills: Counter = field(default_factory=Counter)
    inside: int = 0
    lost: list[int] = field(default_factory=list)

    def __enter__(self):
        root = Path(__file__).parents[2]
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(self.cache),
                       "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                       "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1", "PYTHONPATH": str(root)}
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

    def killed(self, kind: str, words: int, wait: float, *arguments) -> bool:
        """A life that is killed so many seconds after it said the word so often, or so many words; False where it was over."""
        folder, step, word, heard = arguments[0], 0, "early", Counter()
        pid = self._born(*arguments)
        while heard[kind] < words and heard.total() < WORDS:
            word, number = self._word()
            if word == "dead":
                assert number == 0
                return False
            step = number if word == "step" else step
            heard[word] += 1
        time.sleep(wait)
        os.kill(pid, signal.SIGKILL)
        while (last := self._word())[0] != "dead":
            step = last[1] if last[0] == "step" else step
        if os.WIFEXITED(last[1]):
            assert os.WEXITSTATUS(last[1]) == 0
            return False
        assert os.WTERMSIG(last[1]) == signal.SIGKILL
        self.kills[word] += 1
        self.inside += bool(list(folder.glob("checkpoints/.*.partial")))
        saved = [int(re.search(r"\d+", path.name)[0]) for path in folder.glob("checkpoints/step-*")]
        if step:
            self.lost.append(step - max(saved, default=0))
        return True


def chain(lives: Lives, rng: random.Random, folder: Path, variant: str, epochs: int, kills: int, during=DURING) -> None:
    """Kill the run so often on its way to the end and, a fifth of them, while it writes its end again; compare the end."""
    for name in ("whole", "killed"):
        (folder / name).mkdir(parents=True)
    wanted = lives.whole(folder / "whole", variant, epochs)
    run, ends = (folder / "killed", variant, epochs), kills // 5
    sure = [kind for kind in ("best", *DURING) if kind in during]  # at first every epoch is the best
    for number in range(kills - ends):
        kind, early = rng.choice(during), rng.random() < 0.1
        if number < len(sure):
            kind, early = sure[number], False
        words = 0 if early else 1 if number < len(sure) else rng.randint(1, 6 if kind == "step" else 2)
        assert lives.killed(kind, words, rng.uniform(0, 1.5 if early else LATE), *run), f"the run was over before {kills} kills"
    assert lives.whole(*run) == wanted
    for number in range(ends):
        while not lives.killed(AFTER[number % 2], 1, rng.uniform(0, LATE), *run):
            pass  # it was over sooner than the kill came
    for _ in range(2):  # the second time it is over, and stays as it is
        assert lives.whole(*run) == wanted
    whole, killed = ((folder / name / "metrics.jsonl").read_bytes() for name in ("whole", "killed"))
    assert killed == whole and whole.count(b"\n") == epochs
    names = [sorted(str(path.relative_to(folder / name)) for path in (folder / name).rglob("*")) for name in ("whole", "killed")]
    assert names[0] == names[1] and not any("partial" in name for name in names[0])
    shutil.rmtree(folder)


@pytest.mark.slow
def test_a_run_that_is_killed_three_times_ends_as_the_run_that_never_was(tmp_path):
    with Lives(tmp_path / "cache") as lives:
        chain(lives, random.Random(1), tmp_path / "small", "small", epochs=16, kills=3)
    assert lives.kills.total() == 3 and max(lives.lost) <= 2 * EVERY


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "kills", "during"), [
    ("adam", 66, (*DURING, "monitoring")), ("momentum", 67, DURING), ("rate", 67, DURING)])
def test_two_hundred_kills_change_nothing(variant, kills, during, tmp_path):
    """In evaluation, in monitoring, in every kind of write, in the model and the pictures; 200 in all three together."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    with Lives(tmp_path / "cache") as lives:
        chain(lives, random.Random(seed), tmp_path / variant, variant, epochs=120, kills=kills, during=during)
    print(f"seed {seed}: kills {dict(lives.kills)}, {lives.inside} of them inside a save, at most {max(lives.lost)} steps lost that "
          "had been told, all ends equal")
    assert lives.kills.total() == kills and lives.inside > 0 and set(lives.kills) >= {*during, *AFTER}
    assert max(lives.lost) <= 2 * EVERY  # the save under way and the one that was yet to begin
