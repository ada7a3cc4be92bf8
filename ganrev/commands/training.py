"""`ganrev train`, `latents`, `face-prior` and `train-frame`: the networks that ship and what lies beside them."""

import sys
from pathlib import Path

import click

from ganrev.commands import OUTPUT, passes_all_on


@passes_all_on("train", "train the embedded generator")
def train(words: tuple[str, ...]) -> None:
    """Train the embedded generator: `ganrev train train.faces=[faces.tar] train.valid=held-out`."""
    from ganrev.configuration.overrides import check_overrides
    from ganrev.train.__main__ import main

    check_overrides([word for word in words if "=" in word and not word.startswith("-")])
    sys.argv = ["ganrev train", *words]  # Hydra reads it itself
    main()


@click.command()
@click.argument("weights", type=click.Path(path_type=Path), required=False, metavar="[WEIGHTS]")
@click.option("--faces", multiple=True, required=True, help="tar shards or folders of training faces; several times")
@click.option("-n", "number", type=int, default=48, show_default=True, help="faces to reverse")
@click.option("--nudged", type=int, default=8, show_default=True, help="of them, faces to nudge each latent of")
def latents(weights: Path | None, faces: tuple[str, ...], number: int, nudged: int) -> None:
    """Measure how widely each latent spreads and how visible it is, and write the table beside the weights.

    WEIGHTS is a safetensors file of the embedded network; none: the shipped one. Training publishes that table with its
    weights; this command, on the same faces in the same order, writes it again.

    \b
    ganrev latents --faces faces.tar
    """
    from ganrev.train.latents import rewrite_table

    rewrite_table(weights, list(faces), number, nudged)


@click.command("face-prior")
@click.argument("weights", type=click.Path(path_type=Path), required=False, metavar="[WEIGHTS]")
@click.option("--faces", multiple=True, required=True, help="tar shards or folders of training faces; several times")
@click.option("--leading", type=int, default=128, show_default=True, help="latents that the mixture is over")
@click.option("--laws", type=int, default=16, show_default=True, help="normal laws of the mixture")
@click.option("--seed", type=int, default=0, show_default=True)
def face_prior(weights: Path | None, faces: tuple[str, ...], leading: int, laws: int, seed: int) -> None:
    """Fit a density to training faces' latents and write it beside the weights; needs the extra `train`.

    WEIGHTS is a safetensors file of the embedded network; none: the shipped one. From then on data.prior=faces draws
    seen pictures from it, and `ganrev sample --prior faces`.

    \b
    ganrev face-prior --faces faces.tar
    """
    from ganrev.train.face_prior import write_face_prior

    write_face_prior(weights, list(faces), leading, laws, seed)


@click.command("train-frame")
@click.option("--faces", multiple=True, required=True, help="tar shards or folders of training faces; several times")
@click.option("--valid", required=True, help="the same of other people, to score on")
@click.option(
    "-o", "--output", type=OUTPUT, required=True, metavar="OUT", help="a .safetensors file, in a folder that is there"
)
@click.option("--steps", type=click.IntRange(min=1), default=6000, show_default=True)
@click.option("--lr", type=float, default=2e-3, show_default=True)
@click.option("--start", type=click.Path(path_type=Path, exists=True), metavar="WEIGHTS", help="go on from these")
@click.option("--seed", type=int, default=0, show_default=True)
def train_frame(
    faces: tuple[str, ...], valid: str, output: Path, steps: int, lr: float, start: Path | None, seed: int
) -> None:
    """Train the network that refines the frame of a face, ten minutes on one core, and write its card beside it.

    \b
    ganrev train-frame --faces faces.tar --valid held-out -o results/training/frame.safetensors
    """
    from ganrev.train.refining import train

    scores = train(faces, valid, output, num_steps=steps, lr=lr, start=start, seed=seed)
    print(f"{output}: {', '.join(f'{name} {value:g}' for name, value in scores.items())}")
