"""Which cases of a test belong to `make test`; the others are for `make test-slow`."""

from collections.abc import Iterable

import pytest


def few(cases: Iterable, *kept) -> list:
    """The cases of a parametrized test, marked slow but for those at the places `kept`, or of those names."""
    found = []
    for place, case in enumerate(cases):
        values = case if isinstance(case, tuple) else (case,)
        known = place in kept or (isinstance(case, str) and case in kept)
        found.append(pytest.param(*values, marks=() if known else pytest.mark.slow))
    return found
