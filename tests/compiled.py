"""What is compiled while something runs."""

import contextlib
import logging
from collections.abc import Iterator

import jax


class _Names(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        if said.startswith("Compiling "):
            self.names.append(said.split()[1])


@contextlib.contextmanager
def compilations() -> Iterator[list[str]]:
    """The names of the programs that are compiled, or read from the cache of compiled programs."""
    logger, handler = logging.getLogger("jax"), _Names()
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        with jax.log_compiles():
            yield handler.names
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
