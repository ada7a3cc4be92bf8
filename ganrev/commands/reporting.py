"""`ganrev report`, `compare` and `export`: what stored runs tell, recomputing none."""

from pathlib import Path

import click

from ganrev.commands import HTML, JSON, RUN, show_warnings
from ganrev.files import kind_of
from ganrev.wording import counted

_RUNS = click.argument("folders", nargs=-1, required=True, type=RUN, metavar="RUN...")
_TABLE = click.option(
    "--table",
    default="table1",
    show_default=True,
    metavar="NAME",
    help="whose rows lend labels and the paper's figures: a file of configs/tables/, or the path of your own",
)


def _read_sizes(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in value.split(",") if size)
    except ValueError as error:
        raise click.BadParameter(f"expected sizes in bytes such as 250,445, got {value!r}") from error


def _check_file(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and (kind := kind_of(value)) != "a file":
        raise click.ClickException(f"{value} is {kind}, no file" if kind else f"there is no file {value}")
    return value


@click.command()
@_RUNS
@click.option(
    "-o",
    "--output",
    type=HTML,
    default=Path("report.html"),
    show_default=True,
    help="the HTML file, in a folder that is there",
)
@click.option(
    "--at", "sizes", default="", callback=_read_sizes, metavar="BYTES", help="pair files of nearly these sizes"
)
@click.option(
    "--curves", type=click.Path(path_type=Path), callback=_check_file, help="CSV of `ganrev rd`, to be shown, too"
)
@_TABLE
def report(folders: tuple[Path, ...], output: Path, sizes: tuple[int, ...], curves: Path | None, table: str) -> None:
    """Write one HTML file of stored runs: scores, curves, pictures side by side.

    It needs a browser and no network, and holds all pictures: with those of CelebA it may not be published.

    \b
    ganrev report results/runs/* -o report.html
    ganrev report results/runs/* --at 250,445 --curves results/tables/rd.csv
    """
    from ganrev.report import write_report

    show_warnings()
    path = write_report(folders, output, sizes, table, curves)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


@click.command()
@_RUNS
@_TABLE
def compare(folders: tuple[Path, ...], table: str) -> None:
    """Compare runs on the same pictures, picture by picture.

    Prints, for each two runs and each measure, the mean difference with its bootstrap interval, Wilcoxon's p (with
    Holm's correction where there are more than two runs), wins, ties and losses, and the pictures that decide.

    \b
    ganrev compare results/runs/gancodec-0123456789ab results/runs/jpeg-0123456789ab
    """
    from ganrev.report import compare_runs, read_reported
    from ganrev.report.paired import to_text
    from ganrev.report.reported import told_apart

    show_warnings()
    print(to_text(compare_runs(told_apart(read_reported(folders, table)))))


@click.command()
@_RUNS
@click.option("--format", "form", type=click.Choice(["compressai"]), required=True, help="whose files to write")
@click.option("-o", "--output", type=JSON, required=True, help="the JSON file, in a folder that is there")
@click.option("--name", help="of the curve  [default: the codec's]")
@_TABLE
def export(folders: tuple[Path, ...], form: str, output: Path, name: str | None, table: str) -> None:
    """Write runs of one codec as a curve that another project's tools read.

    `compressai` is CompressAI's result JSON, which `python -m compressai.utils.plot` draws.

    \b
    ganrev export results/runs/jpeg-* --format compressai -o jpeg.json
    """
    for folder in folders:
        if output.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{output} would be in {folder}, the record of a run; give -o a name elsewhere")

    from ganrev.files import to_json, write_whole
    from ganrev.report import read_reported, to_compressai

    show_warnings()
    curve = to_compressai(read_reported(folders, table), name)
    write_whole(output, to_json(curve).encode())
    print(f"{output}: {curve['name']}, {counted(len(curve['results']['bpp']), 'point')}")


@click.command()
def licences() -> None:
    """Print the licences of all that ganrev ships, fetches when it is asked for, and stands on.

    \b
    ganrev licences | less
    """
    from ganrev.licences import to_text

    click.echo(to_text())
