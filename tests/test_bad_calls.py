"""Bad input to calls: one row a mistake. The error is of the right type and says in a sentence what is wrong."""

import gzip
from pathlib import Path

import jax
import numpy as np
import pytest

import functional_nn as fnn
from functional_nn import checkpoint, handover, metrics, optimizers, penalties, schedules
from functional_nn.data import load, read_idx, stream
from functional_nn.data.mnist import FILES
from tests.cli.runs import write_data

VALUE, TYPE, ABSENT = ValueError, TypeError, FileNotFoundError
KEY, NET = jax.random.key(0), fnn.mlp((2, 4, 3), hidden="tanh", output="softmax")
PARAMS = NET.init(KEY)
X, Y = np.linspace(-1, 1, 24, dtype=np.float32).reshape(12, 2), np.arange(12) % 3
NAN = np.where(np.arange(24).reshape(12, 2) == 5, np.nan, X)
STATE = {"w": np.zeros(3, np.float32)}


def fit(data=(X, Y), optimizer=None, **changes):
    options = {"key": KEY, "epochs": 1, "batch_size": 4, "progress": False} | changes
    return fnn.fit(NET, "cross_entropy", optimizers.sgd(0.1) if optimizer is None else optimizer, data, **options)


def saved(folder):
    """Checkpoints of two steps."""
    with checkpoint.Checkpoints(folder / "ck", run={"seed": 1}) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, STATE, {"cost": 0.5})
    return folder / "ck"


def again(folder, **options):
    return checkpoint.Checkpoints(folder, **{"run": {"seed": 1}, **options})


def damaged(folder, damage):
    path = max(saved(folder).iterdir())
    path.write_bytes(damage(path.read_bytes()))
    return checkpoint.restore(folder / "ck", STATE)


def save_once(folder, *arguments):
    with again(folder) as checkpoints:
        checkpoints.save(*arguments)


def save_closed(folder):
    with again(folder) as checkpoints:
        pass
    checkpoints.save(3, STATE, {})


def twice(folder):
    with again(folder):
        return again(folder)


def model(folder, net=NET, params=PARAMS, **options):
    return handover.save(folder / "m", net, params, "cross_entropy", **options)


def of_model(folder, damage=None):
    """A loaded model, once `damage` has seen its folder."""
    path = model(folder)
    if damage is not None:
        damage(path)
    return handover.load(path)


def edited(name, change):
    def damage(folder):
        (folder / name).write_bytes(change((folder / name).read_bytes()))
    return damage


def of_trees(folder):
    """A model of trees.csv."""
    write_data(folder)
    data = load(folder / "trees.csv")
    net = fnn.mlp((3, 2), output="softmax")
    return handover.load(handover.save(folder / "m", net, net.init(KEY), "cross_entropy", data))


def table(folder, text, name="t.csv", **options):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, **options)


def archive(folder, cut=None, **arrays):
    np.savez(folder / "a.npz", **arrays)
    data = (folder / "a.npz").read_bytes()
    (folder / "a.npz").write_bytes(data[:cut])
    return load(folder / "a.npz")


def array(folder, values):
    np.save(folder / "a.npy", values)
    return load(folder / "a.npy")


def mnist(folder, **instead):
    """The four files of a tiny MNIST; `instead` gives other bytes, None for no such file."""
    images = np.tile(np.arange(256, dtype=np.uint8), 4)[:784].tobytes() * 2
    for name in FILES:
        content = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (2, 28, 28)) + images
        content = content if "images" in name else b"\0\0\x08\x01\0\0\0\2\1\2"
        content = instead.get(name.split("-")[0] + "_" + name.split("-")[1], content)
        if content is not None:
            (folder / name).write_bytes(content)
    return load("mnist", folder)


CUT_GZIP = gzip.compress(b"\0\0\x08\x01\0\0\0\2\1\2" * 90)[:-12]
ROWS = "height,kind,size\n1.5,elm,low\n2.5,oak,tall\n"
CALLS = {  # name: (of a folder that is empty, type, words)
    "fit: no epoch": (lambda f: fit(epochs=0), VALUE, "epochs must be an integer of at least 1, got 0"),
    "fit: half an epoch": (lambda f: fit(epochs=0.5), TYPE, "epochs must be an integer of at least 1, got 0.5"),
    "fit: no batch": (lambda f: fit(batch_size=0), VALUE, "batch_size must be an integer from 1 to 12, got 0"),
    "fit: a batch of more": (lambda f: fit(batch_size=13), VALUE, "batch_size must be an integer from 1 to 12, the number of"),
    "fit: a seed": (lambda f: fit(key=3), TYPE, "key must be a typed key, got 3; make one with jax.random.key(seed)"),
    "fit: a name for an optimiser": (lambda f: fit(optimizer="adam"), TYPE, "optimizer must be an optax optimiser such as"),
    "fit: NaN": (lambda f: fit((NAN, Y)), VALUE, "X must be finite, got 1 NaN or inf of 24 values, the first X[2][1] = nan"),
    "fit: NaN to validate": (lambda f: fit(validation=(NAN, Y)), VALUE, "in validation: X must be finite"),
    "fit: no penalty": (lambda f: fit(penalty="l2"), TYPE, "penalty must be one of fnn.penalties such as"),
    "fit: checkpoints and resume": (
        lambda f: fit(checkpoints=again(f / "ck"), resume=fit()), VALUE, "resume goes on from a result, so params and checkp"),
    "stream: NaN": (lambda f: fit(stream(NAN, Y)), VALUE, "X must be finite, got a NaN or inf in row 2"),
    "stream: a list": (lambda f: stream([[1.0]], Y), TYPE, "X must be a NumPy array of numbers, such as np.load(path, mmap"),
    "stream: rows apart": (lambda f: stream(X, Y[:5]), VALUE, "with one example at least, got (12, 2) and (5,)"),
    "stream: no chunk": (lambda f: stream(X, Y, chunk_bytes=0), VALUE, "chunk_bytes must be an integer of at least 1, got 0"),
    "stream: a number to transform": (lambda f: stream(X, Y, transform=3), TYPE, "transform must be a function of rows of X"),
    "checkpoint: a file": (
        lambda f: again(Path(__file__)), VALUE, "the path must be a folder, got the file"),
    "checkpoint: another run": (
        lambda f: again(saved(f), run={"seed": 2}), VALUE, "belongs to another run: run['seed'] is 1 there, got 2"),
    "checkpoint: of something else": (
        lambda f: [saved(f), fit(checkpoints=again(f / "ck"))], VALUE, "checkpoints must be those of a run of fit, got one of wh"),
    "checkpoint: two writers": (lambda f: twice(f / "ck"), VALUE, "must have one writer at a time, got a second one"),
    "checkpoint: an older step": (
        lambda f: save_once(saved(f), 2, STATE, {}), VALUE, "step must be more than 2, the latest in"),
    "checkpoint: text to keep": (
        lambda f: save_once(f / "ck", 1, {"w": "text"}, {}), TYPE, "state['w'] must be an array of numbers, a key or a number"),
    "checkpoint: an array to remember": (
        lambda f: save_once(f / "ck", 1, STATE, {"cost": np.ones(2)}), TYPE, "record['cost'] must be text, a number, True,"),
    "checkpoint: closed": (lambda f: save_closed(f / "ck"), VALUE, "the checkpoints must be open to save, got those of"),
    "checkpoint: none kept": (
        lambda f: again(f / "ck", keep_last=0), VALUE, "keep_last must be an integer of at least 1, got 0"),
    "restore: no folder": (lambda f: checkpoint.restore(f / "no", STATE), ABSENT, "there is no folder"),
    "restore: empty": (lambda f: checkpoint.restore(f, STATE), ABSENT, "the folder must hold a checkpoint, got none in"),
    "restore: another state": (
        lambda f: checkpoint.restore(saved(f), {"w": np.zeros(4)}), VALUE, "state['w'] is float32 of shape (3,) there, got fl"),
    "restore: cut off": (
        lambda f: damaged(f, lambda b: b[:-5]), VALUE, "delete that one file to go on from step 1, the newest that is whole"),
    "restore: a bit": (
        lambda f: damaged(f, lambda b: b[:-1] + bytes([b[-1] ^ 1])), VALUE, "do not have the checksum that they were saved wi"),
    "handover: no folder": (lambda f: handover.load(f / "no"), ABSENT, "folder must be one that handover.save wrote, got"),
    "handover: half": (
        lambda f: of_model(f, lambda m: (m / "model.safetensors").unlink()), ABSENT, "without model.safetensors; copy the who"),
    "handover: a manifest cut off": (
        lambda f: of_model(f, edited("manifest.json", lambda b: b[:60])), VALUE, "must be JSON as handover.save writes it"),
    "handover: a manifest changed": (
        lambda f: of_model(f, edited("manifest.json", lambda b: b.replace(b"tanh", b"relu"))), VALUE, "whose sha256 does not"),
    "handover: parameters cut off": (
        lambda f: of_model(f, edited("model.safetensors", lambda b: b[:-1])), VALUE, "with another sha256; copy it again"),
    "handover: not empty": (lambda f: [model(f), model(f)], VALUE, "folder must be new or empty, got"),
    "handover: NaN": (
        lambda f: model(f, params=jax.tree.map(lambda p: p * np.nan, PARAMS)), VALUE, "must be finite, got 4 NaN or inf of 4"),
    "handover: other data": (
        lambda f: model(f, dataset=load("iris")), VALUE, "must have the 2 features that the network takes, got iris with 4"),
    "handover: about": (lambda f: model(f, about={"x": {1, 2}}), TYPE, "about['x'] must be text, a number,"),
    "predict: NaN": (lambda f: of_model(f).predict(NAN), VALUE, "rows[2][1] is nan"),
    "predict: other features": (
        lambda f: of_model(f).predict(np.ones((3, 5))), VALUE, "rows must be numbers of shape (n, 2), a column a feature, got"),
    "predict: a new category": (
        lambda f: of_trees(f).predict([{"height": 1, "kind": "ash"}]), VALUE, "must be one of the categories elm, oak, got 'a"),
    "predict: a cell missing": (
        lambda f: of_trees(f).predict([{"height": 1, "kind": "elm"}, {"height": "", "kind": "elm"}]), VALUE,
        "rows: 1 of 2 rows miss a value, in column 'height'; the first is row 2; fill them in"),
    "predict: a column missing": (
        lambda f: of_trees(f).predict(f / "line.csv"), VALUE, "must have the columns of the training file, got none called 'h"),
    "load: a name": (lambda f: load("irsi"), VALUE, "unknown data set 'irsi'; did you mean 'iris'?"),
    "load: no file": (lambda f: [(f / "t.csv").touch(), load(f / "tt.csv")], ABSENT, "; did you mean 't.csv'?"),
    "load: a folder": (lambda f: [(f / "x.csv").mkdir(), load(f / "x.csv")], VALUE, "the path must be a file, got the folder"),
    "load: another ending": (lambda f: table(f, ROWS, "t.json"), VALUE, "a file that ends in .csv, .tsv, .txt, .data, .pa"),
    "csv: empty": (lambda f: table(f, ""), VALUE, "t.csv must hold a header and rows, got an empty file"),
    "csv: a header": (lambda f: table(f, "a,b\n"), VALUE, "t.csv must hold rows below its header, got the header alone"),
    "csv: no header": (lambda f: table(f, "1,2\n3,4\n"), VALUE, "must be a header of column names, got numbers only (1, 2)"),
    "csv: binary": (lambda f: table(f, bytes(range(256))), VALUE, "t.csv must be text in UTF-8, got a zero byte in line 1"),
    "csv: Latin-1": (lambda f: table(f, b"a,b\n1,gr\xfcn\n"), VALUE, "got the byte 0xfc in line 2; save it as 'CSV UTF-8'"),
    "csv: cut off": (lambda f: table(f, ROWS + "3.5"), VALUE, "t.csv, line 4 must have 3 cells separated by commas, as the"),
    "csv: an open quote": (lambda f: table(f, 'a,b\n1,"x\n2,y\n'), VALUE, "close every quote"),
    "csv: a cell missing": (
        lambda f: table(f, ROWS + ",elm,low\n"), VALUE, "t.csv: 1 of 3 rows miss a value, in column 'height'; the first is row 3"),
    "csv: NaN": (lambda f: table(f, ROWS + "NaN,elm,low\n"), VALUE, "t.csv: 1 of 3 rows miss a value, in column 'height'; the first is row 3"),
    "csv: too large": (lambda f: table(f, ROWS + "1e40,elm,low\n"), VALUE, "row 3 (line 4), column 'height' is 1e+40, one of"),
    "csv: a word among numbers": (
        lambda f: table(f, ROWS + "high,elm,low\n"), VALUE, "column 'height' must be a number, got 'high', where 2 of 3 cells"),
    "csv: a column twice": (lambda f: table(f, "a,a\n1,2\n"), VALUE, "must name every column once, got 'a' in places 1 and 2"),
    "csv: no such target": (lambda f: table(f, ROWS, target="sice"), VALUE, "target must be one of the 3 columns of t.csv, go"),
    "csv: a target of one value": (
        lambda f: table(f, "a,b\n1,x\n2,x\n"), VALUE, "the target 'b' must differ between examples, got 'x' in all 2"),
    "csv: a regression of words": (
        lambda f: table(f, ROWS, task="regression"), VALUE, "task='regression' needs a target of numbers, got 'size' of text"),
    "npz: cut off": (lambda f: archive(f, cut=300, X=X, y=Y), VALUE, "a.npz must be an .npz archive as np.savez writes it"),
    "npz: empty": (lambda f: archive(f, cut=0, X=X, y=Y), VALUE, "a.npz must be an .npz archive as np.savez writes it"),
    "npz: no y": (lambda f: archive(f, X=X, z=Y), VALUE, "a.npz must hold X and y, or x_train, y_train, x_test and y_test"),
    "npz: rows apart": (lambda f: archive(f, X=X, y=Y[:5]), VALUE, "numbers or text of shape (12,), one for each row of X"),
    "npz: NaN": (lambda f: archive(f, X=NAN, y=Y), VALUE, "X[2][1] is nan, one of 1 values that are NaN, infinite or too"),
    "npz: objects": (
        lambda f: archive(f, X=X, y=np.array([None] * 12)), VALUE, "save numbers, as objects need pickle, which runs what it"),
    "npy: a row": (lambda f: array(f, np.ones(4)), VALUE, "must be a table of numbers (n, columns), with two columns and one"),
    "idx: no magic number": (
        lambda f: [(f / "x").write_bytes(b"text"), read_idx(f / "x")], VALUE, "x must be an IDX file, whose first bytes are 0"),
    "mnist: a file missing": (
        lambda f: mnist(f, t10k_labels=None), ABSENT, "data_dir must hold the files of mnist, got"),
    "mnist: pictures cut off": (
        lambda f: mnist(f, train_images=b"\0\0\x08\x03\0\0\0\2\0\0\0\x1c\0\0\0\x1c12"), VALUE, "must hold 1,568 bytes, as its"),
    "mnist: labels cut off": (
        lambda f: mnist(f, train_labels=CUT_GZIP), VALUE, "train-labels-idx1-ubyte must be a whole gzip file"),
    "mnist: too few labels": (
        lambda f: mnist(f, t10k_labels=b"\0\0\x08\x01\0\0\0\1\1"), VALUE, "must hold one byte for each of the 2 pictures of t"),
    "penalty: negative": (lambda f: penalties.l2(-1), VALUE, "strength must be a finite number of at least 0, got -1"),
    "penalty: a word": (lambda f: penalties.l1("0.1"), TYPE, "strength must be a finite number of at least 0, got '0.1'"),
    "penalty: leaves": (lambda f: penalties.l1(0.1, "bias"), VALUE, "unknown leaves 'bias'. There are: weights, all"),
    "metrics: unknown": (lambda f: scored(["accurracy"]), VALUE, "unknown metric 'accurracy'; did you mean 'accuracy'?"),
    "metrics: of values": (lambda f: scored(["mae"]), VALUE, "metrics must be of classes here, got 'mae', which is of values"),
    "optimizer: negative": (lambda f: optimizers.adam(-0.1), VALUE, "learning_rate must be a finite number of at least 0 or a"),
    "optimizer: momentum": (lambda f: optimizers.sgd(0.1, momentum=2), VALUE, "momentum must be a number of at least 0 and be"),
    "optimizer: clip": (lambda f: optimizers.clip_by_global_norm(0), VALUE, "max_norm must be a finite number above 0, got 0"),
    "schedule: no steps": (lambda f: schedules.cosine_decay(0.1, 0), VALUE, "must be an integer of at least 1, got 0"),
}


def scored(names):
    return metrics.scores(fnn.objective.objective(NET, "cross_entropy"), PARAMS, X, Y, names)


def test_there_are_enough_of_them():
    assert len(CALLS) >= 80


@pytest.mark.parametrize("mistake", CALLS)
def test_a_call_says_what_is_wrong(mistake, tmp_path):
    of_folder, kind, words = CALLS[mistake]
    with pytest.raises(kind) as caught:
        of_folder(tmp_path)
    text = str(caught.value)
    assert type(caught.value) is kind and words in text, text
    assert "\n" not in text and len(text) < 600, text
