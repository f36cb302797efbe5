"""The folder of a run: new, read back as it was written, and clear about what it lacks."""

import json

import numpy as np
import pytest

from functional_nn.cli import folder as folders
from functional_nn.cli.usage import Unusable
from functional_nn.training import Moment
from tests.cli.runs import LINE, done, lines

SUMMARY = {"stopped": "all 3 epochs are over", "reason": "epochs", "epochs": 3, "best_epoch": 0, "kept_epoch": 3,
           "test": {"r2": None, "mae": 0.5}}


def end_of(epoch, cost):
    """The argument of the callback at the end of an epoch."""
    return Moment(epoch, 3 * epoch, None, None, {"epoch": epoch, "cost": cost})


def begun(out):
    with folders.begun(out, "line", {"seed": 3}) as made:
        return made


def test_a_folder_that_is_not_named_is_new_each_time(work):
    made = {begun(None) for _ in range(3)}
    assert len(made) == 3
    assert all(path.is_dir() and str(path).startswith("runs/line/2") for path in made)


def test_a_folder_that_is_named_is_made_or_must_be_empty(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "a" / "b", tmp_path / "empty"):
        made = begun(str(out))
        assert made == out and json.loads((made / folders.CONFIG).read_text()) == {"seed": 3}
        assert [path.name for path in made.iterdir()] == [folders.CONFIG]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert begun("~/c") == tmp_path / "c"
    (tmp_path / "c" / "note.txt").touch()
    (tmp_path / "c" / folders.CONFIG).unlink()
    for out in ("~/c", str(tmp_path / "c" / "note.txt")):
        with pytest.raises(ValueError, match="must be a new or an empty folder"):
            begun(out)
    (tmp_path / "c" / folders.CONFIG).touch()
    for out in ("~/c", str(tmp_path / "c")):
        with pytest.raises(Unusable, match="holds a run already; functional-nn resume"):
            begun(out)


def test_a_folder_in_which_a_run_was_killed_at_its_first_write_is_taken(tmp_path):
    """In a folder of the user, or beside a folder that was to be made."""
    for name in ("in/.config.json.12ab.partial", ".new.0123abcd.partial/config.json"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    for out in ("in", "new"):
        assert [path.name for path in begun(str(tmp_path / out)).iterdir()] == [folders.CONFIG]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "new"]


@pytest.mark.parametrize("empty", [True, False])
def test_two_processes_do_not_write_one_folder(tmp_path, empty):
    """A lock belongs to an open file, so a second one in this process is as good as another process."""
    if empty:
        (tmp_path / "run").mkdir()
    with folders.begun(str(tmp_path / "run"), "line", {}) as made:
        with pytest.raises(ValueError, match="must have one writer at a time, got a second one; another train or resume is at"), \
                folders.alone(made):
            pass
        with pytest.raises(Unusable, match="holds a run already"):
            begun(str(made))
    with folders.alone(made):
        pass


def test_a_folder_that_was_taken_meanwhile_is_left_alone(tmp_path, monkeypatch):
    real = folders.write_json

    def slow(path, *args, **more):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / folders.CONFIG).write_text("theirs")
        real(path, *args, **more)

    monkeypatch.setattr(folders, "write_json", slow)
    with pytest.raises(Unusable, match="holds a run already"):
        begun(str(tmp_path / "run"))
    assert (tmp_path / "run" / folders.CONFIG).read_text() == "theirs" and len(list(tmp_path.iterdir())) == 1


def test_a_part_is_there_or_its_absence_is_explained(tmp_path):
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "new").mkdir()
    (tmp_path / "bare").mkdir()
    (tmp_path / "new" / "config.json").touch()
    assert folders.part(tmp_path / "run", "model") == tmp_path / "run" / "model"
    for run, name, words in (
            ("none", "model", "none is no folder"),
            ("new/config.json", "model", "config.json is no folder"),
            ("new", "model", "new has no model yet; functional-nn resume"),
            ("bare", "model", "must be the folder of a run, got one without model"),
            ("new", "checkpoints", "must be the folder of a run, got one without checkpoints"),
            ("run", "config.json", "must be the folder of a run, got one without config.json")):
        with pytest.raises(Unusable, match=words):
            folders.part(tmp_path / run, name)


def test_a_recorder_writes_one_line_at_the_end_of_each_epoch(tmp_path):
    with folders.Recorder(tmp_path, tensorboard=False) as recorder:
        for epoch, cost in ((1, 0.5), (2, np.float32(0.25)), (3, float("nan"))):
            recorder(Moment(epoch, 0, None, None, None))  # amid the epoch
            recorder(end_of(epoch, cost))
    assert folders.rows(tmp_path / "metrics.jsonl") == [
        {"epoch": 1, "cost": 0.5}, {"epoch": 2, "cost": 0.25}, {"epoch": 3, "cost": None}]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_resumed_run_replaces_the_epochs_after_its_checkpoint(tmp_path):
    for epochs in ((1, 2, 3), (2, 3, 4)):
        with folders.Recorder(tmp_path, tensorboard=False) as recorder:
            for epoch in epochs:
                recorder(end_of(epoch, 0.5))
        with open(tmp_path / "metrics.jsonl", "a") as file:
            file.write('{"epoch": 4, "co')  # as a killed run leaves it
    assert [row["epoch"] for row in folders.rows(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4]


def test_rows_skip_a_last_line_without_an_end(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert folders.rows(path) == []
    path.write_text('{"epoch": 1, "cost": 0.5}\n{"epoch": 2, "cost": 0.25}')
    assert folders.rows(path) == [{"epoch": 1, "cost": 0.5}]


@pytest.mark.parametrize("bad", [
    "", "{", "[1]", '{"cost": 0.5}', '{"epoch": 2.0}', '{"epoch": true}', '{"epoch": 2, "a": "b"}',
    '{"epoch": 2, "a": [1]}', "[" * 99999])
def test_a_line_that_is_no_record_is_named_by_its_number(bad, tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"epoch": 1}}\n{bad}\n{{"epoch": 3}}\n{bad}\n')
    with pytest.raises(Unusable, match=r"metrics\.jsonl, line 2 must be the record of an epoch"):
        folders.rows(path)


def test_the_record_is_the_summary_if_the_run_has_ended(tmp_path):
    assert folders.record(tmp_path) is None
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY))
    assert folders.record(tmp_path) == SUMMARY


@pytest.mark.parametrize("text", [
    "", "{}", "[]", "null", "[" * 99999, *(json.dumps(SUMMARY | change) for change in (
        {"stopped": 3}, {"reason": "bored"}, {"reason": None}, {"reason": []}, {"epochs": "3"},
        {"best_epoch": None}, {"test": [0.5]}, {"test": {"r2": "high"}})),
    *(json.dumps({key: value for key, value in SUMMARY.items() if key != name})
      for name in SUMMARY)])
def test_a_summary_that_is_not_as_the_run_wrote_it_is_unusable(text, tmp_path):
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(Unusable, match=r"summary\.json must be as the run wrote it"):
        folders.record(tmp_path)


@pytest.mark.usefixtures("compiled_once")
def test_a_run_that_ends_again_leaves_nothing_of_its_earlier_end(trees, capsys):
    """The folders of a model that a kill cut short are removed, and the model is whole."""
    names = {path.name for path in trees.iterdir()}
    for name in (".model.new", ".model.old"):
        (trees / name).mkdir()
        (trees / name / "half").touch()
    (trees / "model" / "left").touch()
    done(capsys, "resume", trees)
    assert {path.name for path in trees.iterdir()} == names
    assert {path.name for path in (trees / "model").iterdir()} == {
        "manifest.json", "model.safetensors"}


@pytest.mark.usefixtures("compiled_once")
def test_tensorboard_has_every_number(work, capsys):
    """Each event in the file is its length with a checksum, then the event with a checksum."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    done(capsys, *LINE, "--epochs", "3", "--tensorboard", "--out", "new")
    (path,) = (work / "new").glob("events.out.tfevents.*")
    data, at, found = path.read_bytes(), 0, {}
    while at < len(data):
        length = int.from_bytes(data[at:at + 8], "little")
        event = event_pb2.Event.FromString(data[at + 12:at + 12 + length])
        found |= {(event.step, value.tag): value.simple_value for value in event.summary.value}
        at += length + 16
    wanted = {(row["epoch"], name): np.float32(value)
              for row in lines(work / "new" / "metrics.jsonl") for name, value in row.items()}
    assert found == wanted
