"""Where a step is, and whether a mistake makes sense there."""

from typing import Any

Where = tuple[str, int | None]
LEAVES, DELTAS = ("weight", "bias"), ("head", "pullback")


class Inapplicable(Exception):
    """A mistake makes no sense in this step."""


class Silent(Exception):
    """A mistake says nothing of this step: its numbers are of other examples."""


def only_if(condition: Any) -> None:
    """Raise Inapplicable unless the condition holds."""
    if not condition:
        raise Inapplicable
