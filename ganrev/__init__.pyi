from .api import compress, decompress, load_codec
from .codecs import AutoCodec, Codec, GanCodec

__version__: str
__all__ = [
    "AutoCodec",
    "Codec",
    "GanCodec",
    "compress",
    "decompress",
    "load_codec",
]
