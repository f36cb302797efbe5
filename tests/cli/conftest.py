"""Fixtures: a run of classes, a run of a regression, one folder for all compiled programs, one picture for all."""

import contextlib
import shutil

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from functional_nn import cli, plots
from tests.cli.runs import LINE, TREES, write_data


@contextlib.contextmanager
def sharing(folder):
    """A context in which compiled programs are kept in the folder and read from it."""
    settings = {"jax_compilation_cache_dir": str(folder),
                "jax_persistent_cache_min_compile_time_secs": 0.0,
                "jax_persistent_cache_min_entry_size_bytes": -1}
    before = {name: getattr(jax.config, name) for name in settings}
    try:
        _set(settings)
        yield
    finally:
        _set(before)


def _set(settings):
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """The folder of this run of the tests, which all its processes share, or one that goes with them."""
    return jax.config.jax_compilation_cache_dir or tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def compiled_once(compiled):
    with sharing(compiled):
        yield


@pytest.fixture(scope="module")
def drawn_once():
    """One picture in place of every picture of a run, each of which takes half a second to draw."""
    blank = plots.png(plots.panels(1)[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "png", lambda figure: blank)
        yield


@pytest.fixture(scope="session")
def home(tmp_path_factory, compiled):
    """A folder with trees.csv, line.csv and a run of each, `trees` and `line`."""
    folder = tmp_path_factory.mktemp("home")
    write_data(folder)
    trees = (*TREES, "--epochs", "6", "--patience", "3", "--every", "2", "--out", "trees")
    line = (*LINE, "--epochs", "40", "--schedule", "constant", "--out", "line")
    with contextlib.chdir(folder), sharing(compiled):
        assert cli.main(trees) == 0
        assert cli.main(line) == 0
    return folder


@pytest.fixture
def work(home, tmp_path, monkeypatch):
    """A copy of `home`, which is the current folder during the test."""
    shutil.copytree(home, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def trees(work):
    """The run of classes."""
    return work / "trees"


@pytest.fixture
def line(work):
    """The run of a regression."""
    return work / "line"


@pytest.fixture
def verify(tmp_path, capsys):
    """A function that checks a file of this text and returns (exit code, stdout, stderr)."""
    def run(text, *options, name="mine.py"):
        (tmp_path / name).write_text(text)
        code = cli.main(["verify", str(tmp_path / name), *options])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run
