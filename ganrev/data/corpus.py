"""Faces to train on, read from tar shards and folders into memory as uint8."""

import logging
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganrev.data.formats import decode_picture
from ganrev.paths import user_path
from ganrev.progress import ProgressBar

_logger = logging.getLogger(__name__)

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".jp2"}

_MOST_BYTES = 64 << 20  # of one file: no face of 128 x 128 comes near, and a compressed shard may hold gigabytes


def check_sources(faces: object, option: str, size: int = 128) -> list[Path]:
    """Return the places of faces; ValueError unless they are a list, and all of them are there.

    Args:
        faces: as an option has them.
        option: its name, for messages.
        size: side of the faces in pixels.
    """
    if not isinstance(faces, Sequence) or isinstance(faces, str) or not faces:
        raise ValueError(
            f"{option} must be a list of tar shards or folders of training faces, {size} x {size} pixels, got "
            f"{faces!r}: for example {option}=[train-0.tar,more/]"
        )
    sources = [user_path(face) for face in faces]
    missing = [str(source) for source in sources if not source.exists()]
    if missing:
        raise ValueError(f"no training faces at {', '.join(missing)}: give tar shards or folders by {option}=[...]")
    return sources


def load_corpus(sources: Sequence[str | Path], size: int = 128) -> tuple[list[str], Tensor]:
    """Read every picture of some tar shards or folders; a warning names other files, except hidden ones.

    Args:
        sources: tar files or folders of pictures, each already `size` x `size`; decoded as test pictures are.
        size: side in pixels.

    Returns:
        Names without suffix, and uint8 [N, 3, size, size].

    Raises:
        ValueError: a source is missing, is not a tar file or holds no picture; a picture is damaged or of another size.
    """
    names: list[str] = []
    pictures: list[np.ndarray] = []
    for source in map(Path, sources):
        if not source.exists():
            raise ValueError(f"there are no faces at {source}: give tar shards or folders of pictures")
        files = _read_folder(source) if source.is_dir() else _read_tar(source)
        num_before = len(names)
        for name, data in ProgressBar(files, desc=f"reading {source.name}", unit="face"):
            names.append(name)
            pictures.append(_pixels(data, f"{source}: {name}", size))
        if len(names) == num_before:
            raise ValueError(f"{source} holds no picture ({', '.join(sorted(_SUFFIXES))})")
    if not pictures:
        raise ValueError("there are no faces: give tar shards or folders of pictures")
    images = torch.empty(len(pictures), 3, size, size, dtype=torch.uint8)
    for place in reversed(range(len(pictures))):  # each is let go once it is copied: all would take memory twice
        images[place] = torch.tensor(pictures.pop()).permute(2, 0, 1)
    return names, images


def _read_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name without suffix and content of each picture file, in the order of their names."""
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
    for name in _pictures(list(files), folder):
        yield files[name].stem, files[name].read_bytes()


def _read_tar(shard: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name without suffix and content of each picture file, in the order of the shard."""
    try:
        with tarfile.open(shard) as tar:
            members = [member for member in tar.getmembers() if member.isfile()]
            if large := [member.name for member in members if member.size > _MOST_BYTES]:
                raise ValueError(
                    f"{shard}: {large[0]} has more than {_MOST_BYTES >> 20} MiB, as no face has; take it out"
                )
            chosen = set(_pictures([member.name for member in members], shard))
            opened = ((member.name, tar.extractfile(member)) for member in members if member.name in chosen)
            yield from ((Path(name).stem, file.read()) for name, file in opened if file is not None)
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{shard} is no whole tar file; give tar shards or folders of pictures") from error


def _pictures(files: list[str], source: Path) -> list[str]:
    """Return the names of picture files; a warning names those left out, except hidden ones.

    Hidden files are not pictures, whatever their suffix: macOS puts `._face.jpg` beside `face.jpg`.
    """
    visible = [file for file in files if not Path(file).name.startswith(".")]
    chosen = [file for file in visible if Path(file).suffix.lower() in _SUFFIXES]
    left_out = sorted(set(visible) - set(chosen))
    if left_out and chosen:
        _logger.warning(
            "%s: left out %d files that are not named like pictures (%s), such as %r",
            source,
            len(left_out),
            ", ".join(sorted(_SUFFIXES)),
            left_out[0],
        )
    return chosen


def _pixels(data: bytes, name: str, size: int) -> np.ndarray:
    """Decode one face to uint8 [size, size, 3]."""
    try:
        rgb = decode_picture(data)
    except ValueError as error:
        raise ValueError(f"{name} is damaged, or is not a picture that can be used ({error}); take it out") from error
    if rgb.size != (size, size):
        raise ValueError(
            f"{name} is {rgb.width} x {rgb.height}; training faces must be {size} x {size}, crop them first"
        )
    return np.asarray(rgb)
