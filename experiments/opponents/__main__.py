"""`python -m experiments.opponents --faces faces.tar --valid held-out` (= `make opponents`)."""

import logging
from pathlib import Path

import click

from experiments.opponents.command import train_all
from ganrev.errors import plain_errors
from ganrev.terminal import print_anything


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--faces", multiple=True, required=True, help="tar shards or folders of training faces; several times")
@click.option("--valid", required=True, help="folder of faces that were not trained on, for the scores in the cards")
@click.option("--manifest", type=click.Path(path_type=Path), help="CSV with celeba_id and identity of the faces")
@click.option("--only", multiple=True, metavar="KIND", help="autoencoder, hyperprior, encoder or adversarial")
@click.option("--steps", type=int, help="of each, fewer than a whole training: a trial")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/opponents"), show_default=True)
def main(
    faces: tuple[str, ...], valid: str, manifest: Path | None, only: tuple[str, ...], steps: int | None, out: Path
) -> None:
    """Train the learned codecs that GAN reversal is compared with; the same command goes on after a kill.

    Takes about an hour on one core. Writes weights, cards, logs and checkpoints; use what was trained by
    codec.path=results/opponents/hyperprior.safetensors.
    """
    print_anything()
    logging.basicConfig(format="%(message)s")
    with plain_errors():
        train_all(faces, valid, manifest, out, only, steps)


if __name__ == "__main__":
    main()
