from .auto import AutoCodec, Budget
from .base import (
    BelowFloorError,
    Codec,
    CodecIdentity,
    DescribedCodec,
    EncodeReport,
    check_blobs,
    check_images,
    described,
)
from .gan import GanCodec
from .latent_codec import LatentCodec

__all__ = [
    "AutoCodec",
    "BelowFloorError",
    "Budget",
    "Codec",
    "CodecIdentity",
    "DescribedCodec",
    "EncodeReport",
    "GanCodec",
    "LatentCodec",
    "check_blobs",
    "check_images",
    "described",
]
