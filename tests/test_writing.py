"""What is written appears whole or not at all, and a run never lands on another."""

import os
from pathlib import Path

import pytest

from functional_nn import writing


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_appears_when_it_is_whole(here, durable):
    (here / "a").write_text("old")
    with writing.file_beside("a", durable=durable) as partial:
        partial.write_text("new")
        assert (here / "a").read_text() == "old" and partial.parent == Path(".")
    assert (here / "a").read_text() == "new" and everything(here) == ["a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_file_that_fails_halfway_leaves_the_old_one(here, error):
    (here / "a").write_text("old")
    with pytest.raises(error), writing.file_beside("a") as partial:
        partial.write_text("half")
        raise error
    assert (here / "a").read_text() == "old" and everything(here) == ["a"]


def test_a_file_of_others_is_not_replaced_where_that_is_asked(here):
    with pytest.raises(FileExistsError, match="there is a file 'a' already"), \
            writing.file_beside("a", replace=False) as partial:
        partial.write_text("mine")
        (here / "a").write_text("theirs")
    assert (here / "a").read_text() == "theirs" and everything(here) == ["a"]


def test_a_link_is_replaced_and_not_followed(here):
    (here / "target").write_text("precious")
    (here / "a").symlink_to("target")
    with writing.file_beside("a") as partial:
        partial.write_text("new")
    assert (here / "target").read_text() == "precious" and (here / "a").read_text() == "new"


def test_a_durable_file_and_its_folder_are_synced(here, monkeypatch):
    synced = []
    monkeypatch.setattr(writing.os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    with writing.file_beside("a", durable=True) as partial:
        partial.write_text("x")
    assert synced == [(here / "a").stat().st_ino, here.stat().st_ino]


def test_a_folder_appears_when_it_is_whole(here):
    with writing.folder_beside("deep/er/f") as partial:
        (partial / "x").write_text("x")
        assert not (here / "deep/er/f").exists()
    assert everything(here) == ["deep", "deep/er", "deep/er/f", "deep/er/f/x"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_folder_that_fails_halfway_leaves_nothing(here, error):
    with pytest.raises(error), writing.folder_beside("deep/er/f") as partial:
        (partial / "x").write_text("x")
        raise error
    assert everything(here) == []


@pytest.mark.parametrize("keep", [False, True])
def test_a_folder_whose_name_was_taken_goes_or_is_kept(here, keep):
    with pytest.raises(OSError) as error, writing.folder_beside("f", keep=keep) as partial:
        (partial / "x").write_text("x")
        (here / "f").mkdir()
        (here / "f" / "theirs").write_text("y")
    assert everything(here / "f") == ["theirs"] and partial.exists() is keep
    assert ("the finished run is in" in str(error.value)) is keep


def test_what_is_there_is_said(here):
    (here / "file").write_text("x")
    (here / "empty").mkdir()
    (here / "full").mkdir()
    (here / "full" / "b").write_text("x")
    (here / "full" / "a").write_text("x")
    assert [writing.occupied(Path(name)) for name in ("new", "empty", "full", "file", "file/in", "new/er")] == [
        None, None, "holds 'a'", "is a file", "lies in the file 'file'", None]


def test_a_run_has_a_folder_of_its_own(here):
    names = []
    for _ in range(3):
        names.append(writing.run_folder("iris"))
        names[-1].mkdir(parents=True)
    assert len(set(names)) == 3 and all(name.parent == Path("runs/iris") for name in names)
    assert writing.run_folder("iris", "mine") == Path("mine")
    with pytest.raises(ValueError, match=r"^runs must be a new or an empty folder; choose another --out \(it holds 'iris'\)$"):
        writing.run_folder("iris", "runs")


def test_a_path_is_shown_as_it_is_typed(here):
    assert writing.shown(Path("a/../b")) == "b" and writing.shown(here / "b") == "b"
    assert writing.shown(Path("/")) == "/"
