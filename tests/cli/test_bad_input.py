"""Bad input to commands: one row a mistake.

The mistake is reported in a sentence, the exit code is 2, and every file stays as it was.

Mistakes in calls are in test_bad_calls.py.
"""

import importlib.util
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from functional_nn.cli.config import FIELDS
from functional_nn.data import download
from functional_nn.data.mnist import FILES
from tests.cli.runs import call, edit_json, snapshot

X, Y = np.linspace(-1, 1, 24).reshape(12, 2), np.arange(12) % 3
NAN = np.where(np.arange(24).reshape(12, 2) == 5, np.nan, X)


def cut(name, length=40):
    return lambda: Path(name).write_bytes(Path(name).read_bytes()[:length])


def put(name, content=b""):
    return lambda: Path(name).write_bytes(content)


def gone(name):
    return lambda: shutil.rmtree(name) if Path(name).is_dir() else Path(name).unlink()


def config(**changes):
    return lambda: edit_json(Path("run/config.json"), **changes)


def newest(change):
    def damage():
        path = max(Path("run/checkpoints").iterdir())
        path.write_bytes(change(path.read_bytes()))
    return damage


def all_cut():
    for path in Path("run/checkpoints").glob("step-*"):
        path.write_bytes(path.read_bytes()[:100])


def idx_files():
    Path("mnist").mkdir()
    for name in FILES[:3]:
        (Path("mnist") / name).write_bytes(b"\0\0\x08\x01")


def some_npz(**arrays):
    return lambda: np.savez("a.npz", **arrays)


def npy(values):
    return lambda: np.save("rows.npy", values)


SECOND_ROW = "height,kind\n1,elm\n"
COMMANDS = {  # name: (arguments, words[, what happens to the folder before])
    "no such command": ("trian iris", "there is no command 'trian'; did you mean train?"),
    "nothing like a command": ("xyz", "there is no command 'xyz'; there are describe, evaluate, explain, predict, replay"),
    "an option first": ("--epochs 3", "there is no command '--epochs'; there are"),
    # wrong flags and values
    "train: nothing": ("train", "name the data to train on, such as: functional-nn train iris"),
    "train: no such option": ("train iris --epoch 3", "functional-nn train has no option --epoch; did you mean --epochs?"),
    "train: two data sets": ("train iris wine", "functional-nn train takes DATA, got 'wine' too; put a name with a space in quotes"),
    "train: the rate of others": ("train iris --lr 0.1", "train has no option --lr; did you mean --learning-rate?"),
    "train: the layers of others": ("train iris --hidden-layer-sizes 8", "--hidden-layer-sizes; did you mean --hidden?"),
    "train: an option like none": ("train iris --xyz 8", "has no option --xyz; functional-nn train --help lists all"),
    "train: a switch with a value": ("train iris --monitor=yes", "--monitor takes no value, got 'yes'"),
    "train: a word among sizes": ("train iris --hidden 8,x", "--hidden must be whole numbers such as 64,32, got 'x'"),
    "train: the activation of others": ("train iris --activation Swish", "got 'Swish'; did you mean silu?"),
    "train: a word for a number": ("train iris --epochs ten", "--epochs must be a whole number, got 'ten'"),
    "train: half an epoch": ("train iris --epochs 2.5", "--epochs must be a whole number, got '2.5'"),
    "train: an option without its value": ("train iris --epochs", "--epochs needs a value: largest number of epochs; in each, every"),
    "train: no such optimiser": ("train iris --optimizer adma", "amsgrad, lion, got 'adma'; did you mean adam?"),
    "train: no such schedule": ("train iris --schedule cos", "--schedule must be one of constant, cosine, linear, got 'cos'"),
    "train: no such loss": ("train iris --loss cross_entrpy", "got 'cross_entrpy'; did you mean cross_entropy?"),
    "train: a loss of numbers": ("train iris --loss mse", "--loss must be one of binary_cross_entropy, cross_entropy for clas"),
    "train: a loss of classes": ("train diabetes --loss cross_entropy", "for a regression, got cross_entropy"),
    "train: a loss of two classes": ("train iris --loss binary_cross_entropy", "is for two classes, got 3; use cross_entropy"),
    "train: no epoch": ("train iris --epochs 0", "--epochs must be an integer of at least 1, got 0"),
    "train: no batch": ("train iris --batch-size 0", "--batch-size must be an integer of at least 1, got 0"),
    "train: no step": ("train iris --every 0", "--every must be an integer of at least 1, got 0"),
    "train: no unit": ("train iris --hidden 8 0", "--hidden, number 2, must be an integer of at least 1, got 0"),
    "train: a negative rate": ("train iris --learning-rate -1", "--learning-rate must be a finite number of at least 0, got -"),
    "train: a rate of NaN": ("train iris --learning-rate nan", "--learning-rate must be a finite number of at least 0, got na"),
    "train: a penalty of inf": ("train iris --l2 inf", "--l2 must be a finite number of at least 0, got inf"),
    "train: momentum": ("train iris --optimizer sgd --momentum 2", "--momentum must be a number of at least 0 and below 1, go"),
    "train: clip": ("train iris --clip 0", "--clip must be a finite number above 0, got 0.0"),
    "train: all dropped": ("train iris --dropout 1", "--dropout must be a number of at least 0 and below 1, got 1.0"),
    "train: a negative seed": ("train iris --seed -1", "--seed must be an integer from 0 to 4294967295, got -1"),
    "train: all to validate on": ("train iris --validation 1", "--validation must be a number of at least 0 and below 1, got"),
    "train: too few to validate on": ("train iris --validation 0.001", "--validation 0.001 leaves too few of 120 examples on o"),
    "train: all to test": ("train iris --test-share 1", "--test-share must be a number between 0 and 1, got 1.0"),
    "train: patience without validation": (
        "train iris --patience 3 --validation 0", "--patience looks at the validation cost, and --validation is 0; leave one"),
    "train: no patience": ("train iris --patience 0", "--patience must be an integer of at least 1, got 0"),
    "train: weights of numbers": ("train diabetes --class-weights balanced", "--class-weights is for classes, and this is a r"),
    "train: a target of iris": ("train iris --target kind", "--target is for files of your own, got it for iris; leave it out"),
    # data
    "train: no such data": ("train irsi", "unknown data set 'irsi'; did you mean 'iris'?"),
    "train: no such file": ("train tree.csv", "there is no file 'tree.csv' in '.'; did you mean 'trees.csv'?"),
    "train: no such folder": ("train no/trees.csv", "there is no file 'no/trees.csv', nor a folder 'no'"),
    "train: an empty file": ("train e.csv", "e.csv must hold a header and rows, got an empty file", put("e.csv")),
    "train: a picture": ("train e.csv", "e.csv must be text in UTF-8, got", put("e.csv", b"\x89PNG\r\n\x1a\n\0\0")),
    "train: a file cut off": ("train trees.csv", "trees.csv, line 3 must have 3 cells", cut("trees.csv", 36)),
    "train: a cell of NaN": (
        "train e.csv", "e.csv: 1 of 2 rows miss a value, in column 'height'; the first is row 1 (line 2), written 'nan'; "
        "pass --missing drop", put("e.csv", b"height,y\nnan,1\n2,2\n")),
    "train: no such target": ("train trees.csv --target siz", "--target must be one of the 3 columns of trees.csv, got 'siz'"),
    "train: no such column": ("train trees.csv --ignore hight", "--ignore must be one of the 3 columns of trees.csv, got 'hight"),
    "train: all ignored": ("train trees.csv --ignore height kind", "must keep its target and one other column at least"),
    "train: words for numbers": ("train trees.csv --task regression", "--task regression needs a target of numbers, got 'size"),
    "train: an archive cut off": (
        "train a.npz", "a.npz must be an .npz archive as np.savez writes", lambda: [some_npz(X=X, y=Y)(), cut("a.npz", 99)()]),
    "train: an archive of NaN": ("train a.npz", "X[2][1] is nan, one of 1 values", some_npz(X=NAN, y=Y)),
    "train: mnist elsewhere": ("train mnist --data-dir no", "--data-dir must be an existing directory, got 'no'"),
    "train: mnist in part": ("train mnist --data-dir mnist", "/mnist' without t10k-labels-idx1-ubyte; put them", idx_files),
    "train: mnist without a network": ("train mnist", "mnist could not be downloaded from http://127.0.0.1:9/ (Connecti"),
    # --out and --config
    "train: into a run": ("train iris --out run", "run holds a run already; functional-nn resume run goes on with it, or"),
    "train: into a full folder": ("train iris --out run/model", "run/model must be a new or an empty folder; choose another -"),
    "train: into a file": ("train iris --out trees.csv", "trees.csv must be a new or an empty folder; choose another --out"),
    "train: below a file": ("train iris --out trees.csv/run", "choose another --out (it lies in the file 'trees.csv')"),
    "from: nowhere": ("train --from no", "--from must be the folder of a run, got no, which has no config.json; name one th"),
    "from: no model yet": ("train --from run", "run has no model yet; functional-nn resume ", gone("run/model")),
    "from: other columns": ("train line.csv --from run", "and lacks height, kind=elm, kind=oak and adds a, b; train w"),
    "from: other classes": (
        "train e.csv --from run", "must have the classes that", put("e.csv", b"height,kind,size\n" + 9 * b"1,elm,tall\n2,oak,big\n")),
    "from: another network": ("train --from run --hidden 7", "leave out --hidden, --activation, --dropout and --inp"),
    "from: another scaling": ("train --from run --no-standardize", "keeps the scaling of that run; leave out --no-sta"),
    "from: another split": ("train --from run --seed 1", "rows kept for the test were trained on by "),
    "from: a file too": ("train --from run --config run/config.json", "--config and --from both give the options that"),
    "config: none": ("train --config no.json", "no.json: No such file or directory"),
    "config: a folder": ("train --config run", "run must be a file, got a folder; name the config.json in it"),
    "config: a table": ("train iris --config trees.csv", "trees.csv must hold a configuration as JSON, got JSONDecodeError"),
    "config: binary": ("train --config=c.json", "c.json must hold a configuration as JSON, got Unic", put("c.json", b"\xff\0")),
    "config: nested without end": ("train --config c.json", "c.json must hold a configuration", put("c.json", b"[" * 99999)),
    "config: a list": ("train --config c.json", "c.json must hold a JSON object, got a list", put("c.json", b"[]")),
    "config: an unknown entry": ("train --config c.json", "unknown entry 'epoch'; did you mea", put("c.json", b'{"epoch": 1}')),
    "config: a word": ("train --config c.json", "epochs must be of type int, got '3'", put("c.json", b'{"epochs": "3"}')),
    "config: true": ("train --config c.json", "epochs must be of type int, got True", put("c.json", b'{"epochs": true}')),
    "config: no list": ("train --config c.json", "hidden must be a list, got 3", put("c.json", b'{"hidden": 3}')),
    "config: a list of words": ("train --config c.json", "hidden must be of type int, go", put("c.json", b'{"hidden": ["a"]}')),
    "config: no such schedule": (
        "train --config c.json", "schedule must be one of constant, cosine, linear, got 1", put("c.json", b'{"schedule": 1}')),
    "config: too large": ("train --config c.json", "must be of type float", put("c.json", b'{"l2": 1' + b"0" * 400 + b"}")),
    "config: negative": (
        "train iris --config c.json", "c.json: --l2 must be a finite number of at least 0", put("c.json", b'{"l2": -1}')),
    # a run that is not whole
    "resume: nothing": ("resume", "functional-nn resume needs RUN: the folder that train wrote"),
    "resume: nowhere": ("resume no", "no is no folder; name one that functional-nn train wrote"),
    "resume: no run": ("resume run/model", "must be the folder of a run, got one without config.json"),
    "resume: more epochs of a cosine": ("resume run --epochs 9", "epoch 6; functional-nn train --from run --epochs 9 starts fr"),
    "resume: fewer epochs": ("resume line --epochs 1", "--epochs must be at least the 40 that are done, got 1"),
    "resume: no epochs": ("resume line --epochs 0", "--epochs must be an integer of at least 1, got 0"),
    "resume: a config cut off": ("resume run", "run/config.json must hold a configuration as JSON", cut("run/config.json")),
    "resume: another seed": ("resume run", "run/config.json must be as the run wrote it, got seed 4 where the run h", config(seed=4)),
    "resume: a longer cosine": (
        "resume run", "got epochs 9 where the run has 6, with which its cosine learning rate ends; write 6 again", config(epochs=9)),
    "resume: the data is gone": (
        "resume run", "there is no file '/no/oaks.csv', which the run of run was made with; say whe", config(data="/no/oaks.csv")),
    "resume: no such data": ("resume run --data no.csv", "--data must be where the rows are, got no.csv, where nothing is"),
    "resume: other data": ("resume run --data line.csv", "line.csv have changed: 60 are new and 60 are gone"),
    "resume: an empty folder": ("resume new", "new holds no run: it is empty, or train was killed before it wr", lambda: Path("new").mkdir()),
    "resume: a checkpoint damaged": (
        "resume run", "is damaged: the values of state", newest(lambda data: data[:-9] + bytes(9 * [7]))),
    "resume: a checkpoint cut off": ("resume run", "delete that one file to go on from step 1", newest(lambda data: data[:-9])),
    "resume: all checkpoints cut off": ("resume run", "no other checkpoint there is whole, so start again in a new f", all_cut),
    "resume: another run's checkpoint among them": (
        "resume run", "belongs to another run", lambda: shutil.copy(min(Path("line/checkpoints").glob("s*")), "run/checkpoints")),
    "evaluate: nothing": ("evaluate", "functional-nn evaluate needs RUN: the folder that train wrote"),
    "evaluate: nowhere": ("evaluate no", "no is no folder; name one that functional-nn train wrote"),
    "evaluate: no model yet": ("evaluate run", "run has no model yet; functional-nn resume run goes on wit", gone("run/model")),
    "evaluate: a model cut off": (
        "evaluate run", "with another sha256; copy it again, or save the model again", cut("run/model/model.safetensors")),
    "evaluate: a manifest cut off": ("evaluate run", "manifest.json must be JSON as hand", cut("run/model/manifest.json")),
    "evaluate: other data": ("evaluate run", "iris must have the columns and classes that run/model was", config(data="iris")),
    "describe: nowhere": ("describe no", "no is no folder; name one that functional-nn train wrote"),
    "describe: no config": ("describe run", "got one without config.json; name one", gone("run/config.json")),
    "describe: metrics of bytes": (
        "describe run", "run/metrics.jsonl, line 1 must be the record of an epoc", put("run/metrics.jsonl", b"\xff\xfe\n{}\n")),
    "describe: metrics of words": (
        "describe run --json", "metrics.jsonl, line 2 must be th", put("run/metrics.jsonl", b'{"epoch": 1}\n{"epoch": "b"}\n')),
    "describe: a summary cut off": ("describe run", "run/summary.json must be as the run wrote it", cut("run/summary.json")),
    "describe: a summary of nothing": ("describe run", "functional-nn resume run writes it ag", put("run/summary.json", b"{}")),
    "describe: half a model": ("describe run", "without model.safetensors; copy the", gone("run/model/model.safetensors")),
    # predict
    "predict: no rows": ("predict run", "functional-nn predict needs ROWS: a file with the columns of the"),
    "predict: nowhere": ("predict no trees.csv", "no is no folder; name one that functional-nn train wrote, or the model/ in"),
    "predict: no model": ("predict run trees.csv", "run has no model yet; functional-nn resume run goes", gone("run/model")),
    "predict: no such rows": ("predict run no.csv", "no.csv is no file; name a CSV file with the columns height, kind"),
    "predict: other columns": ("predict run line.csv", "line.csv must have the columns of the training file, got none called"),
    "predict: a cell missing": (
        "predict run r.csv", "r.csv: 1 of 2 rows miss a value, in column 'height'; the first is row 2 (line 3); fill "
        "them in, or pass --unknown skip", put("r.csv", SECOND_ROW.encode() + b",oak\n")),
    "predict: a new category": (
        "predict run r.csv", "column 'kind' must be one of the categories elm, oak, go", put("r.csv", b"height,kind\n1,ash\n")),
    "predict: empty rows": ("predict run r.csv", "r.csv must hold a header and rows, got an empty file", put("r.csv")),
    "predict: a header": ("predict run r.csv", "r.csv must hold rows below its header", put("r.csv", b"height,kind\n")),
    "predict: an array of other features": ("predict line rows.npy", "rows must be numbers of shape (n,", npy(np.ones((4, 3)))),
    "predict: an array of NaN": ("predict line rows.npy", "rows[2][1] is nan", npy(NAN)),
    "predict: no array": ("predict line rows.npy", "rows.npy must be an array as np.save writes it", put("rows.npy", b"text")),
    "predict: an array of objects": ("predict line rows.npy", "as objects need pickle, which runs", npy(np.array([None]))),
    "predict: probabilities of numbers": (
        "predict line line.csv --probabilities", "--probabilities is for classes, and this model predicts numbers; leave it o"),
    "predict: onto a file": ("predict run trees.csv --out line.csv", "line.csv exists already; choose another --out"),
    "predict: into no folder": ("predict run trees.csv --out no/p.csv", "no/p.csv cannot be written: there is no folder no"),
    # what is not installed
    "train: no safetensors": ("train iris", "the model of a run needs safetensors; install it with: pip install 'functional_n"),
    "train: no tensorboardX": ("train iris --tensorboard", "--tensorboard needs tensorboardX; install it with: pip install"),
    # verify
    "verify: nothing": ("verify", "functional-nn verify needs FILE: a Python file"),
    "verify: nowhere": ("verify no.py", "no.py is no file; functional-nn verify --init no.py writes a template"),
    "verify: a table": ("verify trees.csv", "trees.csv is no Python file; its name must end in .py, or in .ipynb"),
    "verify: a page that is there": ("verify no.py --html trees.csv", "trees.csv exists already; choose another name"),
}


# an option in Python's words: with "=", or with an underscore; the entries of a config.json have both
IN_PYTHON = re.compile(rf"\b({'|'.join(FIELDS)})=|(?<!-)\b({'|'.join(name for name in FIELDS if '_' in name)})\b(?! \(--)|fnn\\.")


@pytest.fixture
def place(work, tmp_path, monkeypatch):
    """Where the command runs: with a run of classes, `run`, and one of a regression, `line`, and without a network."""
    (work / "trees").rename("run")
    monkeypatch.setitem(download.SOURCES, "mnist", ("http://127.0.0.1:9/", download.SOURCES["mnist"][1]))
    monkeypatch.setattr(pytest.importorskip("pooch"), "os_cache", lambda project: tmp_path / "cache")
    return work


@pytest.mark.parametrize("mistake", COMMANDS)
def test_a_command_says_what_is_wrong_and_leaves_everything_as_it_was(mistake, place, capsys, monkeypatch):
    arguments, words, *happens = COMMANDS[mistake]
    for damage in happens:
        damage()
    if ": no safetensors" in mistake or ": no tensorboardX" in mistake:
        missing, real = mistake.split()[-1], importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    before = snapshot(place)
    said = call(capsys, *arguments.split())
    assert said.code == 2 and words in said.err, said
    assert said.out == "" and "Traceback" not in said.err
    assert said.err.startswith("error: ") and said.err.count("\n") == 1
    assert mistake.startswith("config: ") or not IN_PYTHON.search(said.err)
    assert snapshot(place) == before


def test_there_are_enough_of_them():
    assert len(COMMANDS) >= 80
