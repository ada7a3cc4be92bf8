"""Files of z and a grid (`latent=all`): better pictures than z's, the same everywhere."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from ganrev.codecs.gan import GanCodec
from ganrev.coding import container
from ganrev.coding.backends import Bzip2, Range
from ganrev.coding.quantiser import Quantiser, RateDistortion, ScaledQuantiser
from ganrev.paths import checkout
from ganrev.pixels import to_images, to_x
from ganrev.reversal.device import Device
from ganrev.reversal.losses import MSE
from ganrev.reversal.settings import Reversal
from tests.tiny import TinyGenerator, TinyGridGenerator, smooth_images, tiny_codec

QUANTS = {"rd": RateDistortion(1e-6, step=0.1, steps=20, rounds=10), "scaled": ScaledQuantiser(0.1)}
every_quant = pytest.mark.parametrize("quant", QUANTS.values(), ids=QUANTS)


def levels_codec(quant: Quantiser, **changes: object) -> GanCodec:
    """Return a codec that writes z and the tiny grid, any argument changed."""
    arguments: dict[str, object] = {
        "generator": TinyGridGenerator(),
        "quant": quant,
        "entropy": Range("fitted"),
        "reversal": Reversal(lr=0.1, steps=40),
        "latent": "all",
    }
    return tiny_codec(**(arguments | changes))


def losses(codec: GanCodec, blobs: list[bytes], images: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error of each decoded picture, [N]."""
    return MSE()(to_x(codec.decode(blobs)), to_x(images))


@every_quant
def test_a_grid_draws_what_z_cannot(quant: Quantiser) -> None:
    images = smooth_images(3)
    both, alone = levels_codec(quant), levels_codec(quant, latent="z")
    blobs, of_z = both.encode(images), alone.encode(images)
    assert {container.read(blob).version for blob in blobs} == {3}
    assert {container.read(blob).version for blob in of_z} == {2}
    assert (losses(both, blobs, images) < losses(alone, of_z, images)).all()
    assert torch.equal(alone.decode(blobs), both.decode(blobs))  # what a codec writes does not limit what it reads


@every_quant
def test_the_decoder_draws_what_the_file_says(quant: Quantiser) -> None:
    codec = levels_codec(quant)
    blobs = codec.encode(smooth_images(2))
    latents = codec.latents(blobs)
    assert latents.shape == (2, 112)
    with torch.no_grad():
        assert torch.equal(codec.decode(blobs), to_images(TinyGridGenerator()(latents)))


@every_quant
def test_a_picture_gives_the_same_bytes_twice_alone_and_in_any_batch(quant: Quantiser) -> None:
    images = smooth_images(5)
    codec = levels_codec(quant)
    blobs = codec.encode(images)
    assert len(set(blobs)) == 5
    assert codec.encode(images) == blobs
    assert [codec.encode(image[None])[0] for image in images] == blobs
    assert codec.encode(images.flip(0)) == blobs[::-1]
    assert levels_codec(quant, device=Device("cpu", "float32", 2)).encode(images) == blobs


def test_files_with_and_without_a_grid_are_decoded_together() -> None:
    images = smooth_images(2)
    codec = levels_codec(QUANTS["scaled"])
    blobs = codec.encode(images) + levels_codec(QUANTS["scaled"], latent="z").encode(images)
    mixed = [blobs[place] for place in (2, 0, 3, 1)]
    assert torch.equal(codec.decode(mixed), torch.cat([codec.decode([blob]) for blob in mixed]))


def test_bytes_that_are_dear_leave_the_grid_out() -> None:
    codec = levels_codec(RateDistortion(1.0, step=0.1, steps=20, rounds=30))
    assert {container.read(blob).version for blob in codec.encode(smooth_images(2))} == {2}


def test_restarts_are_chosen_with_the_grid() -> None:
    images = smooth_images(2)
    one, four = (
        levels_codec(QUANTS["scaled"], reversal=Reversal(lr=0.1, steps=40, restarts=restarts, halving=False))
        for restarts in (1, 4)
    )
    assert (losses(four, four.encode(images), images) <= losses(one, one.encode(images), images) + 1e-6).all()


def test_latents_that_were_found_before_are_coded_anew() -> None:
    images = smooth_images(2)
    codec = levels_codec(QUANTS["scaled"])
    blobs = codec.recode(torch.zeros(2, 16), images)
    assert codec.latents(blobs).shape == (2, 112)
    assert codec.recode(torch.zeros(2, 16), images) == blobs


_CHILD = """
import sys
from pathlib import Path
from tests.codecs.test_levels import QUANTS, levels_codec
blobs = [Path(name).read_bytes() for name in sys.argv[1:]]
print(levels_codec(QUANTS["scaled"]).decode(blobs).numpy().tobytes().hex())
"""


def test_a_fresh_process_decodes_the_same_picture(tmp_path) -> None:
    codec = levels_codec(QUANTS["rd"])
    blobs = codec.encode(smooth_images(2))
    paths = [tmp_path / f"{i}.gr" for i in range(2)]
    for path, blob in zip(paths, blobs, strict=True):
        path.write_bytes(blob)
    environment = os.environ | {"PYTHONPATH": str(checkout()), "OMP_NUM_THREADS": "2"}
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, *map(str, paths)],
        cwd=checkout(),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    drawn = np.frombuffer(bytes.fromhex(child.stdout.strip()), np.uint8)
    assert np.array_equal(drawn, codec.decode(blobs).numpy().ravel())


def test_what_has_no_grid_or_cannot_hold_one_says_so() -> None:
    with pytest.raises(ValueError, match="TinyGenerator has no latents beyond z; take latent=z"):
        levels_codec(QUANTS["scaled"], generator=TinyGenerator())
    for changes in ({"entropy": Bzip2()}, {"entropy": Range("prior")}, {"quant": Quantiser(1.0)}):
        with pytest.raises(ValueError, match="latent=all needs quant=rd or quant=scaled, entropy=range and"):
            levels_codec(**({"quant": QUANTS["scaled"]} | changes))
    with pytest.raises(ValueError, match="latent must be"):
        levels_codec(QUANTS["scaled"], latent="grid")
