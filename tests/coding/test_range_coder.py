"""The range coder: tables that are a part of the format, round trips, no padding."""

import hashlib

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ganrev.coding import range_coder

SYMBOLS = arrays(np.int32, st.integers(1, 60), elements=st.integers(-32767, 32767) | st.integers(-4, 4))


def ideal_bytes(symbols: np.ndarray, codes: np.ndarray) -> float:
    """Code length of symbols within their tables, from the tables alone."""
    bits = 0.0
    for symbol, code in zip(symbols, codes, strict=True):
        table = range_coder.frequencies(int(code))
        bits -= np.log2(table[symbol + len(table) // 2 - 1] / table.sum())
    return bits / 8


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (range(-32, 33), "f16450658b6d33b19d85daa359c2d73ba0c424a316c506f79418ef05c498f618"),
        (range(33, 65), "6fb65fc239ca1716ad36ee788df2ec1732fcb58641d54f2bb5e750ee06c60936"),
    ],
    ids=["narrow", "wide"],
)
def test_tables_never_change(codes: range, expected: str) -> None:
    digest = hashlib.sha256()
    for code in codes:
        digest.update(range_coder.frequencies(code).astype("<i8").tobytes())
    assert digest.hexdigest() == expected


@pytest.mark.parametrize("code", [range_coder.LOWEST, 0, 17, range_coder.HIGHEST])
def test_a_table_is_a_symmetric_whole(code: int) -> None:
    table = range_coder.frequencies(code)
    symbols = table[:-1]
    assert table.sum() == range_coder.TOTAL
    assert (table > 0).all()
    assert (symbols == symbols[::-1]).all()
    assert symbols.argmax() == len(symbols) // 2


@given(SYMBOLS, st.integers(range_coder.LOWEST, 24))
@settings(max_examples=40, deadline=None)
def test_scaled_symbols_come_back(symbols: np.ndarray, code: int) -> None:
    codes = np.full(len(symbols), code)
    payload = range_coder.encode_with_scales(symbols, codes)
    assert np.array_equal(range_coder.decode_with_scales(payload, codes), symbols)


@given(SYMBOLS, st.booleans())
@settings(max_examples=40, deadline=None)
def test_counted_symbols_come_back(symbols: np.ndarray, adaptive: bool) -> None:
    symbols = symbols % 300 - 150  # models as wide as int16 are slow to build and tell nothing new
    payload = range_coder.encode_counted(symbols, adaptive)
    assert np.array_equal(range_coder.decode_counted(payload, len(symbols), adaptive), symbols)


@pytest.mark.parametrize("deviation", [0.2, 1.0, 5.0])
def test_nothing_is_padded(deviation: float) -> None:
    rng = np.random.default_rng(0)
    symbols = np.rint(rng.laplace(0, deviation / np.sqrt(2), 512)).astype(np.int32)
    codes = range_coder.scale_codes(np.full(512, deviation, np.float32), np.ones(512, np.float32))
    payload = range_coder.encode_with_scales(symbols, codes)
    assert len(payload) <= ideal_bytes(symbols, codes) + 1


def test_flat_coding_of_three_symbols_takes_a_log2_of_three_each() -> None:
    symbols = np.random.default_rng(1).integers(-1, 2, 512).astype(np.int32)
    assert len(range_coder.encode_counted(symbols, adaptive=False)) <= 1 + 512 * np.log2(3) / 8 + 1


def test_scale_codes_are_eighths_of_an_octave() -> None:
    steps = np.array([1, 0.5, 2, 1e-9, 1e9], np.float32)
    codes = range_coder.scale_codes(np.ones(5, np.float32), steps)
    assert codes.tolist() == [0, 8, -8, range_coder.HIGHEST, range_coder.LOWEST]


def test_golden_bytes() -> None:
    symbols = np.array([0, 1, -1, 3, 0, 0, -40, 2], np.int32)
    codes = np.array([-8, 0, 8, 16, 0, -32, 8, 4])
    assert range_coder.encode_with_scales(symbols, codes).hex() == "bcc67bc59485"
    assert range_coder.encode_fitted(symbols, codes).hex() == "9287bf147a71"
    assert range_coder.encode_counted(symbols, adaptive=False).hex() == "288009e148c65a"
    assert range_coder.encode_counted(symbols, adaptive=True).hex() == "2880132def4044"


@given(st.binary(max_size=40), st.sampled_from(["prior", "fitted", "flat", "adaptive"]))
@settings(max_examples=60, deadline=None)
def test_any_bytes_decode_or_are_refused(payload: bytes, model: str) -> None:
    payload = b"\x05" + payload  # a small alphabet
    outcome = None
    try:
        if model == "prior":
            outcome = range_coder.decode_with_scales(payload, np.zeros(16, int))
        elif model == "fitted":
            outcome = range_coder.decode_fitted(payload, np.zeros(16, int))
        else:
            outcome = range_coder.decode_counted(payload, 16, model == "adaptive")
    except ValueError as error:
        outcome = str(error)
    assert "payload" in outcome if isinstance(outcome, str) else len(outcome) == 16


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("largest", [254, 255, 256])
def test_the_head_says_how_large_symbols_are_at_where_it_grows(largest, adaptive):
    symbols = np.array([0, largest, -1, 2], np.int32)
    payload = range_coder.encode_counted(symbols, adaptive)
    assert np.array_equal(range_coder.decode_counted(payload, 4, adaptive), symbols)
    assert payload[0] == min(largest, 255)


def test_the_first_symbol_beyond_a_table_takes_a_sign_and_one_bit_after_the_escape():
    inside = len(range_coder.frequencies(0)) // 2 - 1
    lengths = range_coder.code_lengths(0, inside + 3)
    escape = np.log2(range_coder.TOTAL)
    assert lengths[inside + 3 + inside + 1] == pytest.approx(escape + 2)
    assert lengths[-1] == pytest.approx(escape + 4)


def test_an_excess_of_17_bits_is_refused():
    largest = len(range_coder.frequencies(0)) // 2 - 1
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(2 * largest + 1, range_coder.model_of(0))
    range_coder.encode_escaped(encoder, (1 << 16) + largest, largest)  # an excess of seventeen bits
    payload = encoder.get_compressed().astype(">u4").tobytes()
    with pytest.raises(ValueError, match="does not fit int16"):
        range_coder.decode_with_scales(payload, np.zeros(1, np.int64))


@pytest.mark.parametrize("end", [[], [0], [2], [2, 1, 0, 1]], ids=str)
@pytest.mark.parametrize("length", [1, 20, 60, 200])
def test_bytes_are_trimmed_to_the_shortest_also_where_a_carry_was_awaited(length: int, end: list[int]) -> None:
    # The middle third of the interval keeps its middle: no word is settled before the end.
    model = constriction.stream.model.Categorical(np.array([0.375, 0.25, 0.375]), perfect=False)
    symbols = np.array([1] * length + end, np.int32)
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(symbols, model)
    payload = range_coder.trim(encoder)

    def decodes(number: int, num_bytes: int) -> bool:
        decoder = range_coder.start_decoder(number.to_bytes(num_bytes, "big"))
        try:
            with range_coder.payload_errors():
                return np.array_equal(decoder.decode(model, len(symbols)), symbols)
        except ValueError:
            return False

    number, num_bytes = int.from_bytes(payload, "big"), len(payload)
    assert decodes(number, num_bytes)
    near = [(number >> 8) + change for change in (-1, 0, 1, 2)]
    assert not any(decodes(one, num_bytes - 1) for one in near if 0 <= one < 256 ** (num_bytes - 1))
