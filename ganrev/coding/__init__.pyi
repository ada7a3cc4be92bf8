from .backends import Bzip2, Entropy, Lzma, Range, Store, Zlib, Zstd
from .container import Container
from .frame import ContainerError, CorruptFileError, Frame, NotAContainerError, WrongGeneratorError
from .latent_coder import CodeLengths, LatentCoder
from .quantiser import Effort, Quantiser, RateDistortion, ScaledQuantiser, dequantise, quantise

__all__ = [
    "Bzip2",
    "CodeLengths",
    "Container",
    "ContainerError",
    "CorruptFileError",
    "Effort",
    "Entropy",
    "Frame",
    "LatentCoder",
    "Lzma",
    "NotAContainerError",
    "Quantiser",
    "Range",
    "RateDistortion",
    "ScaledQuantiser",
    "Store",
    "WrongGeneratorError",
    "Zlib",
    "Zstd",
    "dequantise",
    "quantise",
]
