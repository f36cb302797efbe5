"""MNIST is read from the folder that is given; without one, the option is said."""

from pathlib import Path

import pytest

from experiments import mnist

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "mnist"


def test_without_a_folder_the_option_is_said(tmp_path, capsys):
    code = mnist.command_line(mnist.main, mnist.Config, ["--out", str(tmp_path / "run")])
    assert code == 2 and "give their folder with --data-dir FOLDER" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="needs the four files of MNIST in ../shared/data/mnist")
def test_two_epochs_read_94_of_100_images(tmp_path):
    found = mnist.main(mnist.Config(data_dir=str(DATA), quick=True, out=str(tmp_path / "run")))
    assert found["accuracy"].mean[-1] > 0.94 and (tmp_path / "run" / "report.html").is_file()
