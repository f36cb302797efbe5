"""The whole laboratory: what ran stays, what failed is said and hides nothing, and wrong names are answered."""

import json
import re
import sys
import types
from dataclasses import dataclass

import pytest

from experiments import all as laboratory
from functional_nn import plots


@dataclass(frozen=True)
class Config:
    quick: bool = False
    out: str | None = None


@dataclass(frozen=True)
class OfImages(Config):
    data_dir: str | None = None


def experiment(name, does):
    """A module with an experiment that calls `does` and then writes its picture and page."""
    module = types.ModuleType(f"experiments.{name}", f"Does {name} work?\n\nIt is tried.")

    def main(config):
        does()
        folder = laboratory.Path(config.out)
        folder.mkdir()
        plots.save(plots.panels(1)[0], folder / "picture.png")
        (folder / "report.html").write_text("page")
        return {"finding": f"{name} works.", "pictures": ["picture.png"]}

    module.Config, module.main = OfImages if name == "mnist" else Config, main
    return module


def nothing():
    pass


def breaks():
    raise KeyError("broken")


def stops():
    raise KeyboardInterrupt


@pytest.fixture
def tried(monkeypatch, tmp_path):
    """Run the laboratory with these experiments; returns its folder and exit code."""
    def run(does, **options):
        monkeypatch.setattr(laboratory, "EXPERIMENTS", tuple(does))
        monkeypatch.setattr(laboratory, "CHAPTERS", {"All": tuple(does)})
        for name, what in does.items():
            monkeypatch.setitem(sys.modules, f"experiments.{name}", experiment(name, what))
        try:
            laboratory.main(laboratory.Config(out=str(tmp_path / "lab"), **options))
        except SystemExit as leave:
            return tmp_path / "lab", leave.code
        return tmp_path / "lab", 0

    return run


def test_the_index_links_what_ran_with_its_finding_and_picture(tried, capsys):
    folder, code = tried({"one": nothing, "two": nothing, "mnist": nothing})
    html = (folder / "index.html").read_text()
    assert code == 0 and re.findall(r'href="(\w+/report.html)"', html) == ["one/report.html", "two/report.html"]
    assert "one works." in html and html.count("data:image/png") == 2 and "mnist" in html
    assert all((folder / link).is_file() for link in re.findall(r'href="(\w+/report.html)"', html))
    assert "mnist was left out: it needs --data-dir" in capsys.readouterr().out


def test_one_that_fails_is_said_and_hides_no_other(tried, capsys):
    folder, code = tried({"one": breaks, "two": nothing})
    said = capsys.readouterr()
    assert code == 1 and "1 of 2 experiments ran; failed: one" in said.out and "Traceback" in said.err
    html = (folder / "index.html").read_text()
    assert "two works." in html and "failed with KeyError" in html
    assert json.loads((folder / "index.json").read_text())["one"]["error"]


def test_after_ctrl_c_what_is_finished_stays(tried, capsys):
    folder, code = tried({"one": nothing, "two": stops, "three": nothing})
    assert code == 130 and "go on with --only two three" in capsys.readouterr().err
    html = (folder / "index.html").read_text()
    assert "one works." in html and "two, three" in html and not (folder / "two").exists()


def test_after_ctrl_c_while_the_index_is_written_it_is_written_again(tried, capsys, monkeypatch):
    writes = iter([stops])
    write = laboratory.write_index
    monkeypatch.setattr(laboratory, "write_index", lambda *of: next(writes, lambda: write(*of))())
    folder, code = tried({"one": nothing, "two": nothing})
    assert code == 130 and "go on with --only two" in capsys.readouterr().err
    assert "one works." in (folder / "index.html").read_text()


@pytest.mark.parametrize(("arguments", "words"), [
    (["--only", "nueron"], "unknown experiment 'nueron'; did you mean 'neuron'?"),
    (["--only", "mnist"], "mnist needs --data-dir, a folder with the four files of MNIST; give what"),
    (["--only", "nielsen", "--data-dir", "."], "nielsen needs --published-dir, a folder with the published curves"),
    (["--data-dir", "none"], "data_dir must be a folder with the four files of MNIST, got 'none', where there is no folder"),
    (["--onyl", "xor"], "--only"),
])
def test_a_mistake_on_the_command_line_is_a_sentence(arguments, words, tmp_path, capsys):
    code = laboratory.command_line(laboratory.main, laboratory.Config, [*arguments, "--out", str(tmp_path / "lab")])
    said = " ".join(capsys.readouterr().err.split())
    assert code == 2 and words in said and "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_small_pictures_are_small(tmp_path):
    path = plots.save(plots.panels(6)[0], tmp_path / "picture.png")
    assert len(laboratory.small(path)) < 60_000
