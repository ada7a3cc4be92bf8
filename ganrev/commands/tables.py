"""`ganrev table`, `figures`, `rd`, `automatic` and `sweep`: many runs, described by a YAML file of configs/tables/."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ganrev.commands import RESULTS, show_warnings

_GOES_ON = "Finished runs are taken as they are, so that an interrupted command goes on where it stopped."


def _takes_table(default: str, results: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of `[NAME] [OPTION=VALUE]... [--results DIR]`."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        metavar = f"[NAME, default {default}] [OPTION=VALUE]..."
        words = click.argument("words", nargs=-1, metavar=metavar)
        folder = click.option(
            *("--results", "results"),
            type=RESULTS,
            default=Path(results),
            show_default=True,
            help="folder to write, made where it is missing",
        )
        return click.command(epilog=_GOES_ON)(words(folder(function)))

    return decorate


def _split(words: tuple[str, ...], default: str) -> tuple[str, list[str]]:
    from experiments.composition import split_words

    show_warnings()
    return split_words(words, default)


@_takes_table("table1", "results/tables")
def table(words: tuple[str, ...], results: Path) -> None:
    """Measure each row of a table, and print it beside the paper's figures.

    NAME is a file of configs/tables/ with `rows`, or the path of your own.

    \b
    ganrev table table1
    ganrev table baselines data.limit=60
    """
    from experiments import table as module

    module.make_table(*_split(words, "table1"), results)


@_takes_table("figures", "results/figures")
@click.option(
    "--picture", type=click.IntRange(min=0), help="its place among the pictures, from 0  [default: the YAML's]"
)
@click.option("--make", is_flag=True, help="make the runs that are not there, but for those of `ganrev rd`")
def figures(words: tuple[str, ...], results: Path, picture: int | None, make: bool) -> None:
    """Draw the paper's Figures 1 to 3, curves and plots from stored runs, as PNG and PDF.

    A figure whose runs are not there is left out, and the command that makes them is named. NAME is a file of
    configs/tables/ with `figures`, or the path of your own.

    \b
    ganrev figures --picture 3
    """
    from experiments.figures import command

    command.make_figures(*_split(words, "figures"), results, picture, make)


@_takes_table("rd", "results/tables")
def rd(words: tuple[str, ...], results: Path) -> None:
    """Measure bytes against every measure, curve beside curve, with floors and BD-rates.

    NAME is a file of configs/tables/ with `curves`, or the path of your own. A codec that needs faces, a package or
    weights that are not there is left out. Slow measures are taken of the first 30 pictures, unless score_limit=null.

    \b
    ganrev rd codec.faces=[faces.tar] data.limit=100
    """
    from experiments import rate_distortion

    rate_distortion.make_curves(*_split(words, "rd"), results)


@_takes_table("automatic", "results/tables")
def automatic(words: tuple[str, ...], results: Path) -> None:
    """Compare automatic mode with the best of a full grid, picture by picture.

    NAME is a file of configs/tables/ with `automatic` and `grid`, or the path of your own.

    \b
    ganrev automatic data.limit=20
    """
    from experiments import automatic as module

    module.make_comparison(*_split(words, "automatic"), results)


@_takes_table("sweep", "results/sweeps")
def sweep(words: tuple[str, ...], results: Path) -> int:
    """Run a grid by Hydra's multirun, then gather one tidy CSV; exits with status 1 if a job failed.

    NAME is a file of configs/tables/ with `overrides`, or the path of your own.

    \b
    ganrev sweep
    ganrev sweep grid loss=ssim,mse quant.step=0.5,1
    """
    from experiments import sweep as module

    return module.make_sweep(*_split(words, "sweep"), results)
