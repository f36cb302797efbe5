"""The history of a checkpoint is what was appended before it, whatever else is in the file."""

import errno
import os
import zlib

import pytest

from functional_nn.checkpoint import Checkpoints, restore
from functional_nn.checkpoint.container import Damaged, Mark
from functional_nn.checkpoint.history import NAME, History, read
from tests.checkpoint.damaged import LIKE, RUN, check_refused, path, state


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / NAME)
    yield made
    made.close()


def test_every_mark_gives_the_lines_before_it(history):
    marks = [Mark()]
    for number in range(5):
        marks.append(history.append(marks[-1], f'{{"a":{number}}}\n' * (number % 3)))
    lines = [{"a": number} for number in range(5) for _ in range(number % 3)]
    for number, mark in enumerate(marks):
        assert read(history.path, mark) == lines[:sum(n % 3 for n in range(number))]


def test_what_follows_the_mark_is_dropped(history):
    """A run that goes on from an older checkpoint than the newest one."""
    one = history.append(Mark(), '{"a":1}\n')
    history.append(one, '{"a":2}\n{"a":3}\n')
    again = history.append(one, '{"a":4}\n')
    assert read(history.path, again) == [{"a": 1}, {"a": 4}] and history.path.read_bytes().count(b"\n") == 2


def test_a_line_cut_short_is_dropped(history):
    one = history.append(Mark(), '{"a":1}\n')
    history.close()
    with open(history.path, "a") as file:
        file.write('{"a":')
    assert read(history.path, history.append(one, '{"a":2}\n')) == [{"a": 1}, {"a": 2}]


def test_a_link_is_replaced_and_its_target_stays(history, tmp_path):
    (tmp_path / "mine").write_text("precious")
    history.path.symlink_to("mine")
    history.append(Mark(), '{"a":1}\n')
    assert (tmp_path / "mine").read_text() == "precious" and not history.path.is_symlink()


def test_a_full_disk_leaves_the_history_as_it_was(history, monkeypatch):
    one = history.append(Mark(), '{"a":1}\n')

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left") as error:
        patch.setattr(os, "fsync", full)
        history.append(one, '{"a":2}\n')
    assert error.value.filename == str(history.path)
    assert read(history.path, one) == [{"a": 1}]
    assert read(history.path, history.append(one, '{"a":3}\n')) == [{"a": 1}, {"a": 3}]


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data.replace(b"1", b"7"), lambda data: b""])
def test_damage_is_found_by_every_checkpoint_that_it_concerns(tmp_path, damage):
    with Checkpoints(tmp_path, run=RUN) as checkpoints:
        for step in (2, 3):
            checkpoints.save(step, state(step), {}, history=[{"epoch": step // 3}])
    (tmp_path / NAME).write_bytes(damage((tmp_path / NAME).read_bytes()))
    words = "checkpoint 'FOLDER/step-000000003.safetensors' is damaged: its history, the first 24 bytes of history.jsonl, does not have the checksum that it was saved with; "
    on = damage(b'{"epoch":0}\n{"epoch":1}\n').startswith(b'{"epoch":0}\n')
    check_refused(tmp_path, words + ("delete that one file to go on from step 2, the newest that is whole" if on else
                                     "no other checkpoint there is whole, so start again in a new folder"))
    if on:
        path(tmp_path, 3).unlink()
        assert restore(tmp_path, LIKE).history == [{"epoch": 0}]


def test_lines_that_are_no_objects_are_damage(tmp_path):
    data = b"[1]\n"
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(Damaged, match=r"line 1 must be dict"):
        read(tmp_path / NAME, Mark(len(data), zlib.crc32(data)))
