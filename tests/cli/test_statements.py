"""The statements of files and notebooks."""

import json

from functional_nn import cli


def test_a_notebook_is_read(verify):
    def cell(text):
        return {"cell_type": "code", "source": text.splitlines(keepends=True)}

    cells = [{"cell_type": "markdown", "source": ["# title"]}, cell("%matplotlib inline\nimport numpy as np\n!pip install x"),
             cell("def f(x):\n    return np.sum(x**3)\ndef df(x):\n    return 3 * x**2\n"),
             cell("%%bash\nls"), cell("x = np.arange(3.0)\nf?\nundefined_name\n")]
    code, _, err = verify(json.dumps({"cells": cells}), name="a.ipynb")
    assert code == 0 and "df is checked as the gradient of f" in err and "checked at x" in err
    cells[2] = cell("def f(x):\n    return np.sum(x**3)\ndef df(x):\n    return nothing\n")
    code, _, err = verify(json.dumps({"cells": cells}), name="b.ipynb")
    assert code == 2 and "b.ipynb, cell 2, line 4: NameError" in err
    code, _, err = verify("{", name="c.ipynb")
    assert code == 2 and "is no notebook" in err


def test_folders_and_binary_files_are_said(tmp_path, capsys):
    assert cli.main(["verify", str(tmp_path)]) == 2 and "is a folder" in capsys.readouterr().err
    (tmp_path / "a.py").write_bytes(b"\xff\xfe\x00")
    assert cli.main(["verify", str(tmp_path / "a.py")]) == 2 and "not text in UTF-8" in capsys.readouterr().err
