"""`document`: a body, a style and scripts as one HTML file that loads nothing else."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from functional_nn.writing import printable

__all__ = ["document", "is_one", "source"]

HOME = Path(__file__).parent
MARK = '<meta name="generator" content="functional_nn {}">'
HEAD = 2000  # characters of a page, in which its mark stands


def document(
    kind: str, title: str, body: str, *, style: str = "", scripts: Sequence[str] = (),
    content: Mapping[str, Any] | None = None
) -> str:
    """A whole page as HTML.

    Args:
      kind: what the page is, a word that `is_one` knows it by.
      title: the title of the window; it is escaped.
      body: the HTML of the body.
      style: the style that only this kind of page has.
      scripts: the texts of its scripts; without any, the page may run none.
      content: id of a `<script>` element -> what it holds for the scripts: a text in base 64 as it
        is, and anything else as JSON.

    >>> page = document("report", "a < b", "<h1>a &lt; b</h1>", content={"points": ["</script>"]})
    >>> "<title>a &lt; b</title>" in page, "</script>" in page.split("points")[1][:50]
    (True, True)
    >>> is_one(page, "report"), is_one(page, "replay")
    (True, False)
    """
    script = "\n".join(scripts)
    filled = {
        "mark": MARK.format(kind), "title": html.escape(printable(title)), "body": body,
        "policy": "script-src 'unsafe-inline'; " if scripts else "",
        "style": f"{source(HOME / 'shell.css')}\n{style}", "content": "\n".join(
            _element(name, value) for name, value in (content or {}).items()),
        "script": f"<script>\n{script}\n</script>" if scripts else ""}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: filled[found[1]], source(HOME / "shell.html"))


def is_one(text: str, kind: str) -> bool:
    """Whether a text is a page of that kind."""
    return MARK.format(kind) in text[:HEAD]


def source(path: Path) -> str:
    """The text of a file that goes into a page."""
    return path.read_text(encoding="utf-8").rstrip("\n")


def _element(name: str, value: Any) -> str:
    packed = isinstance(value, str)
    written = value if packed else json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
    return (f'<script type="application/{"octet-stream" if packed else "json"}" id="{name}">'
            f"{written}</script>")
