"""Readable JSON that holds a checksum of its own contents, so that accidental changes are noticed.

Numbers are written with enough digits to be read back bit for bit.

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
ValueError: manifest.json must be as it was saved, got one whose sha256 does not fit its ...
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

FORMAT = 1
MAKER = "functional_nn"
AGAIN = "copy it again, or save the model again"


def seal(content: Mapping[str, Any]) -> bytes:
    """The bytes of a manifest: `content` as JSON, with the maker, the format and a checksum.

    Args:
      content: JSON values by name.

    Raises a ValueError if a number is NaN or infinite, a TypeError if JSON cannot hold a value.
    """
    content = json.loads(
        json.dumps({"made_by": MAKER, "format": FORMAT, **content}, allow_nan=False))
    text = _lines(content | {"sha256": _checksum(content)}) + "\n"
    # A lone surrogate, from the name of a file, is written as \udcff, which JSON reads
    return text.encode("utf-8", "backslashreplace")


def unseal(file: str, data: bytes) -> dict[str, Any]:
    """The content of a manifest, the argument of `seal`, with the maker and the format.

    Args:
      file: the path of the manifest, for error messages.
      data: its bytes.

    Raises a ValueError if the bytes are not a manifest, if it has a newer format, or if it was
    changed after `seal`.
    """
    try:
        content = json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} must be JSON as handover.save writes it, got "
                         f"{type(error).__name__} on reading it; {AGAIN}") from error
    if not isinstance(content, dict) or content.get("made_by") != MAKER:
        raise ValueError(f"{file} must be a manifest as handover.save writes it, got JSON that is "
                         f"not made by {MAKER}; name the folder of a saved model")
    form = content.get("format")
    if type(form) is int and form > FORMAT:
        raise ValueError(f"{file} was made by a newer {MAKER} (format {form}, this one reads "
                         f"{FORMAT}); update {MAKER}")
    if form != FORMAT or content.pop("sha256", None) != _checksum(content):
        raise ValueError(f"{file} must be as it was saved, got one whose sha256 does not fit its "
                         f"contents; {AGAIN}")
    return content


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _refuse(constant: str):
    raise ValueError(f"{constant} is no number")


def _lines(value: Any, indent: str = "") -> str:
    """`value` as JSON text, with line breaks for readers.

    Every entry of a mapping and every mapping in a list has its own line. A list of numbers or
    names takes one line.
    """
    inner = indent + "  "
    if isinstance(value, dict) and value:
        entries = [f"{json.dumps(key, ensure_ascii=False)}: {_lines(entry, inner)}"
                   for key, entry in value.items()]
        return "{\n" + ",\n".join(inner + entry for entry in entries) + "\n" + indent + "}"
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        return ("[\n"
                + ",\n".join(inner + json.dumps(entry, ensure_ascii=False) for entry in value)
                + "\n" + indent + "]")
    return json.dumps(value, ensure_ascii=False)
