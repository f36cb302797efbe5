"""`functional-nn replay`: a page on which a run goes step by step."""

import sys
import time
from pathlib import Path

from functional_nn import checks, timemachine
from functional_nn.arguments import integer
from functional_nn.cli import config as configuration
from functional_nn.cli import folder as folders
from functional_nn.cli.job import Job, assemble, course
from functional_nn.cli.train import check_same_rows
from functional_nn.cli.usage import RIGHT, Unusable, command, notices
from functional_nn.console import print
from functional_nn.writing import shown

PAGE = "replay.html"


def replay(
    run: Path, steps: int = 200, epochs: int | None = None, examples: int = 20, most: int = 10,
    mistakes: tuple[str, ...] = (), data: Path | None = None, out: Path | None = None
) -> int:
    """Write the page of a run, and return the exit code; the options are those of `Replay`."""
    for name, count in (("--steps", steps), ("--most", most)):
        integer(name, count)
    integer("--examples", examples, high=250)
    causes = [_cause(name) for name in mistakes]
    if out is not None and out.exists():
        raise Unusable(f"{out} exists already; choose another --out")
    if out is not None and not out.parent.is_dir():
        raise Unusable(f"{out} cannot be written: there is no folder {out.parent}")
    config = configuration.of_run(folders.part(run, folders.CONFIG), data)
    costs = [row["cost"] for row in folders.rows(run / folders.METRICS)]
    costs = [cost for cost in costs if cost is not None]  # that of a diverged epoch is null
    if not costs:
        raise Unusable(f"{run} has finished no epoch yet; {command('resume', shown(run))} goes on")
    if epochs is not None:
        integer("--epochs", epochs, high=len(costs))
    begin = time.perf_counter()
    with notices():
        job = assemble(config, run)
        check_same_rows(run, job)
        found = _replayed(job, epochs or len(costs), causes, run, steps=steps, examples=examples,
                          most=most)
    differ = sum(a != b for a, b in zip(found.tracks[0].costs, costs, strict=False))
    path = found.write(out or run / PAGE)
    for sentence in found.about:
        print(sentence)
    count = len(found.tracks[0].costs)
    print(f"the costs of {count - differ} of {count} epochs are those of the run, to the bit"
          + "; the others differ, as another machine or version rounds differently" * bool(differ))
    print(f"wrote    {shown(path)}, {path.stat().st_size / 2**20:.1f} MiB, in "
          f"{time.perf_counter() - begin:.0f} s")
    sys.stdout.flush()  # a closed pipe raises here
    return RIGHT


def _cause(name: str) -> str:
    causes = {cause.replace(" ", "-"): cause for cause in timemachine.MISTAKES}
    return checks.one_of("mistake", name.replace(" ", "-"), causes)


def _replayed(
    job: Job, epochs: int, causes: list[str], run: Path, **options
) -> timemachine.Replay:
    dataset = job.dataset
    return timemachine.replay(
        **course(job), epochs=epochs, mistakes=causes, image_shape=dataset.image_shape,
        standardizer=dataset.standardizer, labels=dataset.class_names,
        title=f"{shown(run)}: {job.net!r} on {dataset.name}", **options)
