"""Compiled programs are kept in a folder and read from there, and JAX's settings are left as they were."""

import contextlib

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

from functional_nn.compilation import SETTINGS, kept

NAMES = ["jax_compilation_cache_dir", *SETTINGS]


@contextlib.contextmanager
def without_folder():
    """A context in which JAX keeps nothing, whatever the tests run with."""
    before = jax.config.jax_compilation_cache_dir
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        compilation_cache.reset_cache()
        yield
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
        compilation_cache.reset_cache()


def settings():
    return [getattr(jax.config, name) for name in NAMES]


def run():
    """Compile and run a small program anew; whether it was read from the folder."""
    hits = []
    jax.monitoring.register_event_listener(hits.append)
    jax.jit(lambda x: jnp.tanh(x) * 3.25)(jnp.ones(3)).block_until_ready()
    return "/jax/compilation_cache/cache_hits" in hits


def test_the_second_time_a_program_is_read_from_the_folder(tmp_path):
    with without_folder():
        before = settings()
        for again in (False, True):
            with kept(tmp_path / "compiled"):
                assert run() == again
            assert settings() == before
    assert any((tmp_path / "compiled").iterdir())


def test_the_settings_are_restored_after_an_error(tmp_path):
    with without_folder():
        before = settings()
        with pytest.raises(RuntimeError), kept(tmp_path):
            raise RuntimeError
        assert settings() == before


def test_the_users_own_folder_is_left_alone(tmp_path):
    with without_folder(), kept(tmp_path / "own"):
        before = settings()
        with kept(tmp_path / "other"):
            assert settings() == before
        assert settings() == before and not (tmp_path / "other").exists()


def test_the_folder_in_the_cache_is_said_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with without_folder():
        for _ in range(2):
            with kept():
                assert jax.config.jax_compilation_cache_dir == str(tmp_path / "functional_nn" / "compiled")
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("compiled programs are kept in") == 1


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path):
    (tmp_path / "file").write_text("")
    with without_folder():
        before = settings()
        with kept(tmp_path / "file" / "compiled"):
            assert settings() == before
