"""What one job does: a face to a file, and the files of the same size that everyday formats make of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ganrev.api import load_codec
from ganrev.codecs import AutoCodec, BelowFloorError
from ganrev.demo.watching import watched
from ganrev.evaluation.metrics import distortion

RIVALS = {"jpeg": "JPEG", "webp": "WebP", "avif": "AVIF"}


@dataclass(frozen=True)
class Wish:
    """What is asked of a file.

    Attributes:
        num_bytes: its size; None where `quality` is given.
        quality: `ssim:0.72` or `psnr:25`; None where `num_bytes` is given.
    """

    num_bytes: int | None = None
    quality: str | None = None

    def overrides(self) -> list[str]:
        """Return it as options of automatic mode."""
        if self.quality is None:
            return [f"codec.target_bytes={self.num_bytes}"]
        return ["codec.target_bytes=null", f"codec.quality='{self.quality}'"]


@dataclass(frozen=True)
class Shown:
    """One way to keep a face.

    Attributes:
        label: such as `JPEG`.
        num_bytes: of the file; None where there is none that small.
        picture: uint8 [3, S, S] that the file decodes to; None likewise.
        scores: `psnr` in dB and `ssim` against the face that was compressed.
        remark: what else to know of it.
    """

    label: str
    num_bytes: int | None = None
    picture: Tensor | None = None
    scores: dict[str, float] = field(default_factory=dict)
    remark: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a job made.

    Attributes:
        blob: the `.gr` file.
        ways: the file's picture, then those of everyday formats.
        seconds: that the reversal took.
    """

    blob: bytes
    ways: Sequence[Shown]
    seconds: float


def compress(image: Tensor, wish: Wish, overrides: Sequence[str], show: Callable[[int, Tensor], None]) -> Outcome:
    """Compress one face.

    Args:
        image: uint8 [3, S, S], S the generator's size.
        wish: size or quality.
        overrides: further options, in Hydra's grammar.
        show: is given the number of drawings and the picture under way, a few times a second; may raise.

    Raises:
        ValueError: a wish or an option that cannot be fulfilled.
    """
    codec = load_codec("gan_auto", *wish.overrides(), *overrides)
    if not isinstance(codec, AutoCodec):
        raise ValueError(f"the page compresses by automatic mode; codec._target_ names {type(codec).__name__}")
    began = time.monotonic()
    with watched(codec.renderer.fast_generator, image, show):
        report = codec.encode_with_report(image[None])
    seconds = time.monotonic() - began
    (blob,) = report.blobs
    own = _shown("GAN reversal", blob, codec.decode([blob])[0], image, " ".join(report.remarks))
    return Outcome(blob, [own, *(rival(name, image, len(blob)) for name in RIVALS)], seconds)


def rival(name: str, image: Tensor, num_bytes: int) -> Shown:
    """Return the best file of an everyday format of at most so many bytes, or that it has none that small."""
    codec = load_codec(name, f"codec.target_bytes={num_bytes}")
    try:
        (blob,) = codec.encode(image[None])
    except BelowFloorError as error:
        floor = BelowFloorError.floor_in(str(error))
        return Shown(RIVALS[name], remark=f"has no file that small; its smallest of this face has {floor} bytes")
    return _shown(RIVALS[name], blob, codec.decode([blob])[0], image)


def decompress(blob: bytes, overrides: Sequence[str]) -> Tensor:
    """Return the picture of a `.gr` file, uint8 [3, S, S].

    Raises:
        ValueError: not such a file, a damaged one, or one of another generator.
    """
    return load_codec("gan_auto", *overrides).decode([blob])[0]


def _shown(label: str, blob: bytes, picture: Tensor, image: Tensor, remark: str = "") -> Shown:
    with torch.no_grad():
        scores = distortion(image, picture)
    return Shown(label, len(blob), picture, {key: scores[key] for key in ("psnr", "ssim")}, remark)
