"""WebP, AVIF, JPEG 2000, JPEG XL and HEIF: what a face of a few hundred bytes would be kept in today.

All are deterministic: one thread where a format lets us choose. Pictures keep their colours: no search tries to drop
chroma altogether, which some formats could.
"""

import importlib
from importlib.util import find_spec
from itertools import product
from typing import ClassVar

from baselines.pillow import LossyPicture
from baselines.search import Knobs, Settings
from ganrev.codecs.base import UnavailableError

INSTALL = "pip install 'ganrev[opponents]'"


def _import_plugin(name: str, codec: str) -> object:
    if find_spec(name) is None:
        raise UnavailableError(f"codec={codec} needs its extra: {INSTALL}")
    return importlib.import_module(name)


class WebP(LossyPicture):
    """Lossy WebP (VP8); its chroma is always at a quarter of the size.

    Args:
        quality: 0 to 100, libwebp's scale.
        target_bytes: see `LossyPicture`; over libwebp's methods, of which the slowest is not always the best.
    """

    suffix = ".webp"
    kind = "WEBP"
    whole = False
    usual: ClassVar = {"method": 6}
    # libwebp's quantiser goes with the cube root of the quality: even steps of that are even steps of the file.
    knobs = Knobs(
        [round(150 * (step / 200) ** 3, 4) for step in range(175)], [[{"method": method} for method in (6, 5, 4, 3, 2)]]
    )


class AVIF(LossyPicture):
    """AVIF, coded by libaom.

    Args:
        quality: 0 to 100, libavif's scale.
        target_bytes: see `LossyPicture`; over what libaom is tuned for, chroma at a quarter of the size and as it
            is, and speeds. Tuned for PSNR or SSIM, files go lower than with libavif's own choice.
    """

    suffix = ".avif"
    kind = "AVIF"
    # Explicitly one thread and libaom, that another machine writes the same bytes.
    usual: ClassVar = {"codec": "aom", "max_threads": 1, "speed": 4, "subsampling": "4:2:0"}
    knobs = Knobs(
        range(101),
        [
            [
                {"speed": 6, "subsampling": chroma, "advanced": {"tune": tune}}
                for tune, chroma in product(("psnr", "ssim", "iq"), ("4:2:0", "4:4:4"))
            ],
            [{"speed": speed} for speed in (4, 2)],
        ],
    )


class JPEG2000(LossyPicture):
    """JPEG 2000 as a bare codestream: the boxes of a JP2 file would take 85 bytes more.

    Args:
        quality: 5 to 60, the PSNR in dB that OpenJPEG aims at in its wavelet domain.
        target_bytes: see `LossyPicture`; over both wavelets and the number of resolutions.
    """

    suffix = ".j2k"
    kind = "JPEG2000"
    limits = (5, 60)
    whole = False
    # One letter takes the place of OpenJPEG's comment about itself, 33 bytes that every file would hold.
    usual: ClassVar = {"no_jp2": True, "mct": 1, "irreversible": True, "num_resolutions": 5, "comment": "-"}
    knobs = Knobs(
        [step / 8 for step in range(40, 481)],
        [
            [
                {"irreversible": irreversible, "num_resolutions": num}
                for irreversible, num in product((True, False), (4, 5, 6))
            ],
        ],
    )

    def options(self, quality: float, settings: Settings) -> dict[str, object]:
        """Return the quality as OpenJPEG takes it, a PSNR of the only layer, beside the settings."""
        return {**settings, "quality_mode": "dB", "quality_layers": [quality]}


class JXL(LossyPicture):
    """JPEG XL as a bare codestream (extra `opponents`).

    Args:
        quality: 0 to 99, libjxl's scale; its 100 means a lossless file.
        target_bytes: see `LossyPicture`; over libjxl's efforts, of which the slowest is not always the best.
    """

    suffix = ".jxl"
    kind = "JXL"
    limits = (0, 99)
    whole = False
    usual: ClassVar = {"effort": 9, "num_threads": 1}
    knobs = Knobs(
        [step / 2 for step in range(199)],
        [[{"effort": effort} for effort in (9, 7, 5, 3)], [{"effort": effort} for effort in (8, 10)]],
    )

    @staticmethod
    def register() -> None:
        """Import the plug-in, which registers itself."""
        _import_plugin("pillow_jxl", "jxl")


class HEIF(LossyPicture):
    """HEIF, coded by x265 (extra `opponents`), without the colour box, whose values are the default.

    Args:
        quality: 0 to 100, libheif's scale.
        target_bytes: see `LossyPicture`; over what x265 is tuned for, chroma at a quarter of the size and as it is,
            and presets.
    """

    suffix = ".heic"
    kind = "HEIF"
    usual: ClassVar = {"chroma": 420, "tune": "ssim", "preset": "slow"}
    knobs = Knobs(
        range(101),
        [
            [{"chroma": chroma, "tune": tune} for tune, chroma in product(("psnr", "ssim"), (420, 444))],
            [{"preset": preset} for preset in ("veryslow", "medium")],
        ],
    )

    def options(self, quality: float, settings: Settings) -> dict[str, object]:
        """Return quality and settings, x265's own in a dict of their own, into which the plug-in writes."""
        own = {key: settings[key] for key in ("tune", "preset")}
        return {"save_nclx_profile": False, "chroma": settings["chroma"], "quality": quality, "enc_params": own}

    @staticmethod
    def register() -> None:
        """Import the plug-in and register it."""
        _import_plugin("pillow_heif", "heif").register_heif_opener()  # type: ignore[attr-defined]
