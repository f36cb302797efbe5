"""The state of a run, saved to checkpoints and restored from them."""

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
    """A description of a run, as JSON values, that must be the same when the run is continued.

    It holds a CRC of the bytes of each array, but of a stream only the number of examples.

    Args:
      problem: the network and its loss.
      source: the examples, `Arrays` or `Streamed`.
      batch_size, shuffle, key: as for `fit`.
    """
    arrays = ([np.asarray(array) for array in source.examples]
              if isinstance(source, Arrays) else [])
    return {"network": repr(problem.net), "loss": repr(problem.loss), "examples": len(source),
            "data": [[str(array.dtype), list(array.shape), zlib.crc32(np.ascontiguousarray(array))]
                     for array in arrays],
            "batch_size": batch_size, "shuffle": shuffle,
            "key": np.asarray(jax.random.key_data(key)).tolist()}


@dataclass(eq=False)
class Store:
    """The checkpoints of one run.

    Attributes:
      checkpoints: an open `fnn.checkpoint.Checkpoints`.
      run: the run's `identity`.
      newest: the number of steps taken at the newest checkpoint; −1 if this run has saved or
        restored none.
    """

    checkpoints: Any
    run: dict[str, Any]
    newest: int = -1

    def restored(self, fresh: Position) -> Position:
        """The position of the latest checkpoint; `fresh` if there is no checkpoint.

        `fresh` is the position at the start of the run. Raises a ValueError if the checkpoint is
        of another run.
        """
        saved = self.checkpoints.restore((fresh.run, fresh.best))
        if saved is None:
            return fresh
        record, (run, best) = saved.record, saved.state
        for name, value in self.run.items():
            if record["run"].get(name) != value:
                raise ValueError(
                    f"checkpoints must be of this run, got one whose {name} is "
                    f"{record['run'].get(name)}, not {value}; pass the arguments of that run, or "
                    "another folder")
        self.newest = saved.step
        return Position(run, best, record["epoch"], record["step"], record["records"],
                        record["looks"], record["best_epoch"])

    def save(self, position: Position, steps: int, score: float | None) -> None:
        """Save `position` as a checkpoint, unless it is the newest one already.

        Args:
          position: the position of the run.
          steps: the number of steps taken since the start of the run.
          score: the score of the epoch that has just ended; None amid an epoch and at the end of
            the run.
        """
        if steps == self.newest:
            return
        record = {"run": self.run, "epoch": position.epoch, "step": position.step,
                  "records": position.records, "looks": position.looks,
                  "best_epoch": position.best_epoch}
        self.checkpoints.save(steps, (position.run, position.best), record, score=score)
        self.newest = steps
