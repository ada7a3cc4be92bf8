"""`ganrev run`, `runs`, `collect`, `verify` and `recode`: runs and what they leave."""

import sys
from pathlib import Path

import click

from ganrev.commands import OUTPUT, RUN, passes_all_on, show_warnings, with_overrides
from ganrev.files import write_whole
from ganrev.wording import counted

_RUNS = Path("results/runs")
_SHOWN = ("num_bytes", "paper_bytes", "psnr", "ssim", "stlpips")  # means that `ganrev recode` prints


@passes_all_on("run", "evaluate a codec over a data set")
def run(words: tuple[str, ...]) -> None:
    """Evaluate a codec over a data set, as run.py does in a checkout: `ganrev run loss=ssim quant=extreme`."""
    from ganrev.app import main

    sys.argv = ["ganrev run", *words]  # Hydra reads it itself
    main()


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=_RUNS, metavar="[FOLDER]")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="only the last N of the list")
@click.option(
    "--sort",
    type=click.Choice(["when", "what", "pictures", "bytes", "psnr", "ssim"]),
    default="when",
    show_default=True,
)
def runs(folder: Path, last: int | None, sort: str) -> None:
    """List stored runs: what each was, pictures, bytes, scores, when and by which commit.

    What is left out of a run's options has its default.

    \b
    ganrev runs
    ganrev runs results/runs --last 10 --sort ssim
    """
    from ganrev.evaluation.run_list import read_runs, to_text

    print(to_text(read_runs(folder, sort, last)))


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER]...")
def collect(folders: tuple[Path, ...]) -> int:
    """Merge the shards of each run, made with data.shard=i/n, into the run that one machine would make.

    FOLDERs hold runs, results/runs unless given; several if machines share no disk. Merged runs go to the
    first. Exits with status 1 if a run cannot be merged.

    \b
    ganrev collect
    ganrev collect results/runs other-machine/runs
    """
    from ganrev.evaluation import merge

    show_warnings()
    folders = folders or (_RUNS,)
    found = merge.find_shards(folders)
    if not found:
        raise ValueError(f"no shards in {', '.join(map(str, folders))}: runs with data.shard=1/4 and so on")
    status = 0
    for name, shards in found.items():
        try:
            merged = merge.collect(name, shards, folders[0])
            print(f"{merged}: {counted(len(shards), 'shard')}, {counted(merged.summary['num_images'], 'picture')}")
        except ValueError as error:
            print(f"{name}: {error}", file=sys.stderr)
            status = 1
    return status


@click.command()
@click.argument("folders", nargs=-1, required=True, type=RUN, metavar="RUN...")
@click.option("--alone", type=int, default=0, metavar="N", help="compress the first N pictures alone, too")
def verify(folders: tuple[Path, ...], alone: int) -> int:
    """Check that a run's files still give its scores, and that pictures compressed alone do too.

    Prints a line for each run; exits with status 1 where a score changes by more than 1e-3, with status 2 where a run
    cannot be checked.

    \b
    ganrev verify results/runs/*
    ganrev verify results/runs/gancodec-0123456789ab --alone 10
    """
    from ganrev.evaluation import verify as module
    from ganrev.evaluation.run_folder import RunFolder

    show_warnings()
    status = 0
    for folder in folders:
        try:
            change = module.verify(RunFolder.finished(folder), alone)
        except ValueError as error:
            if len(folders) == 1:
                raise
            print(f"error: {error}", file=sys.stderr, flush=True)
            status = 2
            continue
        line = f"{folder}: decoded again, PSNR within {change.psnr:.1e} dB, SSIM within {change.ssim:.1e}"
        if change.alone is not None:
            line += f"; compressed alone, SSIM within {change.alone:.1e}"
        print(f"{line}{'; CHANGED by more than 1e-3' if change.has_changed else ''}", flush=True)
        status = max(status, int(change.has_changed))
    return status


@click.command()
@click.argument("folder", type=RUN, metavar="RUN")
@click.option("-o", "--output", type=OUTPUT, metavar="CSV", help="one row for each picture, in a folder that is there")
@with_overrides
def recode(folder: Path, output: Path | None, overrides: tuple[str, ...]) -> None:
    """Round and code the latents that a run has found anew, and score the files.

    RUN is a finished run of codec=gan with quant=none. Reversal takes hours, rounding and coding less, so that one such
    run serves any number of quantisers.

    \b
    ganrev recode results/runs/gancodec-0123456789ab quant=extreme entropy=range
    """
    from ganrev.evaluation import recode as module
    from ganrev.evaluation.metrics import mean_and_interval
    from ganrev.evaluation.run_folder import RunFolder

    show_warnings()
    rows = module.recode(RunFolder.finished(folder), overrides)
    print(f"{counted(len(rows), 'picture')} of {folder.name}, {' '.join(overrides)}")
    for key in (key for key in _SHOWN if key in rows):
        mean, half = mean_and_interval(rows[key].tolist())
        interval = f" ± {half:.4f}" if len(rows) > 1 else ""
        print(f"  {key:<12} {mean:.4f}{interval}, from {rows[key].min():.4f} to {rows[key].max():.4f}")
    if output:
        write_whole(output, rows.to_csv(index=False).encode())
