"""A curve of automatic mode, whose files of all sizes are made at once and shared among the runs of its points.

They are kept on disk, batch by batch, until the last run has taken its own: a killed curve goes on where it stopped.
"""

import hashlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from experiments import composition
from ganrev.codecs import AutoCodec, CodecIdentity, DescribedCodec, EncodeReport
from ganrev.configuration.configs import to_dict
from ganrev.evaluation.journal import Journal
from ganrev.evaluation.run_identity import run_id
from ganrev.evaluation.runner import build_codec


class SharedCurve:
    """Makes the files of all sizes of a batch of pictures the first time one of them is asked for.

    Args:
        codec: with the sizes of its curve.
        folder: to keep files in.
    """

    def __init__(self, codec: AutoCodec, folder: Path) -> None:
        self.codec, self.folder = codec, folder
        self._journal = Journal(folder, "curve")

    @classmethod
    def of(cls, point: Sequence[str], user: Sequence[str]) -> "SharedCurve":
        """Return the curve of one of its points' overrides; ValueError where its codec makes no curves."""
        cfg = composition.compose_row(point, user)
        codec = build_codec(cfg)
        if not isinstance(codec, AutoCodec) or codec.curve is None:
            raise ValueError(f"at_once is for codec=gan_auto, which makes files of several sizes at once, got {point}")
        options = to_dict(cfg.codec, resolve=True) | {"target_bytes": None}
        name = run_id(codec.identity(), options, "", cfg.seed)
        return cls(codec, Path(cfg.out) / f".{name}.curve")

    def point(self, size: int) -> "CurvePoint":
        """Return the codec of one size."""
        return CurvePoint(self, size)

    def remove(self) -> None:
        """Delete what is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def report(self, images: Tensor, size: int) -> EncodeReport:
        """Return the files of one size, and a size's share of the time that the curve took."""
        key = [hashlib.sha256(image.contiguous().numpy().tobytes()).hexdigest() for image in images]
        found = self._journal.find(key)
        if found is None:
            found = self._make(images)
            self._journal.keep(key, *found)
        result, files = found
        point = result["points"][str(size)]
        blobs = [files[f"{size}-{number}"].tobytes() for number in range(len(images))]
        return EncodeReport(blobs, choices=point["choices"], remarks=point["remarks"], seconds=result["seconds"])

    def _make(self, images: Tensor) -> tuple[dict, dict[str, np.ndarray]]:
        """Make the files of all sizes, as a journal keeps them."""
        began = time.perf_counter()
        curve = self.codec.encode_curve(images, self.codec.curve or [])
        seconds = (time.perf_counter() - began) / len(curve)
        reports = {size: self.codec.report(blobs, choices) for size, (blobs, choices) in curve.items()}
        points = {
            str(size): {"choices": list(one.choices), "remarks": list(one.remarks)} for size, one in reports.items()
        }
        files = {
            f"{size}-{number}": np.frombuffer(blob, np.uint8)
            for size, one in reports.items()
            for number, blob in enumerate(one.blobs)
        }
        return {"seconds": seconds, "points": points}, files


class CurvePoint(DescribedCodec):
    """The codec of one size of a shared curve; its files are those that the curve's own codec would write."""

    def __init__(self, curve: SharedCurve, size: int) -> None:
        self.curve, self.size = curve, size
        codec = curve.codec
        self.suffix, self.image_size, self.has_learned, self.card = (
            codec.suffix,
            codec.image_size,
            codec.has_learned,
            codec.card,
        )

    def encode_with_report(self, images: Tensor) -> EncodeReport:
        """Compress uint8 [N, 3, S, S] RGB to N `.gr` files."""
        return self.curve.report(images, self.size)

    def decode(self, blobs: list[bytes]) -> Tensor:
        """Return uint8 [N, 3, S, S] RGB."""
        return self.curve.codec.decode(blobs)

    def identity(self) -> CodecIdentity:
        """Return what can change its results apart from its configuration."""
        return self.curve.codec.identity()

    def bytes_for_paper(self, blob: bytes) -> int:
        """Count the payload alone."""
        return self.curve.codec.bytes_for_paper(blob)
