"""Each template is a Python file that `verify` finds wrong until one marked place is mended."""

import dataclasses
import json

import pytest

from functional_nn import cli
from functional_nn.cli.commands import Verify
from functional_nn.cli.templates import TEMPLATES


def test_each_kind_that_verify_checks_has_a_template():
    [kind] = [field for field in dataclasses.fields(Verify) if field.name == "kind"]
    assert set(kind.metadata["choices"]()) == set(TEMPLATES)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_template_is_python_and_names_its_file_once(kind):
    assert TEMPLATES[kind].count("{name}") == 1
    text = TEMPLATES[kind].replace("{name}", "mine.py")
    compile(text, "mine.py", "exec")
    assert text.splitlines()[0].endswith("functional-nn verify mine.py\"\"\"")
    assert max(map(len, text.splitlines())) <= 100


def test_the_template_is_wrong_until_it_is_mended(tmp_path, capsys):
    path = tmp_path / "my_gradient.py"
    assert cli.main(["verify", "--init", str(path)]) == 0
    assert cli.main(["verify", str(path)]) == 1
    path.write_text(path.read_text().replace(
        "delta = (prediction - y)", "delta = 2 * (prediction - y)"))
    assert cli.main(["verify", str(path)]) == 0
    assert cli.main(["verify", "--init", str(path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert "1 - prediction**2)  " in path.read_text()


def test_the_network_template_is_wrong_in_one_step_until_it_is_mended(tmp_path, capsys):
    path = tmp_path / "net.py"
    assert cli.main(["verify", "--init", str(path), "--kind", "network"]) == 0
    assert cli.main(["verify", str(path), "--json"]) == 1
    printed = capsys.readouterr().out
    (fault,) = json.loads(printed[printed.index("{"):])["faults"]
    assert (fault["site"], fault["layer"], fault["cause"]) == (
        "pullback", 1, "missing derivative")
    text = path.read_text()
    path.write_text(text.replace("# * (1 - a2**2)", "* (1 - a2**2)"))
    assert cli.main(["verify", str(path), "--seed", "3"]) == 0
    mended = path.read_text().replace("def value_and_grad", "def mine")
    path.write_text(mended.replace("network = fnn", "network = lambda: fnn"))
    assert cli.main(["verify", str(path), "--kind", "network", "--grad", "mine"]) == 0
    path.write_text(text.replace("* (1 - a1**2)", "").replace("# * (1 - a2**2)", ""))
    assert cli.main(["verify", str(path)]) == 1
    printed = capsys.readouterr().out
    assert "2 faults" in printed and "delta0" in printed and "delta1" in printed
