"""`functional-nn resume`: to go on with a run that was stopped or killed."""

import dataclasses
from pathlib import Path

from functional_nn.cli import config as configuration
from functional_nn.cli import folder as folders
from functional_nn.cli.job import assemble
from functional_nn.cli.train import perform
from functional_nn.cli.usage import Unusable, command, quoted
from functional_nn.writing import shown


def resume(
    run: Path, epochs: int | None = None, data: Path | None = None, test: Path | None = None,
    json: bool = False
) -> int:
    """Go on with a run, and return the exit code; the options are those of `Resume`."""
    folders.part(run, folders.CONFIG)
    with folders.alone(run):
        config = configuration.of_run(run / folders.CONFIG, data, test)
        if epochs is not None:
            if config.schedule != "constant" and epochs != config.epochs:
                raise Unusable(
                    f"--epochs cannot change here, as the {config.schedule} learning rate has "
                    f"fallen to 0 after epoch {config.epochs}; {_anew(run, epochs)}")
            config = configuration.checked(dataclasses.replace(config, epochs=epochs))
        return perform(assemble(config, run), run, json)


def _anew(run: Path, epochs: int) -> str:
    """How to get more epochs than the schedule of a run has."""
    if (run / folders.MODEL).is_dir():
        return (f"{command('train --from', shown(run))} --epochs {epochs} starts from its network "
                "with the rate and the schedule of a new run")
    return f"train anew with --config {quoted(run / folders.CONFIG)} --epochs {epochs}"
