"""`ganrev train` and `latents`: the embedded generator and the table beside its weights."""

import sys
from pathlib import Path

import click

from ganrev.commands import passes_all_on


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
