"""docs/laboratory.md: every system of the notes has an experiment, a test and a picture, and all of them exist."""

import re
from pathlib import Path

import pytest

from experiments import all as laboratory

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "laboratory.md").read_text()
ROWS = {row[0]: row for row in (
    [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if re.match(r"\| N\d+ \|", line))}


def source(name):
    return (ROOT / "experiments" / f"{name}.py").read_text()


def test_every_system_of_the_notes_has_a_row():
    named = re.findall(r"^\| (N\d+) \|", (ROOT / "docs" / "notes.md").read_text(), re.MULTILINE)
    assert list(ROWS) == named == [f"N{i}" for i in range(1, 23)]


@pytest.mark.parametrize("number", ROWS)
def test_its_experiment_its_test_and_its_picture_exist(number):
    _, _, experiments, test, pictures = ROWS[number]
    names = re.findall(r"\[(\w+)\]\(\.\./experiments/\1\.py\)", experiments)
    assert names and set(names) <= set(laboratory.EXPERIMENTS)
    path, name = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", test).groups()
    assert f"def {name}(" in (ROOT / path).read_text()
    drawn = re.findall(r"`(\w+)\.png`", pictures)
    assert len(drawn) == len(names) or len(names) == 1
    for one in drawn:
        assert any(re.search(rf'Picture\(\s*"{one}"|"{one}\.png"', source(name)) for name in names), one


@pytest.mark.parametrize("number", ROWS)
def test_its_experiment_names_it(number):
    names = re.findall(r"experiments/(\w+)\.py", ROWS[number][2])
    said = " ".join(source(name).split('"""')[1] for name in names if name not in ("digits", "optimizers"))
    ranges = [range(int(low), int(high) + 1) for low, high in re.findall(r"N(\d+)–N(\d+)", said)]
    assert not said or int(number[1:]) in {int(n) for n in re.findall(r"N(\d+)", said)} | set().union(*ranges)


def test_every_experiment_is_in_a_row():
    assert set(re.findall(r"\.\./experiments/(\w+)\.py", PAGE)) == set(laboratory.EXPERIMENTS)


def test_pictures_of_the_docs_are_small():
    linked = re.findall(r"\((pictures/\w+\.\w+)\)", PAGE)
    there = {f"pictures/{path.name}" for path in (ROOT / "docs" / "pictures").iterdir()}
    assert set(linked) == there
    assert all((ROOT / "docs" / one).stat().st_size < 60_000 for one in linked)
