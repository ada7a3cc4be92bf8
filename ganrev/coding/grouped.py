"""Range coding of many symbols at once: those of one scale code in one call."""

from typing import TypeAlias

import constriction
import numpy as np

from ganrev.coding import range_coder

Encoder: TypeAlias = constriction.stream.queue.RangeEncoder
Decoder: TypeAlias = constriction.stream.queue.RangeDecoder


def encode_grouped(encoder: Encoder, symbols: np.ndarray, codes: np.ndarray) -> None:
    """Code int32 symbols [D] into a stream in the order of their scale codes [D]; escaped ones follow their group."""
    for code in np.unique(codes).tolist():
        group = symbols[codes == code].astype(np.int32)
        largest = len(range_coder.frequencies(code)) // 2 - 1
        escaped = np.abs(group) > largest
        encoder.encode(np.where(escaped, 2 * largest + 1, group + largest), range_coder.model_of(code))
        for symbol in group[escaped].tolist():
            range_coder.encode_escaped(encoder, symbol, largest)


def decode_grouped(decoder: Decoder, codes: np.ndarray) -> np.ndarray:
    """Undo `encode_grouped`: int32 [D]."""
    symbols = np.zeros(len(codes), np.int32)
    for code in np.unique(codes).tolist():
        places = np.nonzero(codes == code)[0]
        largest = len(range_coder.frequencies(code)) // 2 - 1
        values = decoder.decode(range_coder.model_of(code), len(places)) - largest
        for place in np.nonzero(values > largest)[0].tolist():
            values[place] = range_coder.decode_escaped(decoder, largest)
        symbols[places] = values
    return symbols
