"""Does the checker find the mistakes people make, say where and what they are, and never accuse a right gradient?

Every operator of `experiments.mutants` is a mistake. It is put into one step of a plain NumPy backpropagation, of every
kind of network, depth and precision, alone or with another one; mutants whose gradient is the right one are left out.
`check_network` and the tools that exist look at the same functions. The unseen operators were written without the code
that names causes, which was written without them: of those, only totals are shown. Every share is shown twice: as
drawn, and weighted by how often people make mistakes of that family. `--seed` other than 0 gives networks and a sample
that nobody has looked at.

Command: python -m experiments.mutations            (a sample of the mutants)
         python -m experiments.mutations --full     (every mutant)
         python -m experiments.mutations --seed 101 --seeds 2 --sample 12 --doubles 3 --publish docs
         python -m experiments.mutations --tables docs     (the documents' tables anew, nothing run)

Wished for: caught 99.9 %, placed 98 %, named 88 % of all and 65 % of the unseen, misnamed at most 0.3 %, no false alarm.

Cost: about five minutes on two cores with every tool; --full takes hours.
"""

import datetime
import importlib.metadata
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

import functional_nn as fnn
from experiments.common import (
    command_line,
    commit,
    run_directory,
    versions,
    write_json,
    write_jsonl,
)
from experiments.mutants import population, problems, reference, tables
from experiments.mutants.checkers import CHECKERS, Subject, Verdict, installed
from experiments.mutants.mutant import PUBLIC, SITES, Mutant
from experiments.mutants.problems import KINDS, PRECISIONS, Problem
from experiments.mutants.scoring import Row, grouped, score, summary

OURS = "check_network"


@dataclass(frozen=True)
class Config:
    """What is run."""

    seeds: int = 1
    """networks of each kind and depth"""
    seed: int = 0
    """of the first of them"""
    kinds: tuple[str, ...] = tuple(KINDS)
    """kinds of network"""
    depths: tuple[int, ...] = problems.DEPTHS
    """numbers of layers"""
    dtypes: tuple[str, ...] = ("float64", "float32", "bfloat16")
    """precisions: float64, float32 and "bfloat16 given" follow their input; bfloat16 rounds the finished gradient;
    "float32 inside" casts"""
    sample: int = 4
    """mutants of each network and precision, the operators in turn"""
    doubles: int = 1
    """mutants with two mistakes, likewise"""
    full: bool = False
    """every mutant with one mistake"""
    quick: bool = False
    """few mutants of one depth and precision, to see it run"""
    checkers: tuple[str, ...] = tuple(CHECKERS)
    """the tools to score"""
    seen_only: bool = False
    """leave the unseen operators out, as whoever works on the checker does"""
    show_unseen: bool = False
    """tell what was missed of the unseen operators too"""
    out: str | None = None
    """folder for results.json, misses.jsonl and caught.png, which must be new or empty; nothing is written if not given"""
    publish: str | None = None
    """folder of documents: write the results to its mutations.json, and renew the tables in its documents"""
    tables: str | None = None
    """folder of documents: run nothing, renew the tables in its documents out of its mutations.json"""


@dataclass
class Found:
    """What a run collects."""

    rows: list[Row] = field(default_factory=list)
    right: list[tuple[str, str, str, Verdict]] = field(default_factory=list)  # checker, dtype, way, verdict
    left_out: Counter = field(default_factory=Counter)
    used: Counter = field(default_factory=Counter)


def main(config: Config, checkers: Mapping[str, Callable[[Subject], Verdict]] | None = None) -> dict[str, Any] | None:
    """Print the tables; returns what `results.json` holds, or None where nothing was to be run."""
    config = checked(config)
    if config.tables is not None:
        return tables.renew(config.tables)
    tools = {name: (checkers or CHECKERS)[name] for name in config.checkers if checkers or installed(name)}
    found, start = Found(), time.perf_counter()
    for problem in all_problems(config):
        run(problem, config, tools, found)
        print(f"{problem.kind} {problem.depth}, seed {problem.seed}: {len(found.rows) // max(len(tools), 1)} mutants "
              f"in {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    results = record(found, config, tools)
    print(tables.text(results))
    for name in set(config.checkers) - set(tools):
        print(f"{name}: not installed, so not run")
    if config.out is not None:
        write(results, found, config)
    if config.publish is not None:
        write_json(Path(config.publish) / tables.NAME, results)
        tables.renew(config.publish)
    return results


def checked(config: Config) -> Config:
    """The configuration, or an error that names what is wrong with it."""
    for name, known in (("kinds", KINDS), ("depths", problems.DEPTHS), ("dtypes", PRECISIONS), ("checkers", CHECKERS)):
        if unknown := [value for value in getattr(config, name) if value not in known]:
            raise ValueError(f"{name} must be of {', '.join(map(str, known))}; got {unknown[0]!r}")
    for name in ("seeds", "sample", "doubles"):
        if getattr(config, name) < (name == "seeds"):
            raise ValueError(f"{name} must be at least {int(name == 'seeds')}, got {getattr(config, name)}")
    for name, needed in (("publish", ""), ("tables", tables.NAME)):
        folder = getattr(config, name)
        if folder is not None and not (Path(folder).is_dir() and (Path(folder) / needed).exists()):
            raise ValueError(f"{name} must be a folder{needed and f' with a {needed}'}, such as docs; got {folder!r}")
    if config.quick:
        return replace(config, sample=min(config.sample, 4), depths=config.depths[-1:], dtypes=config.dtypes[:1])
    return config


def all_problems(config: Config) -> Iterator[Problem]:
    """Every kind, depth and seed."""
    for seed in range(config.seed, config.seed + config.seeds):
        for kind in config.kinds:
            yield from (problems.problem(kind, depth, seed) for depth in config.depths)


def run(problem: Problem, config: Config, tools, found: Found) -> None:
    """Every tool on the right gradients and on the mutants of one problem."""
    singles = population.population(problem, population.SEEN if config.seen_only else population.OPERATORS)
    rng = np.random.default_rng([problem.seed, problem.depth, list(KINDS).index(problem.kind)])
    pairs = population.doubles(problem, singles, config.doubles * len(config.dtypes), rng)
    found.left_out += singles.left_out + pairs.left_out
    for i, dtype in enumerate(config.dtypes):
        subject = Subject(problem, dtype)
        for way, function in right_ways(problem, dtype).items():
            subject.function = function
            found.right += [(name, dtype, way, tool(subject)) for name, tool in tools.items()]
        chosen = singles.mutants if config.full else sample(singles.mutants, config.sample, found.used, rng)
        for mutant in (*chosen, *pairs.mutants[i::len(config.dtypes)]):
            if population.visible(problem, mutant, dtype):
                subject.function = reference.value_and_grad(problem.model, mutant.mutations, PRECISIONS[dtype][1])
                found.rows += [look(name, tool, subject, mutant) for name, tool in tools.items()]
            else:
                found.left_out["lost in rounding"] += 1


def right_ways(problem: Problem, dtype: str) -> dict[str, Callable]:
    """Right gradients, written differently."""
    model, precision = problem.model, PRECISIONS[dtype][1]
    reverse = reference.Mutation("batch", None, lambda step: sum(step.each[::-1]) / len(step.each))
    ways = {"numpy": reference.value_and_grad(model, (), precision),
            "summed backwards": reference.value_and_grad(model, (reverse,), precision)}
    return {**ways, "functional_nn": fnn.backprop.value_and_grad(problem.net, model.loss)} if precision == "as given" else ways


def sample(mutants, count: int, used: Counter, rng: np.random.Generator) -> list[Mutant]:
    """So many mutants of different operators, those used least so far first."""
    groups = {}
    for mutant in mutants:
        groups.setdefault(mutant.name, []).append(mutant)
    order = sorted(groups, key=lambda name: (used[name], rng.random()))[:count]
    used.update(order)
    return [groups[name][rng.integers(len(groups[name]))] for name in order]


def look(name: str, tool, subject: Subject, mutant: Mutant) -> Row:
    """One tool, one mutant, timed."""
    start = time.perf_counter()
    verdict = tool(subject)
    seconds = time.perf_counter() - start
    problem = subject.problem
    nameable = any(part.causes != {"unexplained"} for part in mutant.parts)
    families = tuple(part.family for part in mutant.parts)
    return Row(name, mutant.name, families, mutant.unseen, nameable, mutant.place, problem.kind, problem.depth,
               subject.dtype, problem.seed, score(mutant, verdict, problem.model.last), verdict.causes, seconds)


def groups_of(rows, tools) -> dict[str, dict[str, list[Row]]]:
    """The rows of every table, by its title and its lines."""
    by_tool = {name: [row for row in rows if row.checker == name] for name in tools}
    mine = by_tool.get(OURS, [])
    singles = [row for row in mine if not row.double]
    wide = [row for row in singles if row.dtype in ("float64", "float32")]
    found = {OURS: {"one mistake": wide, "of these, held back": [row for row in wide if row.unseen],
                    **{f"one in {dtype}": of for dtype, of in grouped(singles, lambda row: row.dtype).items()
                       if dtype not in ("float64", "float32")},
                    "two mistakes": [row for row in mine if row.double]}}
    parts = {"one mistake": lambda row: not row.double, "one mistake, seen": lambda row: not row.unseen and not row.double,
             "one mistake, unseen": lambda row: row.unseen and not row.double, "two mistakes": lambda row: row.double,
             "all mutants": lambda row: True}
    found |= {title: {name: list(filter(wanted, of)) for name, of in by_tool.items()} for title, wanted in parts.items()}
    keys = {"family": lambda row: row.families[0], "step": lambda row: row.place.split()[0].rstrip(","),
            "network": lambda row: row.kind, "layers": lambda row: str(row.depth), "precision": lambda row: row.dtype}
    known = [*PUBLIC, *SITES, *KINDS, *map(str, problems.DEPTHS), *PRECISIONS]
    return found | {title: dict(sorted(grouped(singles, key).items(), key=lambda pair: known.index(pair[0])))
                    for title, key in keys.items()}


def alarms(found: Found, tools) -> dict[str, dict[str, list[int]]]:
    """Checker -> precision -> [false alarms, right gradients]."""
    counts = {name: {} for name in tools}
    for name, dtype, _, verdict in found.right:
        pair = counts[name].setdefault(dtype, [0, 0])
        pair[0] += verdict.caught or bool(verdict.causes)  # falling over is an alarm too
        pair[1] += 1
    return counts


def record(found: Found, config: Config, tools) -> dict[str, Any]:
    """What `results.json` holds: nothing about single unseen operators, unless asked for."""
    mine = [row for row in found.rows if row.checker == OURS and not row.double]
    told = [row for row in mine if config.show_unseen or not row.unseen]
    return {
        "made": {"date": datetime.date.today().isoformat(), "command": command(config), "versions": packages(), "code": commit(),
                 "seeds": list(range(config.seed, config.seed + config.seeds)), "precisions": list(config.dtypes)},
        "operators": {"seen": len(population.SEEN), "unseen": len(population.UNSEEN)},
        "tables": {title: {name: summary(rows) for name, rows in groups.items()}
                   for title, groups in groups_of(found.rows, tools).items()},
        "by_operator": {name: summary(rows) for name, rows in grouped(told, lambda row: row.operator).items()},
        "by_family": {family: {name: summary(of)["caught"] for name, of in grouped(rows, lambda row: row.checker).items()}
                      for family, rows in grouped((row for row in found.rows if not row.double),
                                                  lambda row: row.families[0]).items()},
        "false_alarms": alarms(found, tools), "left_out": dict(found.left_out)}


def packages() -> dict[str, str]:
    """The versions of a run, and that of torch, which one tool needs."""
    return versions() | ({"torch": importlib.metadata.version("torch")} if installed("torch gradcheck") else {})


def command(config: Config) -> str:
    """The command that does the same again."""
    words = ["python", "-m", "experiments.mutations"]
    for option in fields(Config):
        value = getattr(config, option.name)
        if value != option.default and option.name not in ("out", "publish"):
            listed = value if isinstance(value, tuple) else () if value is True else (value,)
            words += [f"--{option.name.replace('_', '-')}", *map(str, listed)]
    return shlex.join(words)


def misses(found: Found, config: Config) -> Iterator[dict[str, Any]]:
    """What `check_network` left to wish for, a line each; of unseen operators only when asked for."""
    for row in found.rows:
        if row.checker == OURS and row.missed and (config.show_unseen or not row.unseen):
            yield {"operator": row.operator, "place": row.place, "kind": row.kind, "depth": row.depth, "dtype": row.dtype,
                   "seed": row.seed, **vars(row.score), "said": row.said}
    for name, dtype, way, verdict in found.right:
        if name == OURS and verdict.caught:
            yield {"operator": None, "right": way, "dtype": dtype, "said": verdict.causes, "message": verdict.message}


def write(results: dict[str, Any], found: Found, config: Config) -> None:
    """The run's files."""
    with run_directory("mutations", config.out) as directory:
        write_json(directory / "results.json", results)
        write_jsonl(directory / "misses.jsonl", misses(found, config))
        if (picture := heat_map(results["by_family"])) is not None:
            fnn.plots.save(picture, directory / "caught.png")


def heat_map(by_family: dict[str, dict[str, float]]):
    """How much of each family every tool catches; None where there is nothing to draw."""
    if not by_family:
        return None
    from functional_nn.plots import canvas
    tools = list(next(iter(by_family.values())))
    caught = np.array([[of[name] for name in tools] for of in by_family.values()])
    figure = canvas.blank(3.5 + 0.9 * len(tools), 1.5 + 0.35 * len(by_family))
    axes = figure.add_subplot()
    shown = axes.imshow(caught, aspect="auto", cmap="cividis", vmin=0, vmax=1)
    axes.set_xticks(range(len(tools)), [name.replace(" ", "\n", 1) for name in tools])
    axes.set_yticks(range(len(by_family)), by_family)
    for (i, j), value in np.ndenumerate(caught):
        axes.text(j, i, f"{value:.2f}", ha="center", va="center", color="black" if value > 0.5 else "white")
    figure.suptitle("share of mutants caught, by family of mistakes")
    figure.colorbar(shown, ax=axes, shrink=0.8)
    return figure


if __name__ == "__main__":
    sys.exit(command_line(main, Config))
