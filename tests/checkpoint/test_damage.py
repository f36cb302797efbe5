"""A damaged, foreign or newer checkpoint is a sentence that says how to go on, or the right answer; nothing on disk changes."""

import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from functional_nn.checkpoint import Checkpoints, container, restore

RUN = {"seed": 1}
LIKE = {"w": np.zeros((2, 3), np.float32), "m": jnp.zeros(3, jnp.bfloat16), "t": 0}


def state(step):
    return {"w": np.full((2, 3), step, np.float32), "m": jnp.full(3, step / 8, jnp.bfloat16), "t": step}


@pytest.fixture
def folder(tmp_path):
    with Checkpoints(tmp_path, run=RUN) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, state(step), {"cost": [1 / step]}, score=step)
    return tmp_path


def path(folder, step):
    return folder / f"step-{step:09d}.safetensors"


def image(folder):
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}


def open_and_restore(folder):
    with Checkpoints(folder, run=RUN) as checkpoints:
        checkpoints.restore(LIKE)


def check_refused(folder, words):
    before = image(folder)
    for read in (lambda: restore(folder, LIKE), lambda: open_and_restore(folder)):
        with pytest.raises(ValueError) as error:
            read()
        assert str(error.value) == words.replace("FOLDER", str(folder))
        assert image(folder) == before


GO_ON = "; delete that one file to go on from step 2, the newest that is whole"


@pytest.mark.parametrize(("damage", "reason"), [
    (lambda data: b"", "it does not begin as a checkpoint does, in 0 bytes"),
    (lambda data: data[:60], "it has 60 bytes, and its header alone must have {header:,}"),
    (lambda data: data[:-1], "it has {short:,} bytes and must have {size:,}"),
    (lambda data: data + b"\0", "it has {long:,} bytes and must have {size:,}"),
    (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "the values of state['m'] do not have the checksum that they "
     "were saved with"),
    (lambda data: data.replace(b"[0.333", b"[0.334"), "its header does not have the checksum that it was saved with"),
    (lambda data: b"PK" + data[2:], "it has {size:,} bytes, and its header alone must have {bent:,}"),
])
def test_damage_is_told_with_the_way_on(folder, damage, reason):
    whole = path(folder, 3).read_bytes()
    path(folder, 3).write_bytes(damage(whole))
    header, bent = (8 + int.from_bytes(data[:8], "little") for data in (whole, b"PK" + whole[2:]))
    reason = reason.format(size=len(whole), short=len(whole) - 1, long=len(whole) + 1, header=header, bent=bent)
    check_refused(folder, f"checkpoint 'FOLDER/step-000000003.safetensors' is damaged: {reason}{GO_ON}")
    path(folder, 3).unlink()
    assert restore(folder, LIKE).step == 2


def test_the_way_on_is_the_newest_that_is_whole(folder):
    for step in (2, 3):
        data = bytearray(path(folder, step).read_bytes())
        data[-20] ^= 64
        path(folder, step).write_bytes(data)
    words = ("checkpoint 'FOLDER/step-000000003.safetensors' is damaged: the values of state['w'] do not have the checksum "
             "that they were saved with; ")
    check_refused(folder, words + "delete that one file to go on from step 1, the newest that is whole")
    path(folder, 1).unlink()
    check_refused(folder, words + "no other checkpoint there is whole, so start again in a new folder")


def test_a_checkpoint_under_another_name_is_refused(folder):
    path(folder, 3).rename(path(folder, 7))
    check_refused(folder, "checkpoint 'FOLDER/step-000000007.safetensors' is damaged: it holds step 3, whose name is "
                  f"step-000000003.safetensors{GO_ON}")


def test_safetensors_of_others_are_refused(folder):
    save_file({"w": LIKE["w"]}, path(folder, 3))
    check_refused(folder, "checkpoint 'FOLDER/step-000000003.safetensors' is damaged: it does not begin as a checkpoint does, "
                  f"in {path(folder, 3).stat().st_size} bytes{GO_ON}")


def test_a_newer_format_is_refused(folder, monkeypatch):
    monkeypatch.setattr(container, "FORMAT", 2)
    with Checkpoints(folder, run=RUN) as checkpoints:
        checkpoints.save(4, state(4), {})
    monkeypatch.undo()
    check_refused(folder, "'FOLDER/step-000000004.safetensors' was made by a newer functional_nn (format 2, this one reads 1); "
                  "update functional_nn")


def test_every_bit_is_watched(tmp_path):
    with Checkpoints(tmp_path, run={}) as checkpoints:
        checkpoints.save(1, np.arange(3, dtype=np.int8), {})
    file = path(tmp_path, 1)
    whole = file.read_bytes()
    for bit in range(8 * len(whole)):
        bent = bytearray(whole)
        bent[bit // 8] ^= 1 << bit % 8
        file.write_bytes(bent)
        with pytest.raises(container.Damaged):
            container.read(file)


def damaged(data, rng):
    """`data` cut, changed, or with bytes of its own or foreign ones put in, taken out or put over."""
    at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    if rng.random() < 0.5:
        end = min(len(data), at + rng.randrange(9))
    foreign = rng.choice([rng.randbytes(rng.randrange(40)), bytes(end - at), data[:end - at], b"\xff" * 8, b"[" * 5000])
    return [data[:at], data[at:], data[:at] + data[end:], data[:at] + foreign + data[end:],
            data[:at] + foreign + data[at:]][rng.randrange(5)]


def fuzz(folder, inputs):
    original = shutil.copytree(folder, folder.with_name(f"{folder.name} as it was"))
    outcomes = {"refused": 0, "right": 0}

    @settings(derandomize=True, deadline=None, max_examples=inputs, database=None, phases=[Phase.generate])
    @given(st.randoms(use_true_random=True))
    def run(rng):
        step, best = rng.choice([1, 2, 3]), rng.random() < 0.5
        whole = path(original, step).read_bytes()
        bent = damaged(whole, rng)
        path(folder, step).write_bytes(bent)
        outcomes["right" if is_right(folder, step, bent == whole, best) else "refused"] += 1
        path(folder, step).write_bytes(whole)

    run()
    return outcomes


def is_right(folder, step, untouched, best):
    """Whether what is restored is right; if not, it must have been refused in a sentence, and only where it was damaged."""
    before = image(folder)
    try:
        saved = restore(folder, LIKE, best=best)
    except ValueError as error:
        assert not untouched and str(error).startswith(f"checkpoint '{path(folder, step)}' is damaged: ")
        return False
    finally:
        assert image(folder) == before
    wanted = state(1 if best else 3)
    assert untouched or saved.step != step
    assert all(np.asarray(saved.state[name]).tobytes() == np.asarray(wanted[name]).tobytes() for name in wanted)
    return True


def test_any_damage_is_a_sentence_or_the_right_answer(folder):
    assert fuzz(folder, 100)["refused"] > 80


@pytest.mark.slow
def test_much_damage_is_a_sentence_or_the_right_answer(folder):
    outcomes = fuzz(folder, 2500)
    assert outcomes["refused"] > 2000 and outcomes["right"] > 10
