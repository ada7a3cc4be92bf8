"""Range coding of latent symbols with integer tables (constriction does the coding).

A table belongs to a scale code k and gives the frequency of every symbol from -M to M, out of 2^22, under a
zero-mean Laplace law whose standard deviation is 2^(k/8) symbols. Tables come from decimal arithmetic, which is
exact by its specification, so that every machine derives the same integers: they are a part of the file format.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Context, Decimal, localcontext
from functools import cache, lru_cache
from typing import TypeAlias

import constriction
import numpy as np

TOTAL = 1 << 22
CODES_PER_OCTAVE = 8
LOWEST, HIGHEST = -32, 64  # deviations of 1/16 to 256 symbols
LARGEST_COUNTED = 32767  # symbols have 16 bits; a table of more would take seconds to count through
_TAIL = 9  # a table ends at this many deviations; larger symbols are coded by length and bits

Model: TypeAlias = constriction.stream.model.Categorical


def scale_codes(deviations: np.ndarray, step_sizes: np.ndarray) -> np.ndarray:
    """Return the scale code of each latent, int64 [D]: its deviation over its step size, in eighths of an octave.

    Args:
        deviations: standard deviation of each latent over real faces, float32 [D], positive.
        step_sizes: distance between neighbouring values of each, float32 [D], positive.

    The logarithm is taken from the bits of the floats (exponent and first three digits of the mantissa, so it is
    piecewise linear), and so is the same on every machine.
    """
    logs = [
        np.ascontiguousarray(v, dtype=np.float32).view(np.int32).astype(np.int64) >> 20
        for v in (deviations, step_sizes)
    ]
    return np.clip(logs[0] - logs[1], LOWEST, HIGHEST)


@cache
def frequencies(code: int) -> np.ndarray:
    """Return the integer frequencies of one scale code, int64 [2 M + 2]: symbols -M to M, then the escape.

    They add up to `TOTAL` and none is zero.
    """
    with localcontext(Context(prec=30)):
        deviation = Decimal(2) ** (Decimal(code) / CODES_PER_OCTAVE)
        rate = Decimal(2).sqrt() / deviation  # of the Laplace law, per symbol
        largest = max(2, int(_TAIL * deviation))
        # P(n) is the law's mass within half a symbol of n.
        edges = [(-rate * (Decimal(n) + Decimal("0.5"))).exp() / 2 for n in range(largest + 1)]
        tail = [edges[n - 1] - edges[n] for n in range(1, largest + 1)]
        counts = [max(1, int(p * TOTAL)) for p in tail]
    escape = 1
    centre = TOTAL - 2 * sum(counts) - escape
    table = np.array([*counts[::-1], centre, *counts, escape], dtype=np.int64)
    if centre < 1:
        raise ArithmeticError(f"scale code {code} leaves nothing for zero")
    return table


def code_lengths(code: int, largest: int) -> np.ndarray:
    """Return the ideal code length of each symbol from -largest to largest under one scale code, in bits [2 M + 1]."""
    return _lengths(code, np.abs(np.arange(-largest, largest + 1)))


def _lengths(code: int, magnitudes: np.ndarray) -> np.ndarray:
    """Return the ideal code length in bits of symbols of some magnitudes, of the same shape."""
    table = frequencies(code)
    inside = len(table) // 2 - 1
    excess = np.maximum(magnitudes - inside, 0)
    gamma = 2 * np.floor(np.log2(np.maximum(excess, 1))) + 2  # sign, then Elias gamma
    bits = np.log2(TOTAL / table[np.minimum(magnitudes, inside) + inside])
    return np.where(excess > 0, np.log2(TOTAL / table[-1]) + gamma, bits)


@cache
def model_of(code: int) -> Model:
    """Return the model of a scale code: of places in its table of frequencies, 0 to 2 M + 1."""
    return _exact_model(frequencies(code))


def _exact_model(counts: np.ndarray) -> Model:
    """Return constriction's model of integer counts; their total must be a power of two, so floats are exact."""
    return Model(counts / counts.sum(), perfect=False)


def _bits_model() -> Model:
    return Model(np.array([0.5, 0.5]), perfect=False)


def encode_with_scales(symbols: np.ndarray, codes: np.ndarray) -> bytes:
    """Code int32 symbols [D] under one scale code each, int [D]."""
    encoder = constriction.stream.queue.RangeEncoder()
    encode_symbols(encoder, symbols, codes)
    return trim(encoder)


def encode_symbols(encoder: constriction.stream.queue.RangeEncoder, symbols: np.ndarray, codes: np.ndarray) -> None:
    """Code int32 symbols [D] under one scale code each, int [D], into a stream."""
    for symbol, code in zip(symbols.tolist(), codes.tolist(), strict=True):
        largest = len(frequencies(code)) // 2 - 1
        if abs(symbol) <= largest:
            encoder.encode(symbol + largest, model_of(code))
        else:
            encoder.encode(2 * largest + 1, model_of(code))
            encode_escaped(encoder, symbol, largest)


def shifted(codes: np.ndarray, offset: int) -> np.ndarray:
    """Return scale codes [D] all made wider by `offset` eighths of an octave."""
    return np.clip(codes + offset, LOWEST, HIGHEST)


def best_offset(symbols: np.ndarray, codes: np.ndarray) -> int:
    """Return what to add to all scale codes so that int32 symbols [D] take the fewest bits, -128 to 127."""
    magnitudes, index = np.unique(np.abs(symbols), return_inverse=True)
    known = tuple(magnitudes.tolist())

    def bits(offset: int) -> float:
        kinds, place = np.unique(shifted(codes, offset), return_inverse=True)
        return float(_table_of_lengths(tuple(kinds.tolist()), known)[place, index].sum())

    best, least = 0, bits(0)
    for stride in (8, 4, 2, 1):  # the length has one minimum, and every offset needs tables of its own
        for way in (-stride, stride):
            while -128 <= best + way <= 127 and (length := bits(best + way)) < least:
                best, least = best + way, length
    return best


@lru_cache(maxsize=512)
def _table_of_lengths(kinds: tuple[int, ...], magnitudes: tuple[int, ...]) -> np.ndarray:
    return np.stack([_lengths(kind, np.array(magnitudes)) for kind in kinds])


def encode_fitted(symbols: np.ndarray, codes: np.ndarray) -> bytes:
    """Code int32 symbols [D] under scale codes all shifted by one offset, which the first byte holds."""
    offset = best_offset(symbols, codes)
    return bytes([offset + 128]) + encode_with_scales(symbols, shifted(codes, offset))


def decode_fitted(payload: bytes, codes: np.ndarray) -> np.ndarray:
    """Undo `encode_fitted`."""
    if not payload:
        raise ValueError("payload is empty: its first byte should say how wide its symbols spread")
    return decode_with_scales(payload[1:], shifted(codes, payload[0] - 128))


def decode_with_scales(payload: bytes, codes: np.ndarray) -> np.ndarray:
    """Undo `encode_with_scales`."""
    return decode_symbols(start_decoder(payload), codes)


def decode_symbols(decoder: constriction.stream.queue.RangeDecoder, codes: np.ndarray) -> np.ndarray:
    """Undo `encode_symbols`: int32 [D]; ValueError where no encoder wrote the stream."""
    symbols = []
    with payload_errors():
        for code in codes.tolist():
            largest = len(frequencies(code)) // 2 - 1
            index = decoder.decode(model_of(code))
            symbols.append(decode_escaped(decoder, largest) if index == 2 * largest + 1 else index - largest)
    return np.array(symbols, dtype=np.int32)


def encode_escaped(encoder: constriction.stream.queue.RangeEncoder, symbol: int, largest: int) -> None:
    """Code a symbol beyond its table: sign, then Elias gamma of the excess, in even bits."""
    excess = abs(symbol) - largest
    width = excess.bit_length()
    bits = [int(symbol < 0), *[1] * (width - 1), 0, *(excess >> i & 1 for i in reversed(range(width - 1)))]
    for bit in bits:
        encoder.encode(bit, _bits_model())


def decode_escaped(decoder: constriction.stream.queue.RangeDecoder, largest: int) -> int:
    """Undo `encode_escaped`."""
    model = _bits_model()
    negative = decoder.decode(model)
    width = 1
    while decoder.decode(model):
        width += 1
        if width > 16:
            raise ValueError("payload holds a symbol that does not fit int16")
    excess = 1
    for _ in range(width - 1):
        excess = excess << 1 | decoder.decode(model)
    return -(excess + largest) if negative else excess + largest


def encode_counted(symbols: np.ndarray, adaptive: bool) -> bytes:
    """Code int32 symbols [D] from -M to M, after M itself, all equally likely or counted as the file goes."""
    largest = int(np.abs(symbols).max(initial=0))
    head = bytes([largest]) if largest < 255 else b"\xff" + largest.to_bytes(2, "big")
    if largest == 0:
        return head  # zeros alone, an alphabet that constriction refuses
    encoder = constriction.stream.queue.RangeEncoder()
    counter = Counter(largest, adaptive)
    for index in (symbols + largest).tolist():
        encoder.encode(index, counter.model())
        counter.add(index)
    return head + trim(encoder)


def decode_counted(payload: bytes, num_symbols: int, adaptive: bool) -> np.ndarray:
    """Undo `encode_counted`; ValueError where the payload has no head, or names symbols beyond 16 bits."""
    width = 3 if payload[:1] == b"\xff" else 1
    if len(payload) < width:
        raise ValueError("payload ends before it says how large its symbols are")
    largest = int.from_bytes(payload[1:3], "big") if width == 3 else payload[0]
    if largest > LARGEST_COUNTED:
        raise ValueError(f"payload says that its symbols reach {largest}, expected at most {LARGEST_COUNTED}")
    if largest == 0:
        return np.zeros(num_symbols, dtype=np.int32)
    return _decode_counted(start_decoder(payload[width:]), largest, num_symbols, adaptive)


def _decode_counted(
    decoder: constriction.stream.queue.RangeDecoder, largest: int, num_symbols: int, adaptive: bool
) -> np.ndarray:
    counter = Counter(largest, adaptive)
    symbols = np.empty(num_symbols, dtype=np.int32)
    with payload_errors():
        for place in range(num_symbols):
            index = decoder.decode(counter.model())
            counter.add(index)
            symbols[place] = index - largest
    return symbols


class Counter:
    """Frequencies of the symbols -M to M: flat, or counted as they come (one half each before the first).

    Source: Krichevsky and Trofimov 1981, for the one half.
    """

    def __init__(self, largest: int, adaptive: bool) -> None:
        self.counts = np.ones(2 * largest + 1, dtype=np.int64)
        self.adaptive = adaptive
        self._current: Model | None = None

    def model(self) -> Model:
        """Return the model of the next symbol; integer arithmetic gives every machine the same frequencies."""
        if self._current is None:
            size = len(self.counts)
            table = 1 + self.counts * (TOTAL - size) // self.counts.sum()
            table[size // 2] += TOTAL - table.sum()
            self._current = _exact_model(table)
        return self._current

    def add(self, index: int) -> None:
        """Count one symbol."""
        if self.adaptive:
            self.counts[index] += 2
            self._current = None


def start_decoder(payload: bytes) -> constriction.stream.queue.RangeDecoder:
    """Return a decoder of trimmed bytes, whose missing end stands for zeros."""
    padded = payload + b"\0" * (-len(payload) % 4)
    return constriction.stream.queue.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))


def trim(encoder: constriction.stream.queue.RangeEncoder) -> bytes:
    """Return the shortest bytes that still decode to what was encoded.

    The coder ends on a 32-bit word, and any number in its last interval will do: bytes are cut off the end, the
    last one raised by one where that is what keeps the number in the interval.
    """
    num_words, (low, size) = encoder.pos()
    best = encoder.get_compressed().astype(">u4").tobytes()
    num_bytes = 4 * num_words + 8  # of numbers as long as the coder's state, of which `low` is the last 64 bits
    # The words before may still await a carry; the number that was written is in the interval, and has them settled.
    written = int.from_bytes(best, "big") << 8 * (num_bytes - len(best))
    low = written - (written - low) % (1 << 64)
    for length in range(len(best) - 1, max(-1, len(best) - 9), -1):
        number, zeros = int.from_bytes(best[:length], "big"), 8 * (num_bytes - length)
        fitting = [n for n in (number, number + 1) if n < 1 << 8 * length and low <= n << zeros < low + size]
        if not fitting:
            break
        best = fitting[0].to_bytes(length, "big")
    return best


@contextmanager
def payload_errors() -> Iterator[None]:
    """Turn constriction's complaint about bytes that no encoder wrote into a ValueError."""
    try:
        yield
    except AssertionError as error:
        raise ValueError(f"payload was not written by this coder: {error}") from error
