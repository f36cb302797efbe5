"""JSON that people can read, sealed with a checksum of itself: what was changed by accident is refused.

Numbers are written so that they are read back to the bit.

>>> text = seal({"mean": [0.1, 5.8], "class_names": ["elm", "oak"]})
>>> print(text.decode(), end="")
{
  "made_by": "functional_nn",
  "format": 1,
  "mean": [0.1, 5.8],
  "class_names": ["elm", "oak"],
  "sha256": "6ac8..."
}
>>> unseal("manifest.json", text)["mean"]
[0.1, 5.8]
>>> unseal("manifest.json", text.replace(b"5.8", b"5.9"))
Traceback (most recent call last):
    ...
ValueError: manifest.json must be as it was saved, got one whose sha256 does not fit its contents; copy it again, ...
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

FORMAT = 1
MAKER = "functional_nn"
AGAIN = "copy it again, or save the model again"


def seal(content: Mapping[str, Any]) -> bytes:
    """`content` as the bytes of a manifest; it may hold what JSON can, numbers finite."""
    content = json.loads(json.dumps({"made_by": MAKER, "format": FORMAT, **content}, allow_nan=False))
    text = _lines(content | {"sha256": _checksum(content)}) + "\n"
    return text.encode("utf-8", "backslashreplace")  # a lone surrogate of a file's name becomes \udcff, as JSON has it


def unseal(file: str, data: bytes) -> dict[str, Any]:
    """What was sealed; a ValueError in a sentence for bytes that are no manifest, a newer one, or a damaged one."""
    try:
        content = json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} must be JSON as handover.save writes it, got {type(error).__name__} on reading it; "
                         f"{AGAIN}") from error
    if not isinstance(content, dict) or content.get("made_by") != MAKER:
        raise ValueError(f"{file} must be a manifest as handover.save writes it, got JSON that is not made by {MAKER}; name "
                         "the folder of a saved model")
    form = content.get("format")
    if type(form) is int and form > FORMAT:
        raise ValueError(f"{file} was made by a newer {MAKER} (format {form}, this one reads {FORMAT}); update {MAKER}")
    if form != FORMAT or content.pop("sha256", None) != _checksum(content):
        raise ValueError(f"{file} must be as it was saved, got one whose sha256 does not fit its contents; {AGAIN}")
    return content


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _refuse(constant: str):
    raise ValueError(f"{constant} is no number")


def _lines(value: Any, indent: str = "") -> str:
    """JSON with a line for every entry of a mapping and every mapping in a list; lists of numbers and names take one line."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        entries = [f"{json.dumps(key, ensure_ascii=False)}: {_lines(entry, inner)}" for key, entry in value.items()]
        return "{\n" + ",\n".join(inner + entry for entry in entries) + "\n" + indent + "}"
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        return "[\n" + ",\n".join(inner + json.dumps(entry, ensure_ascii=False) for entry in value) + "\n" + indent + "]"
    return json.dumps(value, ensure_ascii=False)
