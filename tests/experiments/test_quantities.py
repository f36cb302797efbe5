"""The benchmark, small: it checks the work before it times it, and reports a ratio a row. No time decides a test."""

import json

import pytest

import functional_nn as fnn
from experiments import quantities

SMALL = {"sizes": (6, 5, 3), "batch": 4, "turns": 5, "seconds": 0.001}


@pytest.mark.slow
def test_it_reports_every_row(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quantities, "ROWS", {("norms",): 0.75, ("gradient", "cosines"): None})
    rows = quantities.main(quantities.Config(**SMALL, out=str(tmp_path / "run")))["rows"]
    assert len(rows) == 2 and all(row["ratio"] > 0 and row["error"] < 1e-12 and row["memory"] > 0 for row in rows)
    written = json.loads((tmp_path / "run" / "quantities.json").read_text())
    assert [row["names"] for row in written["rows"]] == [["norms"], ["gradient", "cosines"]] and "out" not in written["config"]
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines() if not line.startswith("wrote"))


def test_a_quantity_that_differs_is_not_timed(monkeypatch):
    monkeypatch.setattr(fnn.backprop, "QUANTITIES", {"norms": fnn.backprop.QUANTITIES["norms"]})
    monkeypatch.setitem(quantities.REFERENCES, "norms", lambda at: 2 * quantities.Automatic.along(at, at.direction))
    with pytest.raises(ValueError, match="norms by hand differs from automatic differentiation"):
        quantities.main(quantities.Config(**SMALL))
