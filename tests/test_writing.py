"""What is written appears whole or not at all, and a run never lands on another."""

import contextlib
import errno
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


@pytest.mark.parametrize("write", [lambda: writing.file_beside("a"), lambda: writing.folder_beside("a")])
def test_an_error_without_a_name_is_of_what_was_to_be_written(here, write):
    """As write() raises it on a full disk."""
    with pytest.raises(OSError) as error, write():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert Path(error.value.filename).name == "a" and everything(here) == []


def test_an_error_of_another_file_keeps_its_name(here):
    with pytest.raises(FileNotFoundError) as error, writing.file_beside("a"):
        (here / "other").read_text()
    assert error.value.filename == str(here / "other")


@pytest.mark.parametrize(("number", "passed"), [(errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EIO, False)])
def test_some_file_systems_do_not_sync_folders(here, monkeypatch, number, passed):
    (here / "a").touch()

    def fsync(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(writing.os, "fsync", fsync)
    with pytest.raises(OSError):
        writing.sync(here / "a")
    with contextlib.nullcontext() if passed else pytest.raises(OSError):
        writing.sync(here)


def test_a_durable_folder_is_synced_with_all_in_it(here, monkeypatch):
    synced = []
    monkeypatch.setattr(writing.os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    with writing.folder_beside("f", durable=True) as partial:
        (partial / "x").write_text("x")
    assert synced == [path.stat().st_ino for path in (here / "f" / "x", here / "f", here)]


def test_a_folder_has_one_writer_also_under_another_name(here):
    (here / "f").mkdir()
    with writing.alone(here / "f") as certain:
        assert certain
        (here / "f").rename("g")
        with pytest.raises(ValueError, match=r"'g' must have one writer at a time, got a second one; wait"), \
                writing.alone(Path("g"), "wait"):
            pass
    with writing.alone(here / "g"):
        pass


def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(here):
    for name in (".f.0123abcd.partial", ".f.89ef4567.partial", ".other.0123abcd.partial"):
        (here / name).mkdir()
        (here / name / "half").touch()
    with writing.alone(here / ".f.89ef4567.partial"), writing.folder_beside("f"):
        pass
    assert sorted(path.name for path in here.iterdir()) == [".f.89ef4567.partial", ".other.0123abcd.partial", "f"]


def test_a_folder_is_cleaned_of_temporary_files_alone(here):
    for name in (".a.json.12ab.partial", "a.partial", ".hidden", ".a.xyz.partial", "b"):
        (here / name).touch()
    writing.clean(here)
    assert everything(here) == [".a.xyz.partial", ".hidden", "a.partial", "b"]


def test_a_link_is_removed_and_not_its_target(here):
    (here / "theirs").mkdir()
    (here / "theirs" / "x").touch()
    (here / "link").symlink_to("theirs")
    (here / "broken").symlink_to("nowhere")
    for name in ("link", "broken", "nothing"):
        writing.remove(here / name)
    assert everything(here) == ["theirs", "theirs/x"]
    writing.remove(here / "theirs")
    assert everything(here) == []


def test_a_folder_with_temporary_files_alone_is_as_good_as_empty(here):
    (here / "f").mkdir()
    (here / "f" / ".config.json.12ab.partial").touch()
    assert writing.occupied(here / "f") is None and writing.run_folder("x", here / "f") == here / "f"
