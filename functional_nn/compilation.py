"""Compiled programs kept between processes, in JAX's persistent compilation cache."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from functional_nn.console import print

__all__ = ["kept"]

SETTINGS = {"jax_persistent_cache_min_compile_time_secs": 0.0,  # the many small programs too
            "jax_persistent_cache_min_entry_size_bytes": -1}


@contextlib.contextmanager
def kept(folder: str | os.PathLike | None = None) -> Iterator[None]:
    """A context in which compiled programs are kept in a folder, and read from there.

    The first process that runs something compiles it, and the next one reads it. The command line
    and the experiments run in this context.

    Args:
      folder: where to keep them; None takes `functional_nn/compiled` in the user's cache folder,
        and says so on standard error when it is made.

    Where JAX has a folder already, as by the environment variable JAX_COMPILATION_CACHE_DIR, that
    one is used. A folder that cannot be made is done without. JAX's configuration is as before
    after the context.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, kept(folder):
    ...     print(jax.config.jax_compilation_cache_dir in (folder, os.environ.get(
    ...         "JAX_COMPILATION_CACHE_DIR")))
    True
    """
    if jax.config.jax_compilation_cache_dir is not None or not (own := _made(folder)):
        yield
        return
    settings = {"jax_compilation_cache_dir": str(own)} | SETTINGS
    before = {name: getattr(jax.config, name) for name in settings}
    try:
        _set(settings)
        yield
    finally:
        _set(before)


def _made(folder: str | os.PathLike | None) -> Path | None:
    """The folder, after it is made; None if it cannot be."""
    try:
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
            return Path(folder)
        import pooch  # here, as only a call without a folder needs it

        own = Path(pooch.os_cache("functional_nn")) / "compiled"
        if not own.is_dir():
            own.mkdir(parents=True)
            print(f"compiled programs are kept in {own}, so that the next start is faster",
                  file=sys.stderr)
        return own
    except (OSError, ModuleNotFoundError):  # nothing can be written, or pooch is not installed
        return None


def _set(settings: dict) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
