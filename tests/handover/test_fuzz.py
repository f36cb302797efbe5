"""Damaged, changed and random files: the model that was saved, or an error in one sentence; never anything else."""

import json
import shutil
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import functional_nn as fnn
from functional_nn import handover
from functional_nn.data.columns import Encoder
from functional_nn.data.standardize import Standardizer
from functional_nn.handover import folder as reading
from functional_nn.handover import manifest, parameters, sealed
from functional_nn.handover.model import rowless
from functional_nn.layers import dense, layer_norm, residual

FAST, SLOW = 100, 2500
FILES = ("manifest.json", "model.safetensors")
NET = fnn.sequential(3, dense(2, "relu"), residual(layer_norm()), dense(2, "softmax"))
RNG = np.random.default_rng(0)
ONES = np.ones(2, np.float32)
PARAMS = ({"w": RNG.normal(size=(2, 3)).astype(np.float32), "b": ONES}, ({"gain": ONES, "bias": -ONES},),
          {"w": RNG.normal(size=(2, 2)).astype(np.float32), "b": ONES})
ENCODER = Encoder(("height", "kind"), {"kind": ("elm", "oak")})
DATA = rowless("trees.csv", ENCODER.feature_names, ("no", "yes"), encoder=ENCODER, decided="classes",
               standardizer=Standardizer(np.array([1 / 3, 0.5, 0.5]), np.array([2 / 3, 1.0, 0.25])))
ROWS = [{"height": "1.5", "kind": "oak"}, {"height": "-2", "kind": "elm"}]
TOKENS = [b'"', b"[", b"{", b"}", b",", b"\0", b"nan", b"NaN", b"1e999", b"-", b"\xff", b" ", b"null", b"9" * 5000, b"\n",
          b"\\u", b"[" * 3000, b'"format": 2']
place, some = st.integers(0, 2**16), st.binary(min_size=1, max_size=4) | st.sampled_from(TOKENS)
ways = st.sampled_from(["cut", "put", "over", "drop", "double", "flip"])
changes = st.lists(st.tuples(ways, place, some, st.integers(1, 64)), min_size=1, max_size=3)


def changed(data, changes):
    for how, at, new, length in changes:
        at %= len(data) + 1
        data = {"cut": data[:at], "put": data[:at] + new + data[at:], "over": data[:at] + new + data[at + len(new):],
                "drop": data[:at] + data[at + length:], "double": data[:at + length] + data[at:],
                "flip": data[:at] + bytes(byte ^ 1 << length % 8 for byte in data[at:at + 1]) + data[at + 1:]}[how]
    return data


def paths(value, path=()):
    """Every place in JSON."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, entry in entries:
        yield from paths(entry, (*path, step))


ODD = st.sampled_from([None, True, -1, 0, 2, 10**9, 10**40, 1.5, 1e308, "", "relu", "softmax", "dense", "residual", "0", [],
                       [1], {}, {"name": "relu"}, [[]], "delete"])


def resealed(data, which, value):
    """The manifest with another value at some place and a checksum that fits: what no accident makes."""
    content = {name: entry for name, entry in json.loads(data).items() if name not in ("sha256", "made_by", "format")}
    places = [path for path in paths(content) if path]
    *start, last = places[which % len(places)]
    at = content
    for step in start:
        at = at[step]
    if value == "delete":
        del at[last]
    else:
        at[last] = value
    return sealed.seal(content)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return handover.save(tmp_path_factory.mktemp("saved") / "m", NET, PARAMS, "cross_entropy", DATA)


def inputs(saved):
    """(file, bytes): changed, cut, or of no meaning; or the whole manifest changed with a new seal."""
    name = st.sampled_from(FILES)
    damaged = name.flatmap(lambda name: st.tuples(st.just(name), changes.map(
        lambda list: changed((saved / name).read_bytes(), list))))
    odd = st.tuples(name, st.binary(max_size=200))
    again = st.tuples(st.just(FILES[0]), st.builds(
        lambda which, value: resealed((saved / FILES[0]).read_bytes(), which, value), place, ODD))
    spaced = st.tuples(st.just(FILES[0]), st.integers(0, 9).map(
        lambda n: json.dumps(json.loads((saved / FILES[0]).read_bytes()), indent=n).encode()))
    return st.one_of(damaged, damaged, odd, again, spaced)


def is_a_sentence(error):
    text = str(error)
    assert "\n" not in text and 20 < len(text) < 900, text
    assert any(word in text for word in ("must", "was made by a newer")) and any(
        word in text for word in ("copy", "take both", "update", "name the", "pass", "smaller")), text


def everything(model):
    """All that a model says of itself, but not what it answers."""
    content = manifest.describe(model, b"")
    content.pop("parameters")
    return json.dumps(content)


def check(folder, name, data, whole):
    """The one law; returns whether the folder was loaded."""
    original = (folder / name).read_bytes()
    (folder / name).write_bytes(data)
    try:
        model = handover.load(folder)
    except (ValueError, FileNotFoundError) as error:
        is_a_sentence(error)
        return False
    finally:
        (folder / name).write_bytes(original)
    if name == FILES[0] and json.loads(data)["sha256"] != json.loads(original)["sha256"]:
        return answers(model)  # it was sealed again
    assert everything(model) == everything(whole)
    for one, other in zip(*(parameters.flat(each.params).values() for each in (model, whole)), strict=True):
        assert one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return True


def answers(model):
    """What was sealed on purpose is believed, but gives numbers and names or says why not."""
    try:
        assert model.predict(ROWS).shape[:1] == (2,)
    except (ValueError, TypeError) as error:
        assert "must" in str(error) and "\n" not in str(error)
    return True


def fuzz(saved, folder, examples, whole):
    """(accepted, refused) of so many inputs."""
    counts, copy = {True: 0, False: 0}, folder / "m"
    shutil.copytree(saved, copy)

    @settings(derandomize=True, deadline=timedelta(seconds=10), max_examples=examples, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(inputs(saved))
    def run(file):
        counts[check(copy, *file, whole)] += 1

    run()
    assert sorted(path.name for path in copy.iterdir()) == list(FILES)  # nothing else was written
    return counts[True], counts[False]


def test_the_whole_folder_is_read(saved):
    model = handover.load(saved)
    assert model.predict(ROWS).shape == (2,) and model.data.encoder == ENCODER


def test_the_reader_is_right_or_says_why_not(saved, tmp_path):
    accepted, refused = fuzz(saved, tmp_path, FAST, handover.load(saved))
    assert accepted + refused >= 0.9 * FAST and accepted and refused


@pytest.mark.slow
def test_the_reader_is_right_or_says_why_not_at_length(saved, tmp_path):
    accepted, refused = fuzz(saved, tmp_path, SLOW, handover.load(saved))
    print(f"{accepted} accepted, {refused} refused")
    assert accepted + refused >= 2000 and accepted > 100 and refused > 1000


def passes(file, data):
    content = json.loads(data)
    content.pop("sha256", None)
    return content


class Blind(str):
    """A checksum that differs from none."""

    __hash__, __ne__ = str.__hash__, lambda self, other: False


def forgets(file, name, found, shape):
    return np.ones(shape, np.float32)


def shrugs(file, data):
    raise ValueError("Error")


@pytest.mark.parametrize(("room", "name", "fault"), [
    (sealed, "unseal", passes),
    (sealed, "unseal", shrugs),
    (reading, "hashlib", SimpleNamespace(sha256=lambda data: SimpleNamespace(hexdigest=Blind))),
    (parameters, "_array", forgets),
    (manifest, "Standardizer", lambda mean, deviation: Standardizer(deviation, mean)),
])
def test_a_planted_fault_is_found(room, name, fault, saved, tmp_path, monkeypatch):
    whole = handover.load(saved)
    monkeypatch.setattr(room, name, fault)
    with pytest.raises(Exception):  # noqa: B017 - whatever the fault makes of it
        fuzz(saved, tmp_path, 1000, whole)
