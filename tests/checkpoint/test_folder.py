"""The latest and the best are kept; a folder has one run, one writer, and no files of others."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.checkpoint import Checkpoints, restore
from tests.checkpoint.damaged import GO_ON, check_refused, path
from tests.checkpoint.runs import RUN, STATE, fill, image, refused


@settings(derandomize=True, deadline=None, max_examples=25)
@given(st.lists(st.sampled_from([None, 0.25, 0.5, 1.0, float("nan"), float("inf")]), min_size=1,
                max_size=7),
       st.integers(1, 4), st.booleans(), st.integers(0, 7))
def test_the_last_and_the_best_are_kept(tmp_path_factory, scores, keep_last, keep_best, reopened):
    folder = tmp_path_factory.mktemp("kept")
    options = {"run": RUN, "keep_last": keep_last, "keep_best": keep_best}
    for part in (range(reopened), range(reopened, len(scores))):
        with Checkpoints(folder, **options) as checkpoints:
            for step in [step for step in part if step < len(scores)]:
                checkpoints.save(step, step, {}, scores[step])
                assert checkpoints.steps[-1] == step
    rated = [step for step, score in enumerate(scores) if score is not None and score == score]
    best = min(rated, key=lambda step: scores[step], default=None)
    kept = set(range(len(scores))[-keep_last:])
    kept |= {best} if keep_best and best is not None else set()
    assert sorted(path.name for path in folder.iterdir()) == [
        f"step-{step:09d}.safetensors" for step in sorted(kept)]
    with Checkpoints(folder, run=RUN) as checkpoints:
        assert checkpoints.steps == sorted(kept) and checkpoints.restore(0).state == max(kept)
        if keep_best:
            found = checkpoints.restore(0, best=True)
            assert (None if found is None else found.state) == best


@pytest.mark.parametrize(("run", "words"), [
    ({**RUN, "batch_size": 64}, "run['batch_size'] is 32 there, got 64; "
     "name a new folder, or give run['batch_size'] as it is there"),
    ({**RUN, "batch_size": 32.0}, "run['batch_size'] is 32 there, got 32.0; "
     "name a new folder, or give run['batch_size'] as it is there"),
    ({**RUN, "seed": {"a": 1}}, "run['seed'] is nothing there, got {'a': 1}; "
     "name a new folder, or give run['seed'] as it is there"),
    ({}, "run['network'] is 'mlp(4, 3)' there, got nothing; "
     "name a new folder, or give run['network'] as it is there"),
])
def test_a_folder_of_another_run_is_refused(tmp_path, run, words):
    with refused(fill(tmp_path), f"'FOLDER' belongs to another run: {words}"):
        Checkpoints(tmp_path, run=run)
    with Checkpoints(tmp_path, run=dict(reversed(RUN.items()))) as checkpoints:
        assert checkpoints.steps == [100, 200, 300]


@pytest.mark.parametrize("name", [".DS_Store", "step-000000300 (1).safetensors", ".nfs0001", "step-000000400.safetensors/"])
def test_files_of_strangers_are_said_and_left_alone(tmp_path, name):
    """A file of the system, of a synchroniser, of NFS; and a folder with the name of a checkpoint."""
    place = fill(tmp_path) / name
    place.mkdir() if name.endswith("/") else place.write_text("theirs")
    for step in (500, 600):
        with pytest.warns(UserWarning, match="which is no checkpoint and is left alone") as said, \
                Checkpoints(tmp_path, run=RUN, keep_last=1) as checkpoints:
            assert checkpoints.restore(STATE).step in (300, 500)
            checkpoints.save(step, STATE, {})
        assert len(said) == 1 and repr(place.name) in str(said[0].message)
    assert place.is_dir() if name.endswith("/") else place.read_text() == "theirs"
    assert restore(tmp_path, STATE).step == 600  # who only reads does not mind


def test_the_path_must_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with refused(tmp_path,
                 "the path must be a folder, got the file 'FOLDER/file'; name a new folder"):
        Checkpoints(tmp_path / "file", run=RUN)


def test_a_checkpoint_of_another_run_among_them_is_refused(tmp_path):
    """It would have been the best one."""
    with Checkpoints(tmp_path / "other", run={"seed": 2}) as checkpoints:
        checkpoints.save(150, STATE, {}, score=-1)
    [strange] = (tmp_path / "other").glob("step-*")
    strange.rename(fill(tmp_path / "own") / strange.name)
    for read in (lambda: restore(tmp_path / "own", STATE, best=True), lambda: Checkpoints(tmp_path / "own", run=RUN)):
        with refused(tmp_path / "own", "'FOLDER' belongs to another run: run['seed'] is 2 there, got nothing; "
                     "name a new folder, or give run['seed'] as it is there"):
            read()


def test_checkpoints_that_a_killed_run_did_not_delete_go(tmp_path):
    fill(tmp_path, steps=(100, 200, 300, 400, 500), keep_last=9)
    with Checkpoints(tmp_path, run=RUN, keep_last=2) as checkpoints:
        assert checkpoints.steps == [200, 400, 500]  # the last and the best


def test_what_a_killed_save_left_goes_when_all_else_is_right(tmp_path):
    left = fill(tmp_path) / ".step-000000400.safetensors.12ab.partial"
    left.write_bytes(b"half")
    assert restore(tmp_path, STATE).step == 300 and left.exists()
    with pytest.raises(ValueError, match="belongs to another run"):
        Checkpoints(tmp_path, run={})
    assert left.exists()
    with Checkpoints(tmp_path, run=RUN):
        assert not left.exists() and len(image(tmp_path)) == 3


def test_one_writer_at_a_time(tmp_path):
    with Checkpoints(fill(tmp_path), run=RUN):
        with refused(tmp_path, "'FOLDER' must have one writer at a time, got a second one; "
                     "close the first, or name another folder"):
            Checkpoints(tmp_path, run=RUN)
        assert restore(tmp_path, STATE).step == 300
    with Checkpoints(tmp_path, run=RUN):
        pass


def test_the_way_on_is_the_newest_that_is_whole(folder):
    for step in (2, 3):
        data = bytearray(path(folder, step).read_bytes())
        data[-20] ^= 64
        path(folder, step).write_bytes(data)
    words = ("checkpoint 'FOLDER/step-000000003.safetensors' is damaged: the values of state['w'] "
             "do not have the checksum that they were saved with; ")
    check_refused(
        folder, words + "delete that one file to go on from step 1, the newest that is whole")
    path(folder, 1).unlink()
    check_refused(
        folder, words + "no other checkpoint there is whole, so start again in a new folder")


def test_a_checkpoint_under_another_name_is_refused(folder):
    path(folder, 3).rename(path(folder, 7))
    check_refused(folder, "checkpoint 'FOLDER/step-000000007.safetensors' is damaged: it holds "
                  f"step 3, whose name is step-000000003.safetensors{GO_ON}")
