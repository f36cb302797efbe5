"""Any damage is refused in a sentence, or the answer is right; nothing on disk changes."""

import shutil

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from functional_nn.checkpoint import restore
from tests.checkpoint.damaged import LIKE, path, state
from tests.checkpoint.runs import image


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
