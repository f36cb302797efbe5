"""Does check_network ever accuse a right gradient? Random networks, data, precisions and ways to write them; all are right.

A gradient is right here if it would be the gradient in exact arithmetic: it may be rounded, summed in any order, laid out in
any way, and take either convention at a kink. What its own precision lets overflow is drawn again. Every network is a draw of
(seed, index) alone, so that `--only 17` replays number 17 without the others.

Eight networks in a row share one architecture (layers, sizes, loss, reduction), which saves compiling; each has parameters,
examples, features, a precision, a style and a layout of its own, and counts as one.

Command: python -m experiments.false_alarms [--networks 2000] [--seed 0] [--processes 2] [--out DIR]
         python -m experiments.false_alarms --only 17

Expect: no alarm. The exit code is 1 if there is one; 130 after Ctrl-C, which ends with what was counted so far. An alarm says
how many rounding units the gradient itself is off from jax.grad in float64: beyond 16, its own arithmetic has lost digits.

Cost: about half a second a network on one core.
"""

import dataclasses
import functools
import multiprocessing
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from experiments.common import command_line, run_directory, versions, write_json, write_jsonl
from experiments.rights.draws import Case, architecture, draw
from experiments.rights.writing import Compiled, answer, off, penalty_of, under_test, written
from functional_nn import checks
from functional_nn.progress import progress
from functional_nn.verify import check_network

SHARED = 8  # networks of one architecture
CLEARED = 25  # architectures after which compiled programs are forgotten
TRIES = 12  # draws that overflow, after which a network is drawn without features
SHOWN, LINES = 10, 8  # alarms printed, lines of the report of each


@dataclasses.dataclass(frozen=True)
class Config:
    """What is run."""

    networks: int = 2000
    """how many right gradients are looked at"""
    seed: int = 0
    """of all that is drawn"""
    only: int | None = None
    """the index of one network to look at alone, with its whole report"""
    processes: int = 1
    """how many share the work"""
    out: str | None = None
    """folder for summary.json and networks.jsonl, which must be new or empty; nothing is written if not given"""


@dataclasses.dataclass(frozen=True)
class Row:
    """What became of one network. off: of the gradient from jax.grad in float64, in rounding units; None where no alarm."""

    index: int
    network: str
    loss: str
    reduction: str
    depth: int
    batch: int
    precision: str
    style: str
    layout: str
    features: tuple[str, ...]
    redrawn: int
    seconds: float
    outcome: str = "right"
    faults: tuple[tuple[str | None, int | None, str], ...] = ()
    off: float | None = None
    text: str = ""


def main(config: Config, check: Callable = check_network) -> dict[str, Any]:
    """Print the counts and the alarms; returns what `summary.json` holds."""
    checks.integer("networks", config.networks)
    checks.integer("processes", config.processes)
    checks.integer("seed", config.seed, low=0)
    if config.only is not None:
        checks.integer("only", config.only, low=0)
    indices = range(config.networks) if config.only is None else [config.only]
    groups = [[i for i in indices if i // SHARED == g] for g in sorted({i // SHARED for i in indices})]
    rows, interrupted, start = [], False, time.monotonic()
    try:
        with progress(len(indices), "networks") as advance:
            for row in looked_at(groups, config, check):
                rows.append(row)
                if row.outcome != "right":
                    print(f"alarm: --seed {config.seed} --only {row.index}", file=sys.stderr, flush=True)
                advance(f"{len(rows) / (time.monotonic() - start):.1f} a second, {len(alarms(rows))} alarms")
    except KeyboardInterrupt:
        interrupted = True
    rows.sort(key=lambda row: row.index)
    results = {**counted(rows), "interrupted": interrupted, "config": vars(config), "versions": versions()}
    print(report(rows, results, config.only is not None))
    if config.out is not None:
        with run_directory("false_alarms", config.out) as directory:
            write_json(directory / "summary.json", results)
            write_jsonl(directory / "networks.jsonl", rows)
    return results


def run(config: Config) -> None:
    """`main`, and the exit code: 1 for an alarm, 130 where it was interrupted."""
    results = main(config)
    if results["alarms"] or results["interrupted"]:
        raise SystemExit(1 if results["alarms"] else 130)


def looked_at(groups: Sequence[Sequence[int]], config: Config, check: Callable) -> Iterator[Row]:
    """A row for every network, in one process or several."""
    if config.processes == 1:
        for i, group in enumerate(groups, 1):
            yield from of_architecture(config.seed, group, check)
            if i % CLEARED == 0:
                jax.clear_caches()
        return
    context = multiprocessing.get_context("spawn")  # a child that Ctrl-C interrupts would print its traceback
    with context.Pool(config.processes, signal.signal, (signal.SIGINT, signal.SIG_IGN), maxtasksperchild=CLEARED) as pool:
        for rows in pool.imap_unordered(functools.partial(_listed, config.seed, check), groups):
            yield from rows


def _listed(seed: int, check: Callable, group: Sequence[int]) -> list[Row]:
    return list(of_architecture(seed, group, check))


def of_architecture(seed: int, indices: Sequence[int], check: Callable = check_network) -> Iterator[Row]:
    """A row for each of some networks that share an architecture."""
    shared = architecture(np.random.default_rng([seed, 0, indices[0] // SHARED]))
    compiled = Compiled(shared)
    for index in indices:
        case = drawn(seed, index, compiled)
        yield looked(case, compiled, check)


def looked(case: Case, compiled: "Compiled", check: Callable) -> Row:
    """The checker's verdict on one right gradient."""
    function, start = under_test(case, compiled), time.perf_counter()
    shape = case.architecture
    row = Row(case.index, repr(compiled.net), shape.loss, shape.reduction, len(shape.parts), len(case.X), case.precision,
              case.style, case.layout, case.features, case.redrawn, 0.0)
    try:
        found = check(compiled.net, shape.loss, written(case.layout, case.params), case.X, case.Y, value_and_grad=function,
                      penalty=None if case.penalty is None else functools.partial(penalty_of, case.penalty),
                      reduction=shape.reduction, layout="in_out" if case.layout in ("pairs in_out", "flax") else None)
    except Exception as error:
        row = dataclasses.replace(row, outcome="raised", text=f"{type(error).__name__}: {error}", off=off(case, compiled))
    else:
        if not found:
            told = tuple((fault.site, fault.layer, fault.cause) for fault in found.faults)
            row = dataclasses.replace(row, outcome="accused", faults=told, text=str(found), off=off(case, compiled))
    return dataclasses.replace(row, seconds=time.perf_counter() - start)


def drawn(seed: int, index: int, compiled: "Compiled") -> Case:
    """The network of that index: the first draw whose own gradient is finite."""
    rng = np.random.default_rng([seed, 1, index])
    for tries in range(4 * TRIES):
        case = dataclasses.replace(draw(rng, index, compiled, tries < TRIES), redrawn=tries)
        if all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(answer(case, compiled))):
            return case
    raise ValueError(f"no draw of network {index} has a finite gradient; take another --seed than {seed}")


def alarms(rows: Sequence[Row]) -> list[Row]:
    """The rows of right gradients that were accused, or that the checker fell over."""
    return [row for row in rows if row.outcome != "right"]


def counted(rows: Sequence[Row]) -> dict[str, Any]:
    """[alarms, networks] by precision, style and so on."""
    keys = {"precision": lambda row: [row.precision], "style": lambda row: [row.style], "layout": lambda row: [row.layout],
            "feature": lambda row: row.features or ["none"], "loss": lambda row: [row.loss], "layers": lambda row: [row.depth],
            "batch": lambda row: [row.batch]}
    counts = {}
    for title, of in keys.items():
        bad, every = (Counter(key for row in some for key in of(row)) for some in (alarms(rows), rows))
        counts[title] = {str(key): [bad[key], every[key]] for key in sorted(every, key=str)}
    outcomes = Counter(row.outcome for row in rows)
    return {"networks": len(rows), "alarms": len(alarms(rows)), "accused": outcomes["accused"], "raised": outcomes["raised"],
            "beyond_16_units": sum(row.off is None or not row.off <= 16 for row in alarms(rows)),
            "redrawn": sum(row.redrawn for row in rows), "seconds": sum(row.seconds for row in rows), "counts": counts,
            "found": [dataclasses.asdict(row) for row in alarms(rows)]}


def report(rows: Sequence[Row], results: dict[str, Any], whole: bool = False) -> str:
    """The counts, and the first alarms; `whole` shows all of a report."""
    lines = []
    for title, counts in results["counts"].items():
        lines += [f"{title:<28} {'alarms':>7} {'of':>6}",
                  *(f"  {key:<26} {bad:>7} {every:>6}" for key, (bad, every) in counts.items()), ""]
    for outcome, title in (("accused", "accused"), ("raised", "exceptions of check_network")):
        found = [row for row in rows if row.outcome == outcome]
        lines += [f"{title}: {len(found)}"] if found else []
        for row in found[:SHOWN]:
            lines.append(f"--only {row.index}: {row.network}, {row.loss}, {row.reduction}, B = {row.batch}, {row.precision}, "
                         f"{row.style}, {row.layout} layout, {', '.join(row.features) or 'no features'}; "
                         f"off by {row.off:.3g} units")
            said = row.text.splitlines()
            lines += ["    " + line for line in (said if whole else said[:LINES])]
        lines += [f"and {len(found) - SHOWN} more; --out keeps them all"] if len(found) > SHOWN else []
    if whole:
        lines += [f"network {row.index}: {row}" for row in rows if row.outcome == "right"]
    lines.append(f"{results['alarms']} false alarms of {results['networks']} right gradients, {results['beyond_16_units']} of "
                 f"them beyond 16 units of rounding; {results['redrawn']} draws that overflowed were drawn again; "
                 f"{results['seconds'] / max(len(rows), 1):.2f} s each{'; interrupted' if results['interrupted'] else ''}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(command_line(run, Config))
