"""Checkpoints in memory, for tests of runs that are saved and go on."""

import copy
import dataclasses


class Memory:
    """What `fit` takes as `checkpoints`; it keeps every one, and refuses a step saved twice."""

    @dataclasses.dataclass
    class Saved:
        step: int
        state: object
        record: dict
        history: list

    def __init__(self):
        self.all, self.scores, self.waited = [], [], False

    def save(self, step, state, record, score=None, *, history=()):
        assert step not in [saved.step for saved in self.all]
        before = self.all[-1].history if self.all else []
        self.all.append(Memory.Saved(step, state, copy.deepcopy(record), before + copy.deepcopy(history)))
        self.scores.append(score)

    def wait(self):
        self.waited = True

    def record(self):
        return self.all[-1].record if self.all else None

    def restore(self, like):
        return self.all[-1] if self.all else None
