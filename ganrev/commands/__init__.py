"""The subcommands of `ganrev`: options, help, and a call. Nothing heavy is imported before a command runs."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ganrev.files import check_folder, check_output, kind_of


class _RunFolder(click.ParamType):
    """A run's folder, which must be there: said at once, before anything heavy is imported to read it."""

    name = "run"

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not Path(value).is_dir():
            kind = kind_of(Path(value))
            why = f"it is {kind}, no folder" if kind else "there is no such folder"
            raise click.ClickException(f"{value} is no finished run: {why}; give folders like results/runs/<run_id>")
        return Path(value)


class _Output(click.ParamType):
    """A file to write, in a folder that is there: refused at once, before the work that it is to hold.

    Args:
        or_folder: whether a folder that is there may stand for files in it.
        suffix: that the name must end in, so that nothing of another kind is overwritten; empty for any.
    """

    name = "file"

    def __init__(self, or_folder: bool = False, suffix: str = "") -> None:
        self.or_folder, self.suffix = or_folder, suffix

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if str(value) == "-":
            raise click.ClickException(
                "- stands for standard output, to which nothing is written here; give the name of a file (./- is one)"
            )
        if self.suffix and Path(value).suffix.lower() != self.suffix:
            raise click.ClickException(f"give {value} a name that ends in {self.suffix}")
        with _told():
            if self.or_folder and Path(value).is_dir():
                check_folder(Path(value))
            else:
                check_output(Path(value))
        return Path(value)


class _Results(click.ParamType):
    """A folder to write results to, which is made where it is missing: refused at once where it cannot be."""

    name = "folder"

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        with _told():
            check_folder(Path(value))
        return Path(value)


@contextmanager
def _told() -> Iterator[None]:
    """Turn a ValueError, which click would show with the usage and the option's name, into one line."""
    try:
        yield
    except ValueError as error:
        raise click.ClickException(str(error)) from error


RUN = _RunFolder()
OUTPUT = _Output()
OUTPUT_OR_FOLDER = _Output(or_folder=True)
HTML, JSON = _Output(suffix=".html"), _Output(suffix=".json")
RESULTS = _Results()

_OVERRIDES = "[OPTION=VALUE]..."


def with_overrides(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command Hydra overrides as its last arguments, with or without `--` before them."""
    return click.argument("overrides", nargs=-1, metavar=_OVERRIDES)(command)


def passes_all_on(name: str, summary: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command that passes all arguments, also `--help` and other options, on to Hydra."""
    settings = {"ignore_unknown_options": True, "help_option_names": []}

    def decorate(function: Callable[..., Any]) -> click.Command:
        words = click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar=_OVERRIDES)
        return click.command(name, short_help=summary, context_settings=settings)(words(function))

    return decorate


def show_warnings() -> None:
    """Print warnings of the package without date and module."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
