from .base import Generator
from .dcgan import load_dcgan, load_dcgan_from_wheel
from .embedded import load_embedded
from .pggan import load_pggan

__all__ = [
    "Generator",
    "load_dcgan",
    "load_dcgan_from_wheel",
    "load_embedded",
    "load_pggan",
]
