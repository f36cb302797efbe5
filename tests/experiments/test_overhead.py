"""The benchmark, small: every comfort leaves the parameters as they are, and a ratio is reported. No time decides a test."""

import json

import pytest

from experiments import overhead


@pytest.mark.slow
def test_it_reports_every_comfort(tmp_path, capsys):
    config = overhead.Config(sizes=(6, 5, 3), batch_size=4, steps=3, epochs=2, turns=2, out=str(tmp_path / "run"))
    rows = overhead.main(config)["rows"]
    assert len(rows) == 4 and all(row["ratio"] > 0 for row in rows)
    assert [row["name"] for row in json.loads((tmp_path / "run" / "overhead.json").read_text())["rows"]] == [
        row["name"] for row in rows]
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines() if not line.startswith("wrote"))
