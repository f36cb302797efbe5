"""A run that is killed and goes on: what test_kills.py starts.

Once imported, the program forks a process for every line of its input, a folder, a variant and a number of epochs. That
process says after every so many steps how far it is, and when it begins to evaluate, to monitor, to write a checkpoint
(of the best epoch, or another), the model or a picture; and at the end in a file what came of it. So a life takes a
second, not the five that imports take.
"""

import functools
import hashlib
import os
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import sklearn.model_selection  # noqa: F401  (of `validation`; imported once for all lives)

import functional_nn as fnn
from functional_nn import handover, plots
from functional_nn.checkpoint import Checkpoints, container
from functional_nn.cli.folder import METRICS, Recorder, alone, write_model, write_summary
from functional_nn.training import program
from functional_nn.writing import clean

fitting = sys.modules["functional_nn.training.fit"]  # the module, whose name is that of its function
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


def say(word: str, number: int = 0) -> None:
    os.write(1, f"{word} {number}\n".encode())


def telling(word: str, function):
    """The function, which says the word whenever it begins."""
    @functools.wraps(function)
    def told(*args, **more):
        say(word)
        return function(*args, **more)
    return told


def tell_all() -> None:
    """Let the parts of a run say that they begin."""
    program.WATCH_SHARE = 1  # in every epoch
    judge, watch, write = fitting.judge, fitting.watch, container.write

    def judging(*args):
        return telling("evaluation", judge(*args))

    def watching(*args):
        epochs, measures = watch(*args)
        return epochs, telling("monitoring", measures)

    def writing(path, leaves, step, score, *more):
        say("other" if score is None else "best")
        write(path, leaves, step, score, *more)

    fitting.judge, fitting.watch, container.write = judging, watching, writing
    handover.save, plots.save = telling("model", handover.save), telling("picture", plots.save)


def life(folder: Path, variant: str, epochs: int) -> None:
    """Go on with the run to its end; `end` holds the hash of its parameters, its history, its records and its files."""
    import jax

    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(N, 20)).astype(np.float32), np.arange(N) % 3
    net, optimizer, options = variants()[variant]
    tell_all()
    with alone(folder):
        with Checkpoints(folder / "checkpoints", run={"variant": variant}, keep_last=2) as checkpoints, \
                Recorder(folder, tensorboard=False) as recorder:
            result = fnn.fit(
                net, "cross_entropy", optimizer, (X, Y), key=jax.random.key(3), epochs=epochs, batch_size=8, every=EVERY,
                checkpoints=checkpoints, callbacks=[lambda moment: say("step", moment.step), recorder], progress=False, **options)
        clean(folder)
        record = {"epochs": epochs, "test": {}}
        write_model(folder, SimpleNamespace(net=net, loss="cross_entropy", dataset=None), result, record)
        plots.save(plots.learning_curves({variant: result.history}), folder / "learning_curves.png")
        write_summary(folder, result, record)
    digest = hashlib.sha256()
    parts = result.params, result.last, result.optimizer_state, dict(result.history), dict(result.layers)
    for leaf in jax.tree.leaves(parts):
        digest.update(np.ascontiguousarray(leaf))
    files = [METRICS, "model/model.safetensors", "model/manifest.json", "learning_curves.png", "checkpoints/history.jsonl"]
    for name in files:
        digest.update((folder / name).read_bytes())
    (folder / "end").write_text(f"{digest.hexdigest()} {len(result.history['epoch'])} {result.best_epoch}")


def main() -> None:
    warnings.filterwarnings("ignore", "os.fork")  # the one that forks computes nothing, so it has no threads
    for line in sys.stdin:
        folder, variant, epochs = line.split()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                say("born", os.getpid())
                life(Path(folder), variant, int(epochs))
                code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(code)
        say("dead", os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    main()
