"""`functional-nn resume`: to go on with a run that was stopped or killed."""

import dataclasses
from pathlib import Path

from functional_nn.cli import config as configuration
from functional_nn.cli import folder as folders
from functional_nn.cli.train import assemble, perform
from functional_nn.cli.usage import Unusable, quoted


def resume(
    run: Path, epochs: int | None = None, data: Path | None = None, json: bool = False
) -> int:
    """Go on with a run, and return the exit code; the options are those of `Resume`."""
    folders.part(run, folders.CONFIG)
    with folders.alone(run):
        config = configuration.of_run(run / folders.CONFIG, data)
        if epochs is not None:
            if config.schedule != "constant" and epochs != config.epochs:
                raise Unusable(
                    f"--epochs cannot change here: the {config.schedule} learning rate ends after "
                    f"{config.epochs}; train anew with --config {quoted(run / folders.CONFIG)} "
                    f"--epochs {epochs}")
            config = configuration.checked(dataclasses.replace(config, epochs=epochs))
        return perform(assemble(config), run, json)
