"""What is sealed is unsealed bit for bit; a changed text is refused unless it says the same."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functional_nn.handover.sealed import FORMAT, MAKER, seal, unseal
from tests.handover.models import AGAIN, check_load_refused, spoil

FOREIGN = ("{m}/manifest.json must be a manifest as handover.save writes it, got JSON that is not "
           "made by functional_nn; name the folder of a saved model")
UNREAD = "{{m}}/manifest.json must be JSON as handover.save writes it, got {} on reading it" + AGAIN
OWN = {"made_by", "format", "sha256"}  # the names that `seal` gives

names = st.text(max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | names
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.dictionaries(names.filter(lambda name: name not in OWN), values, max_size=3))
def test_what_is_sealed_is_unsealed(content):
    """As text, −0.0 differs from 0.0, and 1.0 from 1."""
    found = unseal("file", seal(content))
    assert json.dumps(found) == json.dumps({"made_by": MAKER, "format": FORMAT, **content})


def test_every_bit_is_watched():
    """A text with another bit is refused, or it is another spelling of the same content."""
    data = seal({"mean": [0.1, -5.75], "names": {"a": "oak"}, "task": None})
    content, other_spellings = unseal("file", data), 0
    for bit in range(8 * len(data)):
        bent = bytearray(data)
        bent[bit // 8] ^= 1 << bit % 8
        try:
            assert unseal("file", bytes(bent)) == content
            other_spellings += 1
        except ValueError as error:
            assert str(error).startswith("file ")
    assert other_spellings < 0.02 * 8 * len(data)  # such as a tab for a space


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_json_cannot_hold_is_not_sealed(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        seal({"mean": [1.0, number]})
    text = json.dumps({"made_by": MAKER, "mean": number})  # such as NaN, which is not JSON
    with pytest.raises(ValueError, match=r"^file must be JSON as handover\.save writes it"):
        unseal("file", text.encode())


@pytest.mark.parametrize(("spoil", "kind", "words", "fields"), [
    (spoil("manifest.json", lambda data: data[:-4]), ValueError,
     UNREAD.format("JSONDecodeError"), {}),
    (spoil("manifest.json", lambda data: b"[" * 10**5), ValueError,
     UNREAD.format("RecursionError"), {}),
    (spoil("manifest.json", lambda data: b"\xff" + data), ValueError,
     UNREAD.format("UnicodeDecodeError"), {}),
    (spoil("manifest.json", lambda data: b'{"name": "left-pad"}'), ValueError, FOREIGN, {}),
    (spoil("manifest.json", lambda data: b"[1, 2]"), ValueError, FOREIGN, {}),
    (spoil("manifest.json", lambda data: data.replace(b'"format": 1', b'"format": 2')), ValueError,
     "{m}/manifest.json was made by a newer functional_nn (format 2, this one reads 1); "
     "update functional_nn", {}),
    (spoil("manifest.json", lambda data: data.replace(b'"tanh"', b'"relu"')), ValueError,
     "{m}/manifest.json must be as it was saved, got one whose sha256 does not fit its contents"
     + AGAIN, {}),
])
def test_load_says_what_is_wrong(spoil, kind, words, fields, tmp_path):
    check_load_refused(tmp_path, spoil, kind, words, fields)
