"""The results of a run laid out: as text of 80 columns, and as tables in Markdown documents."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.mutants.mutant import PUBLIC
from experiments.mutants.scoring import MEASURES
from functional_nn.writing import file_beside, shown

NAME = "mutations.json"
BLOCK = re.compile(r"(<!-- table of mutations: ([\w ]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
WIDTH = 25  # of a group's name in text


def per_cent(value: float | None) -> str:
    """A share to read: all is 100 %, and nothing else is."""
    if value is None:
        return "-"
    text = f"{100 * value:.1f}"
    if value in (0, 1):
        return f"{100 * value:.0f}"
    return {"100.0": "99.9", "0.0": "<0.1"}.get(text, text)


def milliseconds(seconds: float | None) -> str:
    """A time to read."""
    return "-" if seconds is None else f"{1000 * seconds:.1f}"


def text(results: dict[str, Any]) -> str:
    """All tables for a terminal: shares in per cent, as drawn and weighted."""
    groups = [as_text(title, of) for title, of in results["tables"].items() if any(map(drawn, of.values()))]
    worst = sorted(results["by_operator"].items(), key=lambda pair: -pair[1]["missed"])
    if worst := {name[:WIDTH - 1]: of for name, of in worst[:20] if of["missed"]}:
        groups.append(as_text("missed most", worst))
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(results["left_out"].items()))
    return "\n\n".join([*groups, alarms_text(results["false_alarms"]), f"left out: {reasons or 'none'}",
                        "Shares are in per cent: as drawn / weighted by how often people make them."])


def drawn(of: dict[str, Any]) -> int:
    """The mutants of a group."""
    return of["mutants"]


def as_text(title: str, groups: dict[str, dict[str, Any]]) -> str:
    """One line a group."""
    lines = [f"{title:<{WIDTH}}{'mutants':>8}" + "".join(f"{what:>10}" for what in MEASURES) + f"{'ms':>7}"]
    for name, of in groups.items():
        pairs = (f"{per_cent(of[what])}/{per_cent(of['weighted'][what])}" for what in MEASURES)
        cells = "".join(f"{'-' if pair == '-/-' else pair:>10}" for pair in pairs)
        lines.append(f"{name:<{WIDTH}}{of['mutants']:>8}{cells}{milliseconds(of['seconds']):>7}")
    return "\n".join(lines)


def alarms_text(alarms: dict[str, dict[str, list[int]]]) -> str:
    """The false alarms, by checker and precision."""
    dtypes = list(next(iter(alarms.values()), {}))
    lines = [f"{'false alarms':<{WIDTH}}" + "".join(f"{dtype:>16}" for dtype in dtypes)]
    for name, of in alarms.items():
        lines.append(f"{name:<{WIDTH}}" + "".join(f"{'{} of {}'.format(*of[dtype]):>16}" for dtype in dtypes))
    return "\n".join(lines)


# Markdown.

def markdown(rows: list[list[str]]) -> str:
    """A table; the first row holds the names of the columns."""
    first, *others = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([first, "|---" * len(rows[0]) + "|", *others]) + "\n"


def shares(results: dict[str, Any], title: str, first: str) -> str:
    """A group a line: its shares in per cent, as drawn and weighted."""
    rows = [[first, "mutants", *(name for what in MEASURES for name in (what, "weighted"))]]
    for name, of in results["tables"][title].items():
        cells = [per_cent(side[what]) for what in MEASURES for side in (of, of["weighted"])]
        rows.append([name, f"{of['mutants']:,}", *cells])
    return markdown(rows)


def families(results: dict[str, Any]) -> str:
    """A family a line: how often people made it, and its shares in per cent."""
    rows = [["family", "weight", "mutants", *MEASURES]]
    for name, of in results["tables"]["family"].items():
        rows.append([name, str(PUBLIC[name]), f"{of['mutants']:,}", *(per_cent(of[what]) for what in MEASURES)])
    return markdown(rows)


def tools(results: dict[str, Any]) -> str:
    """What every tool catches of single mistakes, and of right gradients; and its time."""
    rows = [["tool", "mutants", "caught", "weighted", "placed", "false alarms", "median ms"]]
    for name, of in results["tables"]["one mistake"].items():
        alarms, rights = map(sum, zip(*results["false_alarms"][name].values(), strict=True))
        rows.append([f"`{name}`", f"{of['mutants']:,}", per_cent(of["caught"]), per_cent(of["weighted"]["caught"]),
                     per_cent(of["placed"]), f"{alarms} of {rights}", milliseconds(of["seconds"])])
    return markdown(rows)


def environment(results: dict[str, Any]) -> str:
    """When, by which command and with what the results were made."""
    made = results["made"]
    versions = ", ".join(f"{name} {value}" for name, value in made["versions"].items()
                         if name not in ("platform", "devices", "threads", "x64"))
    machine = "{platform}, {devices}, {threads} threads".format(**made["versions"])
    counts = "{seen} seen, {unseen} held back".format(**results["operators"])
    return markdown([["made", ""], ["date", made["date"]], ["command", f"`{made['command']}`"], ["commit", made["code"]],
                     ["seeds of networks", ", ".join(map(str, made["seeds"]))],
                     ["precisions", ", ".join(made["precisions"])], ["kinds of mistakes", counts],
                     ["machine", machine], ["versions", versions]])


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "headline": lambda results: shares(results, "check_network", "what"),
    "families": families,
    "steps": lambda results: shares(results, "step", "step"),
    "networks": lambda results: shares(results, "network", "network"),
    "precisions": lambda results: shares(results, "precision", "precision"),
    "tools": tools,
    "environment": environment,
}
"""What may stand in a document between `<!-- table of mutations: NAME -->` and `<!-- end of table -->`."""


def renewed(document: str, results: dict[str, Any]) -> str:
    """A document with its tables made anew.

    Raises:
        ValueError: it asks for a table that there is none of.
    """
    def made(block: re.Match) -> str:
        if block[2] not in TABLES:
            raise ValueError(f"there is no table {block[2]!r} of mutations; there are {', '.join(TABLES)}")
        return block[1] + TABLES[block[2]](results) + block[3]

    return BLOCK.sub(made, document)


def renew(folder: str) -> None:
    """Renew the tables in every Markdown document of a folder out of its mutations.json."""
    results = json.loads((Path(folder) / NAME).read_text(encoding="utf-8"))
    for path in sorted(Path(folder).glob("*.md")):
        document = path.read_text(encoding="utf-8")
        if (after := renewed(document, results)) != document:
            with file_beside(path) as partial:
                partial.write_text(after, encoding="utf-8")
            print(f"renewed the tables of {shown(path)}")
