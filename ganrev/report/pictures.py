"""The pictures of a report: originals from their source, decoded ones from runs, each stored once as lossless WebP."""

import base64
import hashlib
import io
from collections.abc import Sequence
from typing import Any

from hydra.errors import HydraException
from torch import Tensor

from ganrev.errors import root_message
from ganrev.evaluation.runner import load_pictures
from ganrev.pixels import to_pillow
from ganrev.report.reported import ReportedRun

# On faces the smallest files, and a third of the time of method 6.
_WEBP: dict[str, Any] = {"format": "WEBP", "lossless": True, "quality": 50, "method": 4}


class PixelStore:
    """Pictures by a short key of their pixels, as base64 of lossless WebP; equal pictures are kept once."""

    def __init__(self) -> None:
        self.encoded: dict[str, str] = {}

    def add(self, image: Tensor) -> str:
        """Keep uint8 [3, H, W] and return its key."""
        pixels = image.contiguous().numpy().tobytes()
        key = hashlib.sha256(repr(tuple(image.shape)).encode() + pixels).hexdigest()[:12]
        if key not in self.encoded:
            buffer = io.BytesIO()
            to_pillow(image).save(buffer, **_WEBP)
            self.encoded[key] = base64.b64encode(buffer.getvalue()).decode()
        return key


def find_originals(runs: Sequence[ReportedRun]) -> tuple[dict[str, Tensor], str]:
    """Return the originals of runs on the same pictures, by name, and why there are none, where there are none.

    They are read from the source that a run's config names, if it still gives the same pictures; otherwise a lossless
    run has them.

    Returns:
        uint8 [3, H, W] by name, and a sentence for the reader, which is empty where all is well.
    """
    try:
        config = runs[0].folder.config
        if config.data.get("shard"):
            config.data.shard = None
        pictures = load_pictures(config, runs[0].summary["image_size"])
        if pictures.digest == runs[0].pictures_digest:
            return dict(zip(pictures.names, pictures.images, strict=True)), ""
        reason = "their source now gives other pictures"
    except (ValueError, OSError, HydraException) as error:
        reason = root_message(error).splitlines()[0]
    lossless = {name: run.folder.decoded(name) for run in runs for name in run.rows.index[run.rows["mse"] == 0]}
    names = {name for run in runs for name in run.rows.index}
    if names <= set(lossless):
        return lossless, ""
    return lossless, f"The originals are not at hand ({reason}); pictures are compared among codecs only."
