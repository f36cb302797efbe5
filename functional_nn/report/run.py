"""The report on a training run as a self-contained HTML page, made from its records."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from functional_nn.report.pages import Section, Table, page

MEANING = {
    "accuracy": "share of the rows whose class is right",
    "balanced_accuracy": "mean over the classes of the share that is right",
    "f1": "mean over the classes of the harmonic mean of precision and recall",
    "log_loss": "mean of −ln of the probability given to the right class: 0 is perfect",
    "roc_auc": "chance that a row of a class gets a higher probability of it than another row",
    "r2": "share of the target's variance that is explained: 1 is perfect, 0 is the mean",
    "mae": "mean size of an error, in the unit of the target",
    "rmse": "root of the mean squared error, in the unit of the target",
}


class Picture(NamedTuple):
    """A picture of a run: its heading, its PNG, and what it shows in words."""

    heading: str
    png: bytes
    says: str


class RunRecord(NamedTuple):
    """What the page of a run tells.

    Attributes:
      name: the name of the data.
      said: the data in a sentence.
      ended: why the run ended, and which epoch is kept, in a sentence.
      scores: metric -> value on the test rows.
      guess: the same metrics of the guess that uses no feature, and what that guess is.
      notes: further sentences, each a paragraph.
      pictures: pictures of the run.
      commands: (what for, command) pairs.
      tables: tables of the data: a heading, the names of the columns, and the rows.
      network: the network as a text table.
      options: (option, value, whether that is its default).
      versions: what the numbers depend on, by name.
    """

    name: str
    said: str
    ended: str
    scores: Mapping[str, float]
    guess: tuple[Mapping[str, float], str]
    notes: Sequence[str]
    pictures: Sequence[Picture]
    commands: Sequence[tuple[str, str]]
    tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[Any]]]]
    network: str
    options: Sequence[tuple[str, Any, bool]]
    versions: Mapping[str, str]


def run_page(run: RunRecord) -> str:
    """The report on a run as an HTML page, which loads nothing from the network.

    It shows how good the run is on its test rows beside a guess, its pictures, how to use it, its
    data, network and options, and the versions that it was made with.

    >>> record = RunRecord("trees", "trees: 9 rows", "epochs are over", {"r2": 0.5},
    ...                    ({"r2": 0.0}, "the mean"), (), (), (("predict", "predict RUN <rows>"),),
    ...                    (), "dense", (), {})
    >>> html = run_page(record)
    >>> "<h1>trees: r2 0.5 on the test rows</h1>" in html, "predict RUN &lt;rows&gt;" in html
    (True, True)
    """
    first = next(iter(run.scores), None)
    title = run.name if first is None else (
        f"{run.name}: {first.replace('_', ' ')} {run.scores[first]:.4g} on the test rows")
    lead = "\n\n".join([run.said, f"How the run ended: {run.ended}.", *run.notes])
    sections = [
        _scores(run),
        *(Section(picture.heading, figure=picture.png, figure_alt=picture.says)
          for picture in run.pictures),
        Section("What to do with it", "RUN stands for the folder of this page.",
                code="\n\n".join(f"# {what}\n{command}" for what, command in run.commands)),
        Section("The network", code=run.network),
        Section("The options", table=Table(
            ("option", "value", ""),
            [(name, value, "" if default else "changed") for name, value, default in run.options])),
        *(Section(heading, table=Table(columns, rows)) for heading, columns, rows in run.tables),
        Section("Made with", table=Table(("what", "version"), list(run.versions.items())))]
    facts = [(name.replace("_", " "), value) for name, value in run.scores.items()]
    return page(title, sections, lead=lead, facts=facts)


def _scores(run: RunRecord) -> Section:
    guess, what = run.guess
    return Section("How good it is", table=Table(
        ("score", "this run", "a guess", "what it is"),
        [(name.replace("_", " "), value, guess.get(name), MEANING.get(name, ""))
         for name, value in run.scores.items()],
        note=f"On the rows kept for the test. The guess looks at no feature: {what}."))
