"""`ganrev latents --faces faces.tar`: how widely each latent spreads, and how visible it is.

Both are measured on training faces and lie beside the weights: the range coder's prior and the step sizes
of `quant=scaled` come from them. Training publishes that table with its weights; this command, on the same faces in the
same order, writes it again, byte for byte on the same machine.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ganrev.codecs.gan import GanCodec
from ganrev.coding.backends import Store
from ganrev.coding.quantiser import Quantiser
from ganrev.data.corpus import load_corpus
from ganrev.generator.base import Generator
from ganrev.generator.embedded import latents_path, load_embedded, save_latents
from ganrev.paths import weights_dir
from ganrev.pixels import to_images, to_x
from ganrev.progress import ProgressBar
from ganrev.reversal.device import Device
from ganrev.reversal.losses import MSE, SSIM
from ganrev.reversal.settings import Reversal
from ganrev.train.batches import deblur

_NUDGE = 0.3  # of a latent, in units of z: far above rounding, small against a face's own spread
# Not the default, which may change: measured again, the table of stored weights must come out the same.
_REVERSAL = Reversal(lr=0.06, steps=300, betas=(0.9, 0.999))
_DEBLUR = 0.85  # the faces that are compressed are as sharp as CelebA's own


@torch.no_grad()
def visibility(generator: Generator, losses: Sequence[nn.Module], z: Tensor, batch_size: int = 16) -> Tensor:
    """Return the second derivative of each of K losses by each latent, averaged over faces, float32 [K, D].

    Args:
        generator: frozen, in float32.
        losses: zero for equal pictures, so that what a nudge does to them is curvature alone.
        z: latents of faces [N, D].
    """
    curvature = torch.zeros(len(losses), z.shape[1])
    for row in ProgressBar(z, desc="nudging latents", unit="face", leave=False):
        face = generator(row[None])
        for places in torch.arange(z.shape[1]).split(batch_size):
            nudged = row.repeat(len(places), 1)
            nudged[torch.arange(len(places)), places] += _NUDGE
            drawn, faces = generator(nudged), face.expand(len(places), -1, -1, -1)
            curvature[:, places] += 2 * torch.stack([loss(drawn, faces) for loss in losses]) / _NUDGE**2
    return curvature / len(z)


def measure(generator: Generator, faces: Tensor, num_nudged: int) -> tuple[Tensor, Tensor]:
    """Measure what `Generator.set_latent_statistics` takes.

    Args:
        generator: frozen.
        faces: uint8 [N, 3, S, S], trained on.
        num_nudged: how many of them, the first, for the slower of the two measurements.

    Returns:
        Deviations [D]: of a Laplace law, sqrt(2) E|z|, over reversed faces. Step sizes [D]: see `balanced_steps`.
    """
    codec = GanCodec(generator, SSIM(), Quantiser(None), Store(), _REVERSAL, Device("cpu"))
    z = torch.cat(
        [codec.latents(codec.encode(part)) for part in ProgressBar(faces.split(16), desc="reversing", leave=False)]
    )
    deviations = math.sqrt(2) * z.abs().mean(dim=0)
    return deviations, balanced_steps(*visibility(generator, (SSIM(), MSE()), z[:num_nudged]))


def balanced_steps(by_ssim: Tensor, by_mse: Tensor) -> Tensor:
    """Return step sizes of latents, equal multiples of which are about equally visible, float32 [D].

    Halfway, as logarithms, between 1 / sqrt(curvature) of SSIM and of MSE, whose mean is brought to the former's.
    SSIM alone says too little of the latents that change a picture most: a nudge that would show hardly raises it once
    contrast is lost. On validation faces automatic mode's files of 60 to 250 bytes came out clearly better halfway than
    by SSIM alone, and up to 120 bytes better than by MSE alone.

    Args:
        by_ssim: curvature of SSIM by each latent, float32 [D].
        by_mse: that of MSE.
    """
    ssim, mse = (-0.5 * curvature.clamp_min(1e-8).log() for curvature in (by_ssim, by_mse))
    return (0.5 * (ssim + mse + ssim.mean() - mse.mean())).exp()


def write_table(weights: Path, faces: Tensor, num_faces: int, num_nudged: int) -> str:
    """Measure the latents of stored weights on some training faces and write the table beside them.

    Args:
        weights: safetensors of EmbeddedNetwork.
        faces: uint8 [N, 3, 128, 128], all that it was trained on, in the order of `ganrev.data.corpus.load_corpus`.
        num_faces: how many to reverse, drawn from all of them, always the same.
        num_nudged: how many of these for the step sizes, at 512 forward passes each.

    Returns:
        One line for the model card: what the table was measured on.

    Raises:
        ValueError: a number below 1, or weights that cannot be loaded.
    """
    if num_faces < 1 or num_nudged < 1:
        raise ValueError(f"a table of latents needs a face to reverse and one to nudge, got {num_faces}, {num_nudged}")
    chosen = faces[torch.randperm(len(faces), generator=torch.Generator().manual_seed(0))[:num_faces]]
    chosen = to_images(deblur(to_x(chosen), torch.full((len(chosen),), _DEBLUR)))
    save_latents(*measure(load_embedded(weights, unseen_scale=1.0), chosen, num_nudged), weights)
    return describe_table(num_faces, num_nudged, len(faces))


def describe_table(num_faces: int, num_nudged: int, num_all: int) -> str:
    """Return one line for the card: what a table of all faces was measured on; arguments as for `write_table`."""
    measured = min(num_faces, num_all)
    return (
        f"measured on {measured} of the training faces, drawn at random and sharpened by {_DEBLUR}: deviations on "
        f"all of them, reversed with loss=ssim, steps on {min(num_nudged, measured)}, by SSIM and MSE"
    )


def rewrite_table(weights: Path | None, faces: Sequence[str], num_faces: int = 48, num_nudged: int = 8) -> None:
    """Write the table beside stored weights and say what it was measured on.

    Args:
        weights: safetensors of EmbeddedNetwork; None: the shipped ones.
        faces: tar shards or folders of all that it was trained on.
        num_faces: as for `write_table`.
        num_nudged: as for `write_table`.
    """
    weights = weights or weights_dir() / "embedded.safetensors"
    _, images = load_corpus(list(faces))
    line = write_table(weights, images, num_faces, num_nudged)
    print(f"{latents_path(weights)}: {line}")
