"""Training faces, held in memory as uint8."""

import io
import tarfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def _pixels(data: bytes, name: str, size: int) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            rgb = picture.convert("RGB")
    except OSError as error:
        raise ValueError(f"{name} is damaged or no picture; take it out") from error
    if rgb.size != (size, size):
        raise ValueError(
            f"{name} is {rgb.width} x {rgb.height}; training faces must be {size} x {size}, crop them first"
        )
    return np.asarray(rgb)


def _members(source: Path) -> list[tuple[str, bytes]]:
    if source.is_dir():
        files = sorted(p for p in source.iterdir() if p.suffix.lower() in _SUFFIXES)
        return [(p.stem, p.read_bytes()) for p in files]
    try:
        with tarfile.open(source) as tar:
            members = [m for m in tar.getmembers() if m.isfile() and Path(m.name).suffix.lower() in _SUFFIXES]
            return [(Path(m.name).stem, tar.extractfile(m).read()) for m in members]
    except tarfile.TarError as error:
        raise ValueError(f"{source} is no whole tar file; give tar shards or folders of pictures") from error


def load_corpus(sources: list[str | Path], size: int = 128) -> tuple[list[str], Tensor]:
    """Read every picture of some tar shards or folders.

    Args:
        sources: tar files or folders of pictures, each already `size` x `size`.
        size: side in pixels.

    Returns:
        Names without suffix, and uint8 [N, 3, size, size].

    Raises:
        ValueError: a source is missing, is no tar file or holds no picture, or a picture is damaged or of another size.
    """
    names: list[str] = []
    pictures: list[np.ndarray] = []
    for source in map(Path, sources):
        if not source.exists():
            raise ValueError(f"there are no faces at {source}: give tar shards or folders of pictures")
        members = _members(source)
        if not members:
            raise ValueError(f"{source} holds no picture ({', '.join(sorted(_SUFFIXES))})")
        for name, data in tqdm(members, desc=f"reading {source.name}", unit="face"):
            names.append(name)
            pictures.append(_pixels(data, f"{source}: {name}", size))
    if not pictures:
        raise ValueError("there are no faces: give tar shards or folders of pictures")
    stacked = torch.from_numpy(np.stack(pictures))
    return names, stacked.permute(0, 3, 1, 2).contiguous()


def batch_at(num_faces: int, batch_size: int, step: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the indices and the flips of one step's batch, the same after a resume as without one.

    Raises:
        ValueError: there are fewer faces than a batch has.
    """
    per_epoch = num_faces // batch_size
    if not per_epoch:
        raise ValueError(f"train.batch_size={batch_size} needs at least so many faces, got {num_faces}")
    epoch, place = divmod(step, per_epoch)
    rng = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(num_faces, generator=rng)
    flips = torch.rand(num_faces, generator=rng) < 0.5
    chosen = order[place * batch_size : (place + 1) * batch_size]
    return chosen, flips[chosen]


def deblur(x: Tensor, strength: Tensor) -> Tensor:
    """Undo some of the blur that warping faces onto a frame leaves.

    The detail that is strengthened is what a [1 2 1] blur takes away, and of that once more: the finest. At a strength
    of 0.85 the spectrum of the warped shards becomes that of CelebA's own aligned pictures.

    Args:
        x: float [N, 3, H, W] in [-1, 1].
        strength: of each picture, float [N]; 0 leaves it as it is.

    Returns:
        Float [N, 3, H, W] in [-1, 1].
    """
    detail = x - _binomial_blur(x)
    detail = detail - _binomial_blur(detail)
    return (x + strength.view(-1, 1, 1, 1) * detail).clamp(-1, 1)


def _binomial_blur(x: Tensor) -> Tensor:
    for dim in (-1, -2):
        pad = (1, 1, 0, 0) if dim == -1 else (0, 0, 1, 1)
        wide = F.pad(x, pad, mode="replicate")
        size = x.shape[dim]
        x = (wide.narrow(dim, 0, size) + 2 * wide.narrow(dim, 1, size) + wide.narrow(dim, 2, size)) / 4
    return x
