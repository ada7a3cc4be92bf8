"""`ganrev bench`, `bench-report`, `realism`, `hash-rates` and `fetch-identity`: measurements beside those of runs."""

from pathlib import Path

import click

from ganrev.commands import OUTPUT, RESULTS, show_warnings, with_overrides

_PATH = click.Path(path_type=Path)
_FACES = "tar shards or folders of 128 x 128 faces; may be given several times"


@click.command()
@click.option("--faces", type=_PATH, metavar="FOLDER", help="your own pictures instead of the CelebA sample")
@click.option("--quick", is_flag=True, help="a minute; its numbers mean little")
@click.option("--out", type=RESULTS, default=Path("results/bench"), show_default=True, help="folder to write")
@with_overrides
def bench(faces: Path | None, quick: bool, out: Path, overrides: tuple[str, ...]) -> None:
    """Measure speed and memory of reversal, in turn with a plain loop, and several jobs at once.

    The plain loop does what public re-implementations do: one image at a time, float32, Adam at a constant rate, weight
    gradients left on. Takes half an hour, and a machine without other work.

    \b
    ganrev bench --quick
    ganrev bench device.lanes=16
    """
    from experiments.bench import benchmark, points

    show_warnings()
    benchmark.run(points.QUICK if quick else points.FULL, list(overrides), faces, out)


@click.command("bench-report")
@click.option("--out", type=RESULTS, default=Path("results/bench/report"), show_default=True, help="folder to write")
@with_overrides
def bench_report(out: Path, overrides: tuple[str, ...]) -> None:
    """Measure how long a report takes to be written and to be opened in Chromium, and how large it is.

    On pictures that the generator draws: 10 in 8 codecs, and 500 in 4. Takes five minutes, mostly for the runs, which
    are kept.

    \b
    ganrev bench-report --out results/bench/report device=cpu
    """
    from experiments.bench import report_page

    show_warnings()
    report_page.run(list(overrides), out)


@click.command()
@click.argument("weights", nargs=-1, type=_PATH, metavar="[WEIGHTS]...")
@click.option("--real", multiple=True, required=True, metavar="FACES", help=_FACES)
@click.option("-n", "number", type=int, default=1000, show_default=True, help="pictures of each kind")
@click.option("--seed", type=int, default=0, show_default=True)
def realism(weights: tuple[Path, ...], real: tuple[str, ...], number: int, seed: int) -> None:
    """Measure how real a generator's samples look, beside real faces.

    WEIGHTS are safetensors files of the embedded network; none: the shipped ones. Prints, for other real faces, for
    these redrawn, and for samples from each prior, the share in which a detector finds a face, the share that the
    perceptual hash takes for a training face, and sliced Wasserstein distances to real faces (1000 times, as usual) on
    each level of the Laplacian pyramid, by its side in pixels.

    \b
    ganrev realism --real faces.tar -n 300 results/training/embedded.safetensors
    """
    from experiments import samples

    show_warnings()
    samples.compare(weights, real, number, seed)


@click.command("hash-rates")
@click.option("--faces", multiple=True, required=True, help=f"training faces: {_FACES}")
@click.option("--valid", required=True, help="folder of faces that were not trained on")
@click.option("--manifest", type=_PATH, required=True, help="CSV with celeba_id and identity of the faces")
@click.option("--hashes", type=_PATH, help="file to compare with  [default: the shipped one]")
@click.option("--changed", type=int, default=300, show_default=True, help="training faces that are changed")
@click.option("--others", type=int, default=2000, show_default=True, help="faces compared with those of other people")
@click.option("--output", type=OUTPUT, default=Path("results/reference/hash_rates.md"), show_default=True)
def hash_rates(
    faces: tuple[str, ...],
    valid: str,
    manifest: Path,
    hashes: Path | None,
    changed: int,
    others: int,
    output: Path,
) -> None:
    """Measure how often the perceptual hash of training faces errs, and write the table.

    \b
    ganrev hash-rates --faces faces.tar --valid held-out --manifest people.csv
    """
    from experiments import hash_rates as module

    show_warnings()
    module.write_rates(list(faces), valid, manifest, output, hashes=hashes, num_changed=changed, num_others=others)


@click.command("fetch-identity")
def fetch_identity() -> None:
    """Fetch the face recognition network behind the column `identity`: 100 MB, of which 32 are kept in the cache.

    From then on every run measures whether its pictures still show the same person, where the extra `identity` is
    installed.

    \b
    ganrev fetch-identity && ganrev run codec=webp
    """
    from ganrev.evaluation.identity import fetch_weights

    show_warnings()
    click.echo(fetch_weights())
