"""What every data source returns, and how it is read from picture files."""

import hashlib
import logging
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from ganrev.alignment import align, fetch_detector
from ganrev.configuration.options import checked_options
from ganrev.data.formats import decode_picture
from ganrev.errors import in_words
from ganrev.pixels import from_pillow
from ganrev.progress import ProgressBar
from ganrev.wording import counted

_logger = logging.getLogger(__name__)

Crop = Literal["celeba", "center", "face", "none"]
SIZE = 128  # side of a picture
ALIGNED = (178, 218)  # width and height of CelebA's aligned images
_FACE = (25, 57, 153, 185)  # left, upper, right, lower: img[57:185, 25:153], the crop of the progressive GAN papers
NEXT_STEPS = "data=seen needs no pictures at all, data=folder data.root=DIR takes your own"


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures to compress.

    Attributes:
        images: uint8 [N, 3, H, W], RGB; 128 x 128, except pictures drawn by a generator of another size.
        names: one for each picture, unique, valid as a file name, without suffix.
        celeba_ids: CelebA's number of each picture, None where unknown.
        skipped: file name and reason of each picture that could not be used.
        celeba_identities: CelebA's number of the person on each picture, None where unknown; empty if none is known.
        drawn: whether a generator drew them, so that they are not photographs.
        digest_of_all: of all pictures, where these are a shard of them.

    Raises:
        ValueError: the shapes or lengths do not agree, or two names are equal.
    """

    images: Tensor
    names: list[str]
    celeba_ids: list[int | None]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    celeba_identities: list[int | None] = field(default_factory=list)
    drawn: bool = False
    digest_of_all: str = ""

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[1] != 3 or self.images.dtype != torch.uint8:
            raise ValueError(f"expected uint8 images [N, 3, H, W], got {self.images.dtype} {list(self.images.shape)}")
        if not len(self.images) == len(self.names) == len(self.celeba_ids):
            raise ValueError(
                f"expected a name and an id for each picture, got {len(self.images)} pictures, "
                f"{len(self.names)} names, {len(self.celeba_ids)} ids"
            )
        if len(self.celeba_identities) not in (0, len(self.images)):
            raise ValueError(
                f"expected an identity for each picture or none at all, got {len(self.images)} pictures, "
                f"{len(self.celeba_identities)} identities"
            )
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"expected different names, got {self.names}")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names and pixels in their order, hexadecimal; of a shard, that of all the pictures."""
        if self.digest_of_all:
            return self.digest_of_all
        digest = hashlib.sha256(repr((self.names, list(self.images.shape))).encode())
        for image in self.images:
            digest.update(image.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def shard(self, shard: str, batch_size: int) -> "Pictures":
        """Return one of n parts of about equal size, in their order.

        Parts are of whole batches, so that they are encoded in the batches that all pictures would be. `skipped` and
        `digest` stay those of all pictures.

        Args:
            shard: `i/n`, from 1/n to n/n.
            batch_size: pictures in a batch.

        Raises:
            ValueError: `shard` is not of the form i/n, or there are more shards than batches.
        """
        number, num_shards = parse_shard(shard)
        num_batches = -(-len(self) // batch_size)
        if num_shards > num_batches:
            raise ValueError(
                f"data.shard={shard}: shards are made of whole batches, and {len(self)} pictures make only "
                f"{num_batches} of batch_size={batch_size}; take fewer shards, or smaller batches"
            )
        begin, end = (part * num_batches // num_shards * batch_size for part in (number - 1, number))
        return replace(
            self,
            images=self.images[begin:end].clone(),  # a view would keep all pictures in memory
            names=self.names[begin:end],
            celeba_ids=self.celeba_ids[begin:end],
            celeba_identities=self.celeba_identities[begin:end],
            digest_of_all=self.digest,
        )


def parse_shard(shard: object) -> tuple[int, int]:
    """Return i and n of `i/n`; ValueError unless these are whole numbers and i is one from 1 to n."""
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", str(shard))
    number, num_shards = (int(part) for part in match.groups()) if match else (0, 0)
    if not 1 <= number <= num_shards:
        raise ValueError(
            f"data.shard must be i/n, i from 1 to n: of four shards the first is 1/4 and the last 4/4; got {shard!r}"
        )
    return number, num_shards


@dataclass(frozen=True)
class Entry:
    """A picture file not read yet: name, id and identity as in `Pictures`, `file` for messages."""

    name: str
    file: str
    celeba_id: int | None
    read: Callable[[], bytes]
    celeba_identity: int | None = None


@checked_options("")
def crop_picture(picture: Image.Image, crop: Crop, file: str = "a picture") -> Image.Image:
    """Cut a picture to 128 x 128.

    Args:
        picture: mode RGB.
        crop: `celeba`, the face of an aligned 178 x 218 image, rows 57-184 and columns 25-152; `center`, the
            largest centred square, resized by Lanczos; `face`, the largest face, found and cut out as CelebA's are;
            `none`, the picture is 128 x 128 already.
        file: the picture's name, for warnings.

    Raises:
        ValueError: the picture does not have the size that the crop needs, no face is found, or there is no such crop.
    """
    width, height = picture.size
    if crop == "face":
        alignment = align(picture)
        for remark in alignment.remarks:
            _logger.warning("%s: %s", file, remark)
        return alignment.frame.cut(picture)
    if crop == "celeba":
        if picture.size != ALIGNED:
            raise ValueError(
                f"it is {width} x {height} (width x height) and crop=celeba expects CelebA's aligned images, "
                f"{ALIGNED[0]} x {ALIGNED[1]}; crop=center takes other photos"
            )
        return picture.crop(_FACE)
    if crop == "none":
        if picture.size != (SIZE, SIZE):
            raise ValueError(f"it is {width} x {height} and crop=none expects {SIZE} x {SIZE}; crop=center resizes")
        return picture
    side = min(width, height)
    if side < SIZE:
        raise ValueError(f"too small: it is {width} x {height}, both sides must be at least {SIZE}")
    left, upper = (width - side) // 2, (height - side) // 2
    square = picture.crop((left, upper, left + side, upper + side))
    return square if side == SIZE else square.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def read_picture(source: Path | bytes, crop: Crop = "center", file: str = "a picture") -> Tensor:
    """Decode and crop one picture file.

    Args:
        source: path of a file, or the whole file.
        crop: as in `crop_picture`.
        file: the picture's name, for warnings, where `source` is no path.

    Returns:
        uint8 [3, 128, 128], RGB.

    Raises:
        ValueError: the reason why the file cannot be used, after the path if `source` is one.
    """
    if isinstance(source, bytes):
        return from_pillow(crop_picture(decode_picture(source), crop, file))
    try:
        return read_picture(source.read_bytes(), crop, str(source))
    except (OSError, ValueError) as error:
        raise ValueError(f"{source}: {error.strerror if isinstance(error, OSError) else error}") from error


def load_entries(entries: Sequence[Entry], crop: Crop, strict: bool) -> Pictures:
    """Read picture files; a bad one is logged, listed in `skipped` and left out.

    Args:
        entries: at least one file.
        crop: as in `crop_picture`.
        strict: raise for a bad file.

    Raises:
        ValueError: no file can be used, or with `strict` one cannot.
        ganrev.fetch.FetchError: faces are to be found, and the detector could not be fetched.
    """
    images = torch.empty(len(entries), 3, SIZE, SIZE, dtype=torch.uint8)  # filled one by one: a list would be a copy
    used: list[Entry] = []
    skipped: list[tuple[str, str]] = []
    if crop == "face":
        fetch_detector()  # without it no file can be used
    # The bar shows only where reading takes long.
    for entry in ProgressBar(entries, desc="reading pictures", unit="picture", delay=1, leave=False):
        try:
            images[len(used)] = read_picture(entry.read(), crop, entry.file)
            used.append(entry)
        except (ValueError, OSError, zipfile.BadZipFile, zlib.error) as error:
            reason = in_words(error)
            if strict:
                raise ValueError(f"{entry.file}: {reason} (data.strict=false would skip it)") from error
            _logger.warning("skipped %s: %s", entry.file, reason)
            skipped.append((entry.file, reason))
    if not used:
        file, reason = skipped[0]
        raise ValueError(
            f"none of {counted(len(skipped), 'file')} could be used; the first is {file}: {reason}. {NEXT_STEPS}"
        )
    identities = [e.celeba_identity for e in used]
    if not any(identities):
        identities = []
    return Pictures(images[: len(used)], [e.name for e in used], [e.celeba_id for e in used], skipped, identities)
