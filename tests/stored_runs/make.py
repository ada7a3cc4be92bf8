"""Made the runs beside this file, with the code of commit b9be09d: `python tests/stored_runs/make.py`, from the root.

Later versions must not make them anew: what they are for is to have been stored by an earlier one. To add runs of a
later version, give them a folder of their own.
"""

import os
import shutil
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"

import torch
from omegaconf import OmegaConf

from experiments.composition import compose_config
from ganrev import perceptual
from ganrev.data.seen import seen_latent
from ganrev.generator import dcgan
from ganrev.pixels import to_images, to_pillow
from ganrev.runner import run

HERE = Path("tests/stored_runs")  # relative, so that the stored configs hold from any checkout
GENERATOR = ["generator=dcgan", f"generator.path={HERE}/generator.pt", "device=cpu", "device.dtype=float32"]
DRAWINGS = ["data=folder", f"data.root={HERE}/drawings", "data.crop=none"]
GAN = [*GENERATOR, *DRAWINGS, "loss=mse", "reversal.steps=8", "reversal.lr=0.1", "batch_size=1"]
RUNS = {
    "unrounded": [*GAN, "quant=none"],
    "extreme": [*GAN, "quant=extreme", "reversal.restarts=2"],
    "ssim": [*GAN, "loss=ssim_l1", "quant=scaled", "entropy=range"],
    "automatic": [*GAN, "codec=gan_auto", "codec.target_bytes=24", "reversal.steps=20"],
    "jpeg": [*DRAWINGS, "codec=jpeg", "codec.quality=1"],
    "seen": [*GENERATOR, "data=seen", "data.limit=1", "data.seed=0", "codec=jpeg", "codec.quality=10"],
    "first_shard": [*GAN, "loss=l1", "data.shard=1/2"],
    "second_shard": [*GAN, "loss=l1", "data.shard=2/2"],
}


@torch.no_grad()
def make_generator() -> None:
    """Write a DCGAN of 8 latents that draws smooth pictures of 32 x 32."""
    torch.manual_seed(1)
    network = dcgan.DCGANNetwork([8, 6, 4, 4])
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1)
        elif tensor.ndim == 4:
            tensor.normal_(0, 0.3)
    torch.save(network.state_dict(), HERE / "generator.pt", _use_new_zipfile_serialization=False)


@torch.no_grad()
def find_seed() -> int:
    """Return a seed of data=seen whose picture has no sample near the middle between two levels of grey."""
    generator = dcgan.load(HERE / "generator.pt")
    for seed in range(200):
        levels = (generator(seen_latent(generator, seed, 0)).clamp(-1, 1) + 1) * 127.5
        if float((levels - levels.floor() - 0.5).abs().min()) > 3e-4:
            return seed
    raise ValueError("no seed draws a picture that every machine rounds alike")


@torch.no_grad()
def draw(num_pictures: int) -> None:
    """Write drawings of the generator, enlarged to the 128 x 128 pixels that data=folder takes."""
    generator = dcgan.load(HERE / "generator.pt")
    (HERE / "drawings").mkdir()
    for number in range(num_pictures):
        x = generator(seen_latent(generator, 1, number))
        picture = to_pillow(to_images(x)[0]).resize((128, 128), 0)
        picture.save(HERE / "drawings" / f"drawing{number}.png", optimize=True)


def main() -> None:
    """Write generator, drawings, runs and the table of which run is which."""
    perceptual.is_available = lambda: False  # an extra, which takes seconds
    for old in ("runs", "drawings"):
        shutil.rmtree(HERE / old, ignore_errors=True)
    make_generator()
    draw(2)
    table = {}
    for name, overrides in RUNS.items():
        overrides = [o.replace("data.seed=0", f"data.seed={find_seed()}") for o in overrides]
        folder = run(compose_config([*overrides, f"out={HERE}/runs"]))
        table[name] = {"folder": folder.name, "overrides": overrides}
    for lock in (HERE / "runs").glob(".*.lock"):
        lock.unlink()
    OmegaConf.save(OmegaConf.create(table), HERE / "runs.yaml")


if __name__ == "__main__":
    main()
