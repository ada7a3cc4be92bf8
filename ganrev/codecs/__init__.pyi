from .auto import AutoCodec
from .base import (
    BelowFloorError,
    Codec,
    CodecIdentity,
    DescribedCodec,
    EncodeReport,
    UnavailableError,
    check_blobs,
    check_images,
    described,
)
from .gan import GanCodec
from .latent_codec import LatentCodec

__all__ = [
    "AutoCodec",
    "BelowFloorError",
    "Codec",
    "CodecIdentity",
    "DescribedCodec",
    "EncodeReport",
    "GanCodec",
    "LatentCodec",
    "UnavailableError",
    "check_blobs",
    "check_images",
    "described",
]
