"""Python files of the user: what is missing or fails in them is said in a sentence."""

import pytest

import functional_nn as fnn
from functional_nn.cli.python_files import batch, called, function, load, network
from functional_nn.cli.usage import Unusable


def test_a_file_is_loaded_and_its_line_is_blamed(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("import functional_nn as fnn\ndef network():\n    return fnn.mlp((2, 1))\ndef wrong():\n    return 1 / 0\n")
    module = load(path)
    assert isinstance(network(module, path), fnn.Network)
    with pytest.raises(Unusable, match="line 5: ZeroDivisionError"):
        called(path, "wrong", function(module, path, "wrong"))
    with pytest.raises(Unusable, match="must return the tuple"):
        batch(path, "example", lambda: (1, 2))
    with pytest.raises(Unusable, match=r"must define example\(\); it defines network, wrong"):
        function(module, path, "example")
    with pytest.raises(Unusable, match="is no file"):
        load(tmp_path / "none.py")
