"""The subcommands of `ganrev`: options, help, and a call. Nothing heavy is imported before a command runs."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


class _RunFolder(click.ParamType):
    """A run's folder, which must be there: said at once, before anything heavy is imported to read it."""

    name = "run"

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not Path(value).is_dir():
            raise click.ClickException(
                f"{value} is no finished run: there is no such folder; give folders like results/runs/<run_id>"
            )
        return Path(value)


RUN = _RunFolder()

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
