"""`functional-nn explain`: examples, files and runs, written out."""

import pytest

from tests.cli.runs import call, done

FILE = '''
import functional_nn as fnn
network = fnn.mlp((2, 3, 2), hidden="tanh", output="softmax")
loss = "cross_entropy"
def value_and_grad(params, X, Y):
    raise NotImplementedError
def example():
    params = [([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], [0.0, 0.0, 0.1]), ([[1.0, 2, 3], [3, 2, 1]], [0.0, 0.5])]
    import numpy as np
    return [tuple(map(np.array, pair)) for pair in params], np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([0, 1])
'''


def test_an_example_of_the_notes(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    text = done(capsys, "explain", "N9").out
    assert "= 3·1 + 4·2 + 1 = 12" in text and "ŷ = z³₁ = 163" in text
    assert max(map(len, text.splitlines())) <= 60


def test_markdown_matrices_and_the_page(capsys, tmp_path):
    text = done(capsys, "explain", "n13", "--matrices", "--markdown", "--rate", "0.5").out
    assert text.startswith("# N13") and r"\begin{bmatrix}2 & 4\end{bmatrix}" in text
    page = tmp_path / "n9.html"
    said = done(capsys, "explain", "n9", "--html", page)
    assert said.out == "" and f"wrote {page}" in said.err and page.read_text().count("<h1>") == 2
    assert "exists already" in call(capsys, "explain", "n9", "--html", page).err


def test_a_file_of_ones_own(capsys, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(FILE)
    said = done(capsys, "explain", file, "--row", "1")
    assert f"value_and_grad is checked by functional-nn verify {file}" in said.err
    text = " ".join(said.out.split())
    assert text.startswith(f"{file}, row 1 of X: Network(2") and "softmax)) with cross_entropy" in text
    assert "x = (3, −1)" in text and "y = (0, 1)" in text
    assert "--row must be at most 1" in call(capsys, "explain", file, "--row", "2").err


def test_a_run(trees, line, capsys):
    text = done(capsys, "explain", "trees", "--row", "3", "--most", "2").out
    assert "trees, test row 3" in text and "agrees with jax.grad" in text
    assert "2 of the 6 nodes are shown" in text
    assert "mse" in done(capsys, "explain", "line").out


@pytest.mark.parametrize(("arguments", "error"), [
    (["n1"], "unknown example 'n1'; did you mean"), (["explain.txt"], "unknown example"),
    (["none.py"], "none.py is no file"), (["."], "without model"), (["n9", "--row", "x"], "whole number"),
    (["n9", "--most", "0"], "--most must be an integer of at least 1"),
    (["n9", "--rate", "0"], "--rate must be a number above 0"), ([], "needs WHAT"),
    (["n99"], "did you mean 'n9'?"), (["n9", "--row", "3"], "--row chooses a row of a run or of a file"),
    (["n9", "--markdown", "--html", "n9.html"], "give one of the two"),
    (["n9", "--html", "none/x.html"], "there is no folder none"), (["n9", "--digits", "18"], "--digits")])
def test_a_mistake_is_a_sentence(arguments, error, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = call(capsys, "explain", *arguments)
    assert (said.code, said.out) == (2, "") and error in said.err and said.err.count("\n") == 1
