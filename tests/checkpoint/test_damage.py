"""Any damage is refused in a sentence, or the answer is right; nothing on disk changes."""

import json
import random
import shutil

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from functional_nn.checkpoint import Checkpoints, container, restore
from tests.checkpoint.damaged import LIKE, RUN, path, state
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


STRANGE = [None, True, -1, 2**70, 0.5, float("nan"), "text", "[1]", [], [[]], {}, {"a": 1}, [1, 2, 3, 4, 5]]


def forged(data, rng):
    """A checkpoint with a right checksum and a header in which one value was changed, added or taken away."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    metadata = header["__metadata__"]
    texts = [name for name in metadata if name != "sha256"]
    if rng.random() < 0.1:
        change(metadata, rng)
    else:
        name = rng.choice(texts)
        value = {"": json.loads(metadata[name])}
        change(value, rng)
        metadata[name] = json.dumps(value.get(""))
    begin = {"sha256": "0" * 64} | {name: value for name, value in metadata.items() if name != "sha256"}
    text = json.dumps({"__metadata__": begin, **{k: v for k, v in header.items() if k != "__metadata__"}},
                      separators=(",", ":")).encode()
    whole = len(text).to_bytes(8, "little") + text
    return whole[:container.DIGEST.start] + container._digest(whole) + whole[container.DIGEST.stop:] + data[end:]


def change(value, rng):
    """Change one value somewhere in a dict or list, its top included."""
    places = list(value) if isinstance(value, dict) else list(range(len(value)))
    place = rng.choice(places)
    if isinstance(value[place], dict | list) and value[place] and rng.random() < 0.8:
        change(value[place], rng)
    elif rng.random() < 0.3:
        del value[place]
    elif isinstance(value, dict) and rng.random() < 0.2:
        value["more"] = rng.choice(STRANGE)
    else:
        value[place] = rng.choice(STRANGE)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_a_foreign_header_is_a_sentence_or_the_right_state(folder, seed):
    """Its checksum is right: another program wrote it, or another version."""
    rng, refused = random.Random(seed), 0
    whole = path(folder, 3).read_bytes()
    for _ in range(120):
        path(folder, 3).write_bytes(forged(whole, rng))
        try:
            saved = restore(folder, LIKE)
            assert all(np.asarray(saved.state[name]).tobytes() == np.asarray(state(3)[name]).tobytes() for name in LIKE)
            with Checkpoints(folder, run=RUN) as checkpoints:
                checkpoints.restore(LIKE, best=True)
        except ValueError as error:
            refused += 1
            assert str(folder) in str(error) and "\n" not in str(error)
            said = ("is damaged", "belongs to another run", "must be a state such as", "must have", "functional_nn (format")
            assert any(words in str(error) for words in said)
    assert refused > 60
