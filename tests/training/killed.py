"""A run that is killed and goes on: what test_kills.py starts.

Once imported, the program forks a process for every line of its input, a folder, a variant and a number of epochs; that
process says after every so many steps how far it is, and at the end in a file what came of it. So a life takes a second, not
the five that imports take.
"""

import hashlib
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import sklearn.model_selection  # noqa: F401  (of `validation`; imported once for all lives)

import functional_nn as fnn
from functional_nn.checkpoint import Checkpoints
from functional_nn.cli.folder import METRICS, Recorder

EVERY, N, WIDTH = 3, 70, 400  # steps between checkpoints, examples, units: a state of about 3 MB


def network(*between):
    return fnn.sequential(20, fnn.layers.dense(WIDTH, "tanh"), *between, fnn.layers.dense(WIDTH, "relu"),
                          fnn.layers.dense(3, "softmax"))


def variants():
    """What is trained, and how: name -> (network, optimiser, options)."""
    optimizers, dropout = fnn.optimizers, fnn.layers.dropout(0.3)
    return {
        "small": (fnn.sequential(20, fnn.layers.dense(20 * WIDTH, "tanh"), dropout, fnn.layers.dense(3, "softmax")),
                  optimizers.sgd(0.05, momentum=0.9), {"validation": 0.2, "restore_best": True}),
        "adam": (network(dropout), optimizers.adam(1e-3), {"validation": 0.2, "restore_best": True, "monitor": True}),
        "momentum": (network(dropout), optimizers.sgd(0.05, momentum=0.9), {
            "validation": 0.2, "restore_best": True, "penalty": fnn.penalties.l2(1e-3), "class_weights": "balanced"}),
        "rate": (network(), optimizers.adam(fnn.schedules.cosine_decay(1e-3, 800)), {
            "validation": 0.1, "metrics": ("f1",), "restore_best": True}),
    }


def life(folder: Path, variant: str, epochs: int) -> None:
    """Go on with the run to its end; `end` holds the hash of its parameters, its history and its records."""
    import jax

    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(N, 20)).astype(np.float32), np.arange(N) % 3
    net, optimizer, options = variants()[variant]

    def tell(moment):
        os.write(1, f"step {moment.step}\n".encode())

    with Checkpoints(folder / "checkpoints", run={"variant": variant}, keep_last=2) as checkpoints, \
            Recorder(folder, tensorboard=False) as recorder:
        result = fnn.fit(net, "cross_entropy", optimizer, (X, Y), key=jax.random.key(3), epochs=epochs, batch_size=8,
                         every=EVERY, checkpoints=checkpoints, callbacks=[tell, recorder], progress=False, **options)
    digest = hashlib.sha256()
    parts = result.params, result.last, result.optimizer_state, dict(result.history), dict(result.layers)
    for leaf in jax.tree.leaves(parts):
        digest.update(np.ascontiguousarray(leaf))
    digest.update((folder / METRICS).read_bytes())
    (folder / "end").write_text(f"{digest.hexdigest()} {len(result.history['epoch'])} {result.best_epoch}")


def main() -> None:
    warnings.filterwarnings("ignore", "os.fork")  # the one that forks computes nothing, so it has no threads
    for line in sys.stdin:
        folder, variant, epochs = line.split()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.write(1, f"born {os.getpid()}\n".encode())
                life(Path(folder), variant, int(epochs))
                code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(code)
        os.write(1, f"dead {os.waitpid(pid, 0)[1]}\n".encode())


if __name__ == "__main__":
    main()
