"""A run as a checkpoint holds it, and as it goes on from one."""

import zlib
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from functional_nn.objective import Objective
from functional_nn.training.loop import Position
from functional_nn.training.sources import Arrays

__all__ = ["Store", "identity"]


def identity(problem: Objective, source, batch_size: int, shuffle: bool, key) -> dict[str, Any]:
    """What must be the same when a run goes on; JSON. Arrays by the CRC of their bytes, streams by their length."""
    arrays = [np.asarray(array) for array in source.examples] if isinstance(source, Arrays) else []
    return {"network": repr(problem.net), "loss": repr(problem.loss), "examples": len(source),
            "data": [[str(array.dtype), list(array.shape), zlib.crc32(np.ascontiguousarray(array))] for array in arrays],
            "batch_size": batch_size, "shuffle": shuffle, "key": np.asarray(jax.random.key_data(key)).tolist()}


@dataclass(eq=False)
class Store:
    """Open checkpoints, the run that they are of, and the steps that the newest of them has done."""

    checkpoints: Any
    run: dict[str, Any]
    newest: int = -1

    def restored(self, fresh: Position) -> Position:
        """Where the latest checkpoint is, or `fresh` where there is none; a ValueError where it is of another run."""
        saved = self.checkpoints.restore((fresh.run, fresh.best))
        if saved is None:
            return fresh
        record, (run, best) = saved.record, saved.state
        for name, value in self.run.items():
            if record["run"].get(name) != value:
                raise ValueError(f"checkpoints must be of this run, got one whose {name} is {record['run'].get(name)}, not "
                                 f"{value}; pass the arguments of that run, or another folder")
        self.newest = saved.step
        return Position(run, best, record["epoch"], record["step"], record["records"], record["looks"],
                        record["best_epoch"])

    def save(self, position: Position, steps: int, score: float | None) -> None:
        """`position`, under the number of steps so far, unless that is saved."""
        if steps == self.newest:
            return
        record = {"run": self.run, "epoch": position.epoch, "step": position.step, "records": position.records,
                  "looks": position.looks, "best_epoch": position.best_epoch}
        self.checkpoints.save(steps, (position.run, position.best), record, score=score)
        self.newest = steps
