"""Nielsen's curves: our first epochs lie on the published ones, and what is missing is said."""

from pathlib import Path

import numpy as np
import pytest

from experiments import nielsen
from experiments.book import replay
from experiments.book.figures import FIGURES
from tests.slow import few

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
MNIST, PUBLISHED = SHARED / "mnist", SHARED / "published"
needs_data = pytest.mark.skipif(not (MNIST.is_dir() and PUBLISHED.is_dir()), reason=(
    "needs the four files of MNIST in ../shared/data/mnist and the book's in ../shared/data/published"))


def config(**options):
    return nielsen.Config(data_dir=str(MNIST), published_dir=str(PUBLISHED), **options)


@pytest.fixture(scope="module")
def images():
    return replay.load(str(MNIST))


@needs_data
def test_two_epochs_of_overfitting_lie_on_the_published_curve(images):
    published = nielsen.read(config(), "overfitting")
    ours = FIGURES["overfitting"].replay(images, 2, 1)
    assert np.abs(ours["training cost"][0] - published["training cost"][:2]).max() < 1e-3
    assert ours["training accuracy"][0, 0] == pytest.approx(69.0)
    assert np.abs(ours["test accuracy"][0] - published["test accuracy"][:2]).max() <= 0.1


@needs_data
@pytest.mark.slow
def test_with_python_3s_shuffle_the_curve_is_another(images, monkeypatch):
    monkeypatch.setattr("experiments.book.draws.shuffle", lambda numbers, items: numbers.shuffle(items))
    published = nielsen.read(config(), "overfitting")
    ours = FIGURES["overfitting"].replay(images, 2, 1)
    assert np.abs(ours["training cost"][0] - published["training cost"][:2]).max() > 1e-2


@needs_data
@pytest.mark.parametrize("layers", [2, pytest.param(3, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)])
def test_errors_vanish_in_95_of_100_seeds_as_in_the_book(images, layers):
    name = f"norms_during_training_{layers}_layers"
    ours, published = FIGURES[name].replay(images, 1, 50), nielsen.read(config(), name)
    [verdict] = nielsen.judged(FIGURES[name], published, ours)
    assert verdict.met, verdict
    assert (np.diff([values[:, 0] for values in ours.values()], axis=0) > 0).all()


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, figure in FIGURES.items() if figure.cheap])
def test_five_epochs_of_every_cheap_figure_meet_its_gates(images, name):
    figure, published = FIGURES[name], nielsen.read(config(), name)
    verdicts = nielsen.judged(figure, published, figure.replay(images, nielsen.QUICK_EPOCHS, 50))
    assert verdicts and all(verdict.met for verdict in verdicts), verdicts


@needs_data
@pytest.mark.parametrize("name", FIGURES)
def test_the_published_files_hold_the_curves_of_the_records(name):
    figure, published = FIGURES[name], nielsen.read(config(), name)
    assert {curve for panel in figure.panels for curve in panel.curves} == set(published)
    assert len({len(values) for values in published.values()}) == 1


@needs_data
@pytest.mark.slow
def test_a_run_writes_its_page_with_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(nielsen, "QUICK_EPOCHS", 1)
    found = nielsen.main(config(only=("overfitting",), quick=True, out=str(tmp_path / "run")))
    assert found["overfitting"]["gates"] == [None]  # it is about five epochs
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Published and ours" in page and "within 0.001 over the first 5 epochs" in page
    assert (tmp_path / "run" / "overfitting.svg").is_file()


def published_like(figure, epochs=6):
    names = [curve for panel in figure.panels for curve in panel.curves]
    count = epochs if figure.x is None else len(figure.x)
    return {name: np.linspace(1, 2, count) * (place + 1) for place, name in enumerate(names)}


@pytest.mark.parametrize("name", few(FIGURES, "multiple_eta", "norms_during_training_4_layers"))
def test_every_word_of_the_pictures_can_be_read(name):
    from tests.plots.readable import unreadable

    figure, published = FIGURES[name], published_like(FIGURES[name])
    ours = {curve: np.stack([values, values * 1.1]) for curve, values in published.items()}
    assert unreadable(nielsen.draw(figure, published, ours)) == []


@pytest.mark.parametrize(("options", "words"), [
    ([], "nielsen needs the four files of MNIST: give their folder with --data-dir FOLDER"),
    (["--data-dir", "x"], "nielsen needs the published curves: give their folder with --published-dir FOLDER"),
    (["--data-dir", "x", "--published-dir", "."], "--published-dir must hold overfitting.json, got '.' without it"),
    (["--only", "overfiting"], "unknown figure 'overfiting'; did you mean 'overfitting'?")])
def test_what_is_missing_or_unknown_is_said(tmp_path, capsys, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    code = nielsen.command_line(nielsen.main, nielsen.Config, [*options, "--out", str(tmp_path / "run")])
    said = capsys.readouterr()
    assert code == 2 and words in said.err and "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["{", "[1, 2]", '{"a": 1}', "7"])
def test_another_file_by_the_name_of_a_figure_is_said(tmp_path, text):
    for name in FIGURES:
        (tmp_path / f"{name}.json").write_text(text)
        if name == "more_data" and text == "[1, 2]":
            continue  # two numbers are a curve
        with pytest.raises(ValueError, match=f"must hold the curves of {name}"):
            nielsen.read(nielsen.Config(published_dir=str(tmp_path)), name)


def test_names_are_given_in_the_order_of_the_record():
    asked = nielsen.Config("a", "b", only=("multiple_eta", "overfitting"))
    assert nielsen.chosen(asked) == ["overfitting", "multiple_eta"]
    assert set(nielsen.chosen(nielsen.Config("a", "b"))) == set(FIGURES)
    assert all(FIGURES[name].cheap for name in nielsen.chosen(nielsen.Config("a", "b", quick=True)))
