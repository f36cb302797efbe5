"""The options of a command: a dataclass whose fields say all of them, read by argparse.

Help, mistyped options and wrong values are told here without importing JAX.
"""

import argparse
import csv
import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

from functional_nn.arguments import joined
from functional_nn.cli.usage import Unusable
from functional_nn.console import print

NUMBER = re.compile(r"-(\d|\.\d|inf|nan)", re.IGNORECASE)  # so starts a value, and no option


def option(
    default: Any, text: str, *, metavar: str | None = None, place: bool = False,
    group: str = "options", name: str | None = None, also: Sequence[str] = (),
    choices: Callable[[], Sequence[str]] | None = None, synonyms: dict[str, str] | None = None
) -> Any:
    """A field of a command's dataclass that is an option, with all that is known of it.

    Args:
      default: its value if it is not given; `dataclasses.MISSING` if it must be.
      text: what it means. For a switch that is on by default, what `--no-…` means.
      metavar: what stands for its value in the help.
      place: whether it is given by its place in the command, without a name.
      group: the heading that it stands under in the help.
      name: its name if that is not the name of the field.
      also: its names in other programs, which are answered with its own.
      choices: returns its possible values, if it has a list of them. They are matched without
        regard to case, `-` and `_`.
      synonyms: the names of values in other programs, with those here.
    """
    return dataclasses.field(default=default, metadata={
        "text": text, "metavar": metavar, "place": place, "group": group, "name": name,
        "also": tuple(also), "choices": choices, "synonyms": synonyms or {}})


def flag(field: dataclasses.Field) -> str:
    """The option as it is typed, such as `--learning-rate`.

    >>> @dataclasses.dataclass
    ... class Run:
    ...     learning_rate: float = option(0.1, "size of a step")
    >>> flag(dataclasses.fields(Run)[0])
    '--learning-rate'
    """
    return f"--{field.metadata['name'] or field.name.replace('_', '-')}"


def given(program: str, command: type, arguments: Sequence[str]) -> dict[str, Any]:
    """The options that the arguments hold, by the name of their field.

    A place whose field is a tuple takes all arguments that have no name. The help ends with the
    `EXAMPLES` of the dataclass, if it has any.

    Raises an `Unusable` for a mistake in them, and a SystemExit after `--help`.

    >>> @dataclasses.dataclass
    ... class Run:
    ...     hidden: tuple[int, ...] = option((), "sizes of the layers")
    ...     optimizer: str = option("sgd", "how to step", choices=lambda: ("sgd", "rms_prop"))
    >>> given("run", Run, ["--hidden", "8,4", "--optimizer", "RMSProp"])
    {'hidden': (8, 4), 'optimizer': 'rms_prop'}
    """
    fields, parser = dataclasses.fields(command), _parser(program, command)
    try:
        found, extra = parser.parse_known_args(_tidied(program, command, arguments))
    except argparse.ArgumentError as error:
        raise Unusable(f"{error.argument_name} {error.message}") from None
    places = [field for field in fields if field.metadata["place"]]
    if extra:
        taken = " and ".join(field.metadata["metavar"] for field in places) or "options only"
        raise Unusable(f"{program} takes {taken}, got {' '.join(map(repr, extra))} too; put a "
                       "name with a space in quotes")
    values = {name: tuple(value) if isinstance(value, list) else value
              for name, value in vars(found).items() if value is not None}
    for field in places:
        if field.default is dataclasses.MISSING and not values.get(field.name):
            raise Unusable(f"{program} needs {field.metadata['metavar']}: {field.metadata['text']}")
    return values


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> typing.NoReturn:
        raise Unusable(message)

    def __init__(self, *arguments: Any, examples: Sequence[str], **options: Any):
        super().__init__(*arguments, **options)
        self._examples = examples

    def format_help(self) -> str:
        told = "".join(f"  {example}\n" for example in self._examples)
        return super().format_help() + (f"\nexamples:\n{told}" if told else "")

    def print_help(self, file: Any = None) -> None:
        print(self.format_help(), end="")  # argparse would not notice that a reader has gone


def _parser(program: str, command: type) -> argparse.ArgumentParser:
    fields = dataclasses.fields(command)
    places = [field for field in fields if field.metadata["place"]]
    usage = [program, *(f"[{field.metadata['metavar']}]" if field.default is None
                        else field.metadata["metavar"] for field in places), "[options]"]
    parser = _Parser(
        prog=program, usage=" ".join(usage), description=command.__doc__, add_help=False,
        examples=getattr(command, "EXAMPLES", ()),
        allow_abbrev=False, argument_default=argparse.SUPPRESS, exit_on_error=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=26))
    types_of, groups = typing.get_type_hints(command), {}
    for field in fields:
        about, kind = field.metadata, _kind(types_of[field.name])
        heading = "arguments" if about["place"] else about["group"]
        if heading not in groups:
            groups[heading] = parser.add_argument_group(heading)
        _add(groups[heading], field, kind)
    last = list(groups.values())[-1]
    last.add_argument("-h", "--help", action="help", help="show this text and stop")
    return parser


def _add(group: Any, field: dataclasses.Field, kind: Any) -> None:
    about = field.metadata
    if kind is bool:
        on, off = flag(field), f"--no-{flag(field)[2:]}"
        hidden = {"help": argparse.SUPPRESS, "dest": field.name}
        told = {"help": about["text"].replace("%", "%%"), "dest": field.name}
        group.add_argument(on, action="store_true", **(hidden if field.default else told))
        group.add_argument(off, action="store_false", **(told if field.default else hidden))
        return
    choices = about["choices"]() if about["choices"] else None
    text = about["text"] + (f": {', '.join(choices)}" if choices else "")
    if field.default not in (dataclasses.MISSING, None, "", ()) and not about["place"]:
        text += f" (default: {_shown(field.default)})"
    many = about["place"] and typing.get_origin(kind) is tuple
    named = ({"nargs": "*" if many else "?", "default": None} if about["place"]
             else {"dest": field.name})
    reader = typing.get_args(kind)[0] if many else _reader(field, kind, choices)
    group.add_argument(
        field.name if about["place"] else flag(field), type=reader,
        metavar=about["metavar"] or _metavar(kind, choices), help=text.replace("%", "%%"), **named)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return joined(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _metavar(kind: Any, choices: Sequence[str] | None) -> str:
    if choices:
        return "NAME"
    if typing.get_origin(kind) is tuple:
        return "N,N" if typing.get_args(kind)[0] is int else "NAME,NAME"
    return {int: "N", float: "X"}.get(kind, "TEXT")


def _kind(annotation: Any) -> Any:
    """The type of an option: `X` of `X | None`, else the annotation itself."""
    if isinstance(annotation, types.UnionType):
        return next(part for part in typing.get_args(annotation) if part is not type(None))
    return annotation


WANTED = {int: "whole number", float: "number"}


def _reader(field: dataclasses.Field, kind: Any, choices: Sequence[str] | None) -> Callable:
    """The function that reads the text of an option; its error completes "--option …"."""
    if typing.get_origin(kind) is tuple:
        [inner, _] = typing.get_args(kind)
        return lambda text: tuple(_read(part, inner, "s such as 64,32") for part in parts(text))
    if choices:
        return lambda text: chosen(text, choices, field.metadata["synonyms"])
    return lambda text: _read(text, kind)


def _read(text: str, kind: type, several: str = "") -> Any:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be {'' if several else 'a '}{WANTED[kind]}{several}, got {text!r}") from None


def chosen(text: str, choices: Sequence[str], synonyms: dict[str, str]) -> str:
    """The one of `choices` that the text means, whatever its case and its hyphens.

    Raises an `argparse.ArgumentTypeError` with the nearest one for any other text.

    >>> chosen("LeakyReLU", ["relu", "leaky_relu"], {})
    'leaky_relu'
    """
    known = {_letters(name): name for name in choices}
    if _letters(text) in known:
        return known[_letters(text)]
    meant = {**{_letters(other): name for other, name in synonyms.items()}, **known}
    near = difflib.get_close_matches(_letters(text), meant, n=1)
    hint = f"; did you mean {meant[near[0]]}?" if near else ""
    raise argparse.ArgumentTypeError(f"must be one of {', '.join(choices)}, got {text!r}{hint}")


def _letters(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


def parts(text: str) -> tuple[str, ...]:
    """The names or numbers of a list with commas; a name that holds a comma is in double quotes.

    >>> parts('height, kind'), parts('"a,b",c'), parts("")
    (('height', 'kind'), ('a,b', 'c'), ())
    """
    return tuple(part for part in next(csv.reader([text], skipinitialspace=True), ()) if part)


def _tidied(program: str, command: type, arguments: Sequence[str]) -> list[str]:
    """The arguments with each option and its value or values as `--name=value`, before all others.

    Raises an `Unusable` for an option that there is not, or that lacks its value.
    """
    types_of = typing.get_type_hints(command)
    fields = {flag(field): field for field in dataclasses.fields(command)
              if not field.metadata["place"]}
    kinds = {name: _kind(types_of[field.name]) for name, field in fields.items()}
    kinds |= {f"--no-{name[2:]}": bool for name, kind in kinds.items() if kind is bool}
    tidy, places, waiting = [], [], list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            places += waiting
            break
        if not _is_option(argument) or argument in ("-h", "--help"):
            (tidy if _is_option(argument) else places).append(argument)
            continue
        name, equals, value = argument.partition("=")
        name = name.replace("_", "-")
        if name not in kinds:
            raise Unusable(_unknown(program, name, fields))
        if typing.get_origin(kinds[name]) is tuple:
            if not equals:
                value = joined(_taken(waiting, typing.get_args(kinds[name])[0]))
        elif kinds[name] is bool:
            if equals:
                raise Unusable(f"{name} takes no value, got {value!r}")
        elif not equals:
            if not waiting or _is_option(waiting[0]):
                raise Unusable(f"{name} needs a value: {fields[name].metadata['text']}")
            value = waiting.pop(0)
        tidy.append(name if kinds[name] is bool else f"{name}={value}")
    return [*tidy, "--", *places] if places else tidy


def _is_option(argument: str) -> bool:
    """Whether an argument is the name of an option; a negative number and `-` are values."""
    return len(argument) > 1 and argument[0] == "-" and not NUMBER.match(argument)


def _taken(waiting: list[str], kind: type) -> list[str]:
    """Take the values of a list from the front of the arguments.

    The list ends before an option, after an argument with commas, and, if it is of numbers, before
    a later argument that is none.
    """
    taken: list[str] = []
    while waiting and not _is_option(waiting[0]):
        if taken and kind is not str and not waiting[0].strip(", ").replace(",", "").isdigit():
            break
        argument = waiting.pop(0)
        taken += parts(argument)
        if "," in argument and not argument.endswith(","):
            break
    return taken


def _unknown(program: str, name: str, fields: dict[str, dataclasses.Field]) -> str:
    meant = {other: known for known, field in fields.items()
             for other in (known[2:], f"no-{known[2:]}", *field.metadata["also"])}
    near = difflib.get_close_matches(name.lstrip("-").lower(), meant, n=1)
    hint = f"did you mean {meant[near[0]]}?" if near else f"{program} --help lists all"
    return f"{program} has no option {name}; {hint}"
