"""`evaluate` scores rows that the model was not trained on, whatever became of the file."""

import contextlib
import json
import shutil

import numpy as np
import pytest

from functional_nn import cli, handover
from functional_nn.data.fingerprints import find, fingerprints
from tests.cli.runs import call, done, edit_json

pytestmark = pytest.mark.usefixtures("compiled_once", "drawn_once")
LABELS = ("no", "yes")
OPTIONS = ("--epochs", "2", "--hidden", "4", "--out", "run")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run on 80 rows whose labels are coin tosses, and the rows as text."""
    folder = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{LABELS[c]}" for a, b, c in zip(
        *rng.normal(size=(2, 80)), rng.integers(0, 2, 80), strict=True)]
    write(folder, rows)
    with contextlib.chdir(folder):
        assert cli.main(["train", "noise.csv", *OPTIONS]) == 0
    return folder, rows


@pytest.fixture
def noise(work, trained):
    """That run and its rows, in the current folder."""
    folder, rows = trained
    shutil.copytree(folder / "run", work / "run")
    config = json.loads((work / "run" / "config.json").read_text())
    edit_json(work / "run" / "config.json", data=str(work / "noise.csv"))
    assert config["data"] == str(folder / "noise.csv")
    write(work, rows)
    return rows


def write(work, rows, name="noise.csv", header="a,b,label"):
    (work / name).write_text("\n".join([header, *rows]) + "\n")


def scores(capsys, *arguments):
    return json.loads(done(capsys, "evaluate", "run", *arguments, "--json").out)


def test_the_test_rows_are_known_again_in_any_order_and_among_new_rows(work, noise, capsys):
    before = scores(capsys)
    assert before["rows"] == 16 and before["notes"] == []
    write(work, sorted(noise))
    assert scores(capsys) == before
    write(work, ["9,9,yes", *noise[::-1], "8,8,no"])
    after = scores(capsys)
    assert after["scores"] == before["scores"]
    assert after["notes"] == [
        f"2 rows of {work / 'noise.csv'} are new since the run began, and are not scored"]


def test_a_file_that_lost_test_rows_is_refused(work, noise, capsys):
    write(work, noise[:40])
    said = call(capsys, "evaluate", "run")
    assert said.code == 2 and "must hold the 16 rows that were kept for the test" in said.err
    assert "functional-nn evaluate run ROWS" in said.err


def test_labelled_rows_are_scored_without_those_of_the_training(work, noise, capsys):
    new = [f"{i / 10},{-i / 10},{['no', 'yes'][i % 2]}" for i in range(10)]
    write(work, new, "new.csv")
    found = scores(capsys, "new.csv")
    predicted = handover.load("run/model").predict("new.csv")
    wanted = np.mean([row.endswith(label) for row, label in zip(new, predicted, strict=True)])
    assert found["rows"] == 10 and found["scores"]["accuracy"] == pytest.approx(wanted)
    write(work, [*noise, *new], "both.csv")
    both = scores(capsys, "both.csv")
    assert both["rows"] == 26 and both["notes"] == [
        "64 of 90 rows were trained on, and are not scored"]


@pytest.mark.parametrize(("rows", "header", "words"), [
    (["1,2,perhaps"], "a,b,label", "must be one of the classes no, yes, got 'perhaps'"),
    (["1,2,yes"], "a,b,other", "target must be one of the 3 columns of new.csv"),
    (["1,yes"], "a,label", "must have the columns of the training file, got none called 'b'")])
def test_rows_that_cannot_be_scored_are_refused(work, noise, capsys, rows, header, words):
    write(work, rows, "new.csv", header)
    said = call(capsys, "evaluate", "run", "new.csv")
    assert said.code == 2 and words in said.err


def test_rows_of_the_training_alone_are_refused(work, noise, capsys):
    known = np.load("run/rows.npz")
    assert len(known["train"]) == 64 and str(known["target"]) == "label"
    first = [row for row in noise if row]
    write(work, first, "all.csv")
    assert scores(capsys, "all.csv")["rows"] == 16


def test_a_run_without_a_record_of_its_rows_says_so(work, trained, noise, capsys):
    (work / "run" / "rows.npz").write_bytes(b"PK")
    said = call(capsys, "evaluate", "run")
    assert said.code == 2 and "rows.npz must be as the run wrote it" in said.err
    assert "functional-nn resume run writes it again" in said.err
    edit_json(work / "run" / "config.json", data=str(trained[0] / "noise.csv"))
    done(capsys, "resume", "run")
    assert scores(capsys)["rows"] == 16


def test_errors_of_a_regression_are_in_the_unit_of_the_target(work, capsys):
    """Seconds since 1970, which float32 rounds to multiples of 128."""
    rows = [f"{i / 400},{1_700_000_000 + i}" for i in range(400)]
    write(work, rows, "time.csv", "x,seconds")
    options = ("--epochs", "20", "--hidden", "8", "--validation", "0", "--out", "run")
    done(capsys, "train", "time.csv", *options)
    model, known = handover.load("run/model"), np.load("run/rows.npz")
    x = np.arange(400)[:, None] / 400
    predicted = model.predict(x)
    assert predicted.dtype == np.float64 and len(np.unique(predicted)) > 100  # 4 in float32
    y = 1_700_000_000.0 + np.arange(400)
    kept = find(known["test"], fingerprints(x.astype(np.float32), y))
    mae = np.abs(predicted - y)[kept].mean()
    assert scores(capsys)["scores"]["mae"] == pytest.approx(mae, rel=1e-3)


def test_files_without_a_header_are_read_alike_by_every_command(work, capsys):
    rows = [f"{i / 60:.3f},{(7 * i % 60) / 60:.3f},{LABELS[i >= 30]}" for i in range(60)]
    (work / "bare.csv").write_text("\n".join(rows) + "\n")
    said = call(capsys, "train", "bare.csv", "--out", "no")
    assert said.code == 2 and "or pass --no-header for a file without names" in said.err
    done(capsys, "train", "bare.csv", "--no-header", *OPTIONS)
    assert scores(capsys)["rows"] == 12
    again = scores(capsys, "bare.csv")
    assert again["rows"] == 12 and again["notes"] == [
        "48 of 60 rows were trained on, and are not scored"]
    assert again["scores"] == pytest.approx(scores(capsys)["scores"])  # sums of other orders
    predicted = done(capsys, "predict", "run", "bare.csv").out.splitlines()
    assert len(predicted) == 61
