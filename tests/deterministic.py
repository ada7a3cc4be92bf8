"""`python -m tests.deterministic`: encode and decode two pictures in a process whose threads and batches are chosen."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate

from ganrev.data.seen import Seen
from ganrev.evaluation.metrics import distortion
from tests.tiny import compose_config, smooth_images


def main(folder: Path, threads: int, batch: int, overrides: list[str]) -> dict:
    """Write the pictures of the files in a folder, first the files where there are none; returns what to compare."""
    codec = instantiate(compose_config(f"device.threads={threads}", "device=cpu", *overrides).codec)
    images = smooth_images(2, 32) if codec.image_size == 32 else Seen(codec.generator, limit=2).load().images
    parts = images.split(batch)
    files = [folder / f"{number}.gr" for number in range(len(images))]
    if not files[0].exists():
        blobs = [blob for part in parts for blob in codec.encode(part)]
        for file, blob in zip(files, blobs, strict=True):
            file.write_bytes(blob)
    blobs = [file.read_bytes() for file in files]
    groups = [blobs[begin : begin + batch] for begin in range(0, len(blobs), batch)]
    latents = torch.cat([codec.latents(group) for group in groups])
    decoded = torch.cat([codec.decode(group) for group in groups])
    pixels = folder / f"decoded-{threads}-{batch}-{torch.backends.cpu.get_cpu_capability()}.npy"
    np.save(pixels, decoded.numpy())
    return {
        "pixels": str(pixels),
        "files": [hashlib.sha256(blob).hexdigest() for blob in blobs],
        "sizes": [len(blob) for blob in blobs],
        "ssim": [distortion(image, one)["ssim"] for image, one in zip(images, decoded, strict=True)],
        "latents": hashlib.sha256(latents.numpy().tobytes()).hexdigest(),
        "decoded": hashlib.sha256(decoded.numpy().tobytes()).hexdigest(),
    }


if __name__ == "__main__":
    place, num_threads, size, *rest = sys.argv[1:]
    print(json.dumps(main(Path(place), int(num_threads), int(size), rest)))
