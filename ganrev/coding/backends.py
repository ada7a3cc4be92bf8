"""Lossless back ends: symbols to the payload of a file and back.

Besides the symbols, every back end takes one scale code per symbol (`range_coder`): how widely that latent
spreads, in step sizes. Only the range coder reads their values; the others need only their number.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal, Protocol

import numpy as np
import zstandard

from ganrev.coding import range_coder
from ganrev.coding.frame import NotAContainerError
from ganrev.configuration.options import checked_options

RangeModel = Literal["flat", "adaptive", "prior", "fitted"]


class Entropy(Protocol):
    """Codes one vector of symbols.

    Attributes:
        code: number in the file's header that names the back end, 0-15; never reused.
        takes_floats: whether it codes float32 latents (`quant=none`) too.
    """

    code: int
    takes_floats: bool

    def codes(self, symbols: np.ndarray, scales: np.ndarray) -> np.ndarray:
        """Return the scale code under which each symbol of int32 [D] would be coded; its code length follows from it.

        Raises:
            ValueError: the code length of a symbol depends on the others.
        """
        raise ValueError(
            f"{type(self).__name__} cannot price symbols; quant=rd needs entropy=range entropy.model=fitted (or prior)"
        )

    def encode(self, symbols: np.ndarray, scales: np.ndarray) -> bytes:
        """Return the payload of int32 symbols [D] or float32 latents [D], given scale codes int [D]."""
        ...

    def decode(self, payload: bytes, scales: np.ndarray) -> np.ndarray:
        """Return int32 symbols [D] or float32 latents [D]; ValueError if the payload does not hold them."""
        ...


def pack(symbols: np.ndarray) -> bytes:
    """Lay symbols out as little-endian int8, or int16 where they do not fit; floats as float32.

    Raises:
        ValueError: a symbol does not fit int16 either.
    """
    if symbols.dtype == np.float32:
        return symbols.astype("<f4").tobytes()
    for layout in ("<i1", "<i2"):
        packed = symbols.astype(layout)
        if np.array_equal(packed, symbols):
            return packed.tobytes()
    raise ValueError(f"symbols must fit int16, got {symbols.min()} to {symbols.max()}; use a larger quant.step")


def unpack(data: bytes, num_symbols: int) -> np.ndarray:
    """Undo `pack`: the length says how wide a symbol is.

    Raises:
        ValueError: the length fits no width.
    """
    width = {num_symbols: "<i1", 2 * num_symbols: "<i2", 4 * num_symbols: "<f4"}.get(len(data))
    if width is None:
        raise ValueError(f"payload holds {len(data)} bytes, expected {num_symbols} symbols of 1, 2 or 4 bytes")
    values = np.frombuffer(data, width)
    return values.astype(np.float32 if width == "<f4" else np.int32)


class Store(Entropy):
    """No compression at all."""

    code = 0
    takes_floats = True

    def encode(self, symbols: np.ndarray, scales: np.ndarray) -> bytes:
        return pack(symbols)

    def decode(self, payload: bytes, scales: np.ndarray) -> np.ndarray:
        return unpack(payload, len(scales))


class _Stream(Entropy):
    """A general compressor over packed symbols.

    Subclasses give `compress` and `expand`; `expand` returns at most `limit` bytes and raises ValueError unless
    the payload is one whole stream: a few bytes of payload may hold gigabytes of zeros, or ask for gigabytes of memory.
    """

    takes_floats = True

    def compress(self, data: bytes) -> bytes:
        raise NotImplementedError

    def expand(self, payload: bytes, limit: int) -> bytes:
        raise NotImplementedError

    def encode(self, symbols: np.ndarray, scales: np.ndarray) -> bytes:
        return self.compress(pack(symbols))

    def decode(self, payload: bytes, scales: np.ndarray) -> np.ndarray:
        return unpack(self.expand(payload, 4 * len(scales) + 1), len(scales))


class Bzip2(_Stream):
    """The paper's back end: bzip2 at level 9."""

    code = 1

    def compress(self, data: bytes) -> bytes:
        return bz2.compress(data, 9)

    def expand(self, payload: bytes, limit: int) -> bytes:
        return _whole("bzip2", bz2.BZ2Decompressor(), payload, limit, OSError)


class Zlib(_Stream):
    """zlib at level 9."""

    code = 5

    def compress(self, data: bytes) -> bytes:
        return zlib.compress(data, 9)

    def expand(self, payload: bytes, limit: int) -> bytes:
        return _whole("zlib", zlib.decompressobj(), payload, limit, zlib.error)


class Lzma(_Stream):
    """LZMA in its oldest container, the smallest.

    Its header names a dictionary, which the decoder allocates before it reads on: preset 9 asks for 64 MiB, and a
    file that asks for more than that is refused.
    """

    code = 6
    _MOST_MEMORY = 65 << 20  # bytes: that dictionary, and whatever else the decoder of preset 9 needs

    def compress(self, data: bytes) -> bytes:
        return lzma.compress(data, lzma.FORMAT_ALONE, preset=9)

    def expand(self, payload: bytes, limit: int) -> bytes:
        stream = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=self._MOST_MEMORY)
        return _whole("LZMA", stream, payload, limit, lzma.LZMAError)


class Zstd(_Stream):
    """Zstandard at level 19, without its magic number's optional checksum."""

    code = 7

    def compress(self, data: bytes) -> bytes:
        return zstandard.ZstdCompressor(level=19, write_checksum=False).compress(data)

    def expand(self, payload: bytes, limit: int) -> bytes:
        # The library allocates what the header declares and ignores `max_output_size`, so the header is read first.
        # A stream that declares nothing is expanded into `limit` bytes, with no larger window either.
        try:
            declared = zstandard.frame_content_size(payload)
            if declared > limit:
                raise ValueError(f"payload declares {declared} bytes, expected at most {limit}")
            stream = zstandard.ZstdDecompressor(max_window_size=max(limit, 1 << zstandard.WINDOWLOG_MIN))
            return stream.decompress(payload, max_output_size=limit, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise ValueError(f"payload is not one whole Zstandard stream: {error}") from error


class _Decompressor(Protocol):
    """What the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, limit: int, /) -> bytes: ...


def _whole(name: str, stream: _Decompressor, payload: bytes, limit: int, failure: type[Exception]) -> bytes:
    """Expand one whole stream with a decompressor of the standard library."""
    try:
        data = stream.decompress(payload, limit)
    except failure as error:
        raise ValueError(f"payload is not a {name} stream: {error}") from error
    if not stream.eof or stream.unused_data:
        raise ValueError(f"payload is not one whole {name} stream: it is cut short, or something follows it")
    return data


class Range(Entropy):
    """Range coding with integer tables; nothing is padded.

    Args:
        model: `flat` (every symbol up to the largest equally likely), `adaptive` (frequencies counted as the file
            goes), `prior` (a Laplace law for each latent, as wide as the generator says it spreads over faces;
            the width of its prior where that has not been measured) or `fitted` (the same, all of them made
            wider or narrower by a factor that suits the file and takes one byte).

    Raises:
        ValueError: another model, or latents that were not quantised.
    """

    takes_floats = False
    CODES: ClassVar[dict[RangeModel, int]] = {"flat": 2, "adaptive": 3, "prior": 4, "fitted": 8}

    @checked_options("entropy.")
    def __init__(self, model: RangeModel = "adaptive") -> None:
        self.model, self.code = model, self.CODES[model]

    def encode(self, symbols: np.ndarray, scales: np.ndarray) -> bytes:
        if symbols.dtype == np.float32:
            raise ValueError("entropy=range codes integer symbols; quant=none needs another, such as entropy=bz2")
        if self.model == "prior":
            return range_coder.encode_with_scales(symbols, scales)
        if self.model == "fitted":
            return range_coder.encode_fitted(symbols, scales)
        return range_coder.encode_counted(symbols, adaptive=self.model == "adaptive")

    def decode(self, payload: bytes, scales: np.ndarray) -> np.ndarray:
        if self.model == "prior":
            return range_coder.decode_with_scales(payload, scales)
        if self.model == "fitted":
            return range_coder.decode_fitted(payload, scales)
        return range_coder.decode_counted(payload, len(scales), adaptive=self.model == "adaptive")

    def codes(self, symbols: np.ndarray, scales: np.ndarray) -> np.ndarray:
        if self.model == "prior":
            return scales
        if self.model == "fitted":
            return range_coder.shifted(scales, range_coder.best_offset(symbols, scales))
        raise ValueError(f"quant=rd needs entropy.model=fitted or prior, which price symbols, got {self.model}")


_BY_CODE: dict[int, Callable[[], Entropy]] = {
    **{back_end.code: back_end for back_end in (Store, Bzip2, Zlib, Lzma, Zstd)},
    **{code: partial(Range, model) for model, code in Range.CODES.items()},
}


def by_code(code: int) -> Entropy:
    """Return the back end that a file's header names.

    Raises:
        ganrev.coding.frame.NotAContainerError: no back end has this number.
    """
    if code not in _BY_CODE:
        raise NotAContainerError(
            f"unknown entropy back end {code}: the file was made by a newer version of ganrev; update ganrev"
        )
    return _BY_CODE[code]()
