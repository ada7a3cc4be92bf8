"""Lossless back ends: symbols to the payload of a file and back."""

import bz2
from typing import Protocol

import numpy as np


class Entropy(Protocol):
    """Codes one vector of symbols.

    Attributes:
        code: number in the file's header that names the back end; never reused.
    """

    code: int

    def encode(self, symbols: np.ndarray) -> bytes:
        """Return the payload of int32 symbols [D] or float32 latents [D]."""
        ...

    def decode(self, payload: bytes, num_symbols: int) -> np.ndarray:
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
    """Undo `pack`: the width of a symbol follows from the length.

    Raises:
        ValueError: the length fits no width.
    """
    width = {num_symbols: "<i1", 2 * num_symbols: "<i2", 4 * num_symbols: "<f4"}.get(len(data))
    if width is None:
        raise ValueError(f"payload holds {len(data)} bytes, expected {num_symbols} symbols of 1, 2 or 4 bytes")
    values = np.frombuffer(data, width)
    return values.astype(np.float32 if width == "<f4" else np.int32)


class Store:
    """No compression at all."""

    code = 0

    def encode(self, symbols: np.ndarray) -> bytes:
        return pack(symbols)

    def decode(self, payload: bytes, num_symbols: int) -> np.ndarray:
        return unpack(payload, num_symbols)


class Bzip2:
    """The paper's back end: bzip2 at level 9 over packed symbols."""

    code = 1

    def encode(self, symbols: np.ndarray) -> bytes:
        return bz2.compress(pack(symbols), 9)

    def decode(self, payload: bytes, num_symbols: int) -> np.ndarray:
        stream = bz2.BZ2Decompressor()
        try:
            # At most one byte more than is expected: a few bytes of payload may hold gigabytes of zeros.
            data = stream.decompress(payload, 4 * num_symbols + 1)
        except OSError as error:
            raise ValueError(f"payload is not a bzip2 stream: {error}") from error
        if not stream.eof or stream.unused_data:
            raise ValueError("payload is not one whole bzip2 stream: it is cut short, or something follows it")
        return unpack(data, num_symbols)


_BY_CODE: dict[int, type[Entropy]] = {back_end.code: back_end for back_end in (Store, Bzip2)}


def by_code(code: int) -> Entropy:
    """Return the back end that a file's header names; ValueError for an unknown number."""
    if code not in _BY_CODE:
        raise ValueError(f"unknown entropy back end {code}: the file was made by a newer version of ganrev")
    return _BY_CODE[code]()
