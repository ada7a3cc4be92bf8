"""GAN Reversal: compress a face by finding the latent vector of a frozen generator that redraws it.

import ganrev
blob = ganrev.compress(picture)
pixels = ganrev.decompress(blob)
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganrev.api import compress, decompress, load_codec
    from ganrev.auto import AutoCodec
    from ganrev.codec import Codec
    from ganrev.gan import GanCodec

__version__ = "0.1.0"
__all__ = ["AutoCodec", "Codec", "GanCodec", "__version__", "compress", "decompress", "load_codec"]

# OpenMP's threads spin while they wait for each other. Two processes on the same cores then mostly wait: two reversals
# take fifteen times as long as one. A short spin mends that and costs a lone process next to nothing. It is read once,
# when torch loads the OpenMP library, and so it stands here, before any module of the package imports torch.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

# Imported when first used: torch alone takes two seconds, and `ganrev --help` needs none of it.
_MODULES = {
    "AutoCodec": "ganrev.auto",
    "Codec": "ganrev.codec",
    "GanCodec": "ganrev.gan",
    "compress": "ganrev.api",
    "decompress": "ganrev.api",
    "load_codec": "ganrev.api",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
