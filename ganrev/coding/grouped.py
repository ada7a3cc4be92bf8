"""Range coding of many symbols at once: those of one scale code in one call."""

from collections.abc import Iterator
from functools import cache
from typing import TypeAlias

import constriction
import numpy as np

from ganrev.coding import range_coder

Encoder: TypeAlias = constriction.stream.queue.RangeEncoder
Decoder: TypeAlias = constriction.stream.queue.RangeDecoder


def encode_grouped(encoder: Encoder, symbols: np.ndarray, codes: np.ndarray) -> None:
    """Code int32 symbols [D] into a stream in the order of their scale codes [D]; escaped ones follow their group."""
    for code, places in _by_code(codes):
        group = symbols[places].astype(np.int32)
        largest = _largest(code)
        escaped = np.abs(group) > largest
        encoder.encode(np.where(escaped, 2 * largest + 1, group + largest), range_coder.model_of(code))
        for symbol in group[escaped].tolist():
            range_coder.encode_escaped(encoder, symbol, largest)


def decode_grouped(decoder: Decoder, codes: np.ndarray) -> np.ndarray:
    """Undo `encode_grouped`: int32 [D]."""
    symbols = np.zeros(len(codes), np.int32)
    for code, places in _by_code(codes):
        largest = _largest(code)
        values = decoder.decode(range_coder.model_of(code), len(places)) - largest
        if values.max() > largest:
            for place in np.nonzero(values > largest)[0].tolist():
                values[place] = range_coder.decode_escaped(decoder, largest)
        symbols[places] = values
    return symbols


def _by_code(codes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Go through the scale codes that occur, from the least, each with its places in order."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    ends = [*(np.flatnonzero(np.diff(ordered)) + 1).tolist(), len(order)]
    start = 0
    for end in ends if len(order) else ():
        yield int(ordered[start]), order[start:end]
        start = end


@cache
def _largest(code: int) -> int:
    """Return the largest magnitude that the table of a scale code has a place for."""
    return len(range_coder.frequencies(code)) // 2 - 1
