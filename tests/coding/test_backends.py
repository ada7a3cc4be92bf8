"""The lossless back ends: what goes in comes out, the bytes are fixed, and a bad payload is refused."""

import numpy as np
import pytest
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ganrev.coding import backends, container
from ganrev.coding.backends import Bzip2, Lzma, Range, Store, Zlib, Zstd, by_code, pack
from ganrev.coding.container import Container
from ganrev.coding.frame import ContainerError
from ganrev.coding.range_coder import code_lengths, scale_codes
from ganrev.paths import config_dir
from tests.tiny import compose_config

STREAMS = [Bzip2(), Zlib(), Lzma(), Zstd()]
BACK_ENDS = [Store(), *STREAMS]  # those that pack symbols into bytes, floats too
RANGES = [Range("flat"), Range("adaptive"), Range("prior"), Range("fitted")]
NARROW = np.array([0, 1, -1, 2, 0, 0, 5, -7], np.int32)
WIDE = np.array([0, 1000, -1000], np.int32)
FLOATS = np.array([0.5, -1.25], np.float32)


def scales(num_symbols):
    return np.full(num_symbols, 8)


def vectors(low, high):
    return npst.arrays(np.int32, st.integers(1, 64), elements=st.integers(low, high))


@pytest.mark.parametrize("back_end", BACK_ENDS, ids=lambda b: type(b).__name__)
@settings(deadline=None)  # the machine may be busy
@given(symbols=vectors(-128, 127) | vectors(-32768, 32767))
def test_symbols_come_back(back_end, symbols):
    decoded = back_end.decode(back_end.encode(symbols, scales(len(symbols))), scales(len(symbols)))
    assert decoded.dtype == np.int32
    np.testing.assert_array_equal(decoded, symbols)


@pytest.mark.parametrize("back_end", BACK_ENDS, ids=lambda b: type(b).__name__)
@settings(deadline=None)  # the machine may be busy
@given(z=npst.arrays(np.float32, st.integers(1, 64), elements=st.floats(width=32)))
def test_floats_come_back_bit_for_bit(back_end, z):
    decoded = back_end.decode(back_end.encode(z, scales(len(z))), scales(len(z)))
    assert decoded.dtype == np.float32
    assert decoded.tobytes() == z.tobytes()


@pytest.mark.parametrize(
    ("symbols", "payload"),
    [
        (NARROW, "0001ff02000005f9"),
        (WIDE, "0000e80318fc"),
        (FLOATS, "0000003f0000a0bf"),
    ],
)
def test_golden_bytes_of_store(symbols, payload):
    assert Store().encode(symbols, scales(len(symbols))).hex() == payload
    np.testing.assert_array_equal(Store().decode(bytes.fromhex(payload), scales(len(symbols))), symbols)


@pytest.mark.parametrize(
    ("symbols", "payload"),
    [
        (
            NARROW,
            "425a6839314159265359442f2df9000000c000f2000020a00022186830075f0830bb9229c2848221796fc8",
        ),
        (
            WIDE,
            "425a683931415926535985b77b9b0000006001c80000400040000420002183419a021a9c5dc914e1424216ddee6c",
        ),
        (
            FLOATS,
            "425a68393141592653598b18b96a000000481840000000c0000000a000219a68334d13123c5dc914e142422c62e5a8",
        ),
    ],
)
def test_golden_bytes_of_bzip2(symbols, payload):
    assert Bzip2().encode(symbols, scales(len(symbols))).hex() == payload
    np.testing.assert_array_equal(Bzip2().decode(bytes.fromhex(payload), scales(len(symbols))), symbols)


@pytest.mark.parametrize(("largest", "width"), [(127, 1), (128, 2), (-128, 1), (-129, 2), (32767, 2)])
def test_symbols_take_one_byte_unless_one_does_not_fit(largest, width):
    assert len(pack(np.array([0, largest, 0], np.int32))) == 3 * width


@pytest.mark.parametrize("symbol", [32768, -32769])
def test_a_symbol_beyond_int16_is_refused(symbol):
    with pytest.raises(ValueError, match=r"must fit int16, got .*larger quant\.step"):
        pack(np.array([0, symbol], np.int32))


@pytest.mark.parametrize("back_end", BACK_ENDS, ids=lambda b: type(b).__name__)
@pytest.mark.parametrize("num_symbols", [7, 9, 3, 5])
def test_another_number_of_symbols_is_refused(back_end, num_symbols):
    with pytest.raises(ValueError, match=f"8 bytes, expected {num_symbols} symbols|not one whole"):
        back_end.decode(back_end.encode(NARROW, scales(len(NARROW))), scales(num_symbols))


@pytest.mark.parametrize("coder", RANGES, ids=lambda r: r.model)
def test_range_coding_takes_symbols_and_refuses_floats(coder):
    payload = coder.encode(NARROW, scales(len(NARROW)))
    np.testing.assert_array_equal(coder.decode(payload, scales(len(NARROW))), NARROW)
    with pytest.raises(ValueError, match="quant=none needs another, such as entropy=bz2"):
        coder.encode(FLOATS, scales(len(FLOATS)))


@pytest.mark.parametrize("model", ["prior", "fitted"])
@settings(deadline=None, max_examples=30)  # the machine may be busy
@given(symbols=vectors(-300, 300), code=st.integers(-32, 64))
def test_a_file_takes_no_more_than_its_price(model, symbols, code):
    coder, codes = Range(model), np.full(len(symbols), code)
    largest = int(np.abs(symbols).max())
    used = coder.codes(symbols, codes)
    bits = sum(code_lengths(int(k), largest)[s + largest] for k, s in zip(used, symbols, strict=True))
    length = len(coder.encode(symbols, codes)) - (model == "fitted")
    # It may take far less: the number that stands for many zeros lies in the middle, and may end after a byte.
    assert length <= bits / 8 + 1.5


def test_fitted_tables_are_as_wide_as_the_symbols():
    rng = np.random.default_rng(0)
    codes = np.full(512, 8)
    for factor in (0.1, 1, 10):
        symbols = np.round(rng.laplace(scale=factor * 2 / np.sqrt(2), size=512)).astype(np.int32)
        fitted, prior = (len(Range(model).encode(symbols, codes)) for model in ("fitted", "prior"))
        assert fitted <= prior + 1
        assert factor == 1 or fitted < 0.8 * prior


def laplacian(deviation):
    """Return 512 symbols as latents give them, of unequal deviations around the one given, and their scale codes."""
    rng = np.random.default_rng(0)
    deviations = deviation * 2.0 ** rng.uniform(-1, 1, 512)
    symbols = np.rint(rng.laplace(scale=deviations / np.sqrt(2))).astype(np.int32)
    return symbols, scale_codes(deviations.astype(np.float32), np.ones(512, np.float32))


def ideal_bytes(coder, symbols, codes):
    """Return the code length of symbols under a model, by its definition."""
    largest = int(np.abs(symbols).max())
    if coder.model in ("prior", "fitted"):
        used = coder.codes(symbols, codes)
        return sum(code_lengths(int(k), largest)[s + largest] for k, s in zip(used, symbols, strict=True)) / 8
    counts, bits = np.full(2 * largest + 1, 0.5), 0.0
    for index in symbols + largest:
        bits += np.log2(counts.sum() / counts[index])
        counts[index] += coder.model == "adaptive"
    return bits / 8


def file_size(back_end, symbols, codes, scaled):
    """Return the size of a whole file in bytes."""
    content = Container(back_end.code, 1.0, b"abc", back_end.encode(symbols, codes), scaled)
    return len(container.write(content))


@pytest.mark.parametrize("deviation", [0.5, 1, 2, 4, 8])
@pytest.mark.parametrize("coder", RANGES, ids=lambda r: r.model)
def test_a_whole_file_is_near_the_ideal_of_its_model(coder, deviation):
    symbols, codes = laplacian(deviation)
    ideal = ideal_bytes(coder, symbols, codes)
    for scaled in (False, True):
        assert ideal < file_size(coder, symbols, codes, scaled) <= 1.03 * ideal + 12


@pytest.mark.parametrize(
    ("model", "widest"),
    [("prior", 64), ("fitted", 64), ("adaptive", 8)],  # 512 symbols hardly tell the frequencies of hundreds
)
def test_a_whole_file_is_a_fifth_smaller_than_with_bzip2(model, widest):
    for deviation in 2.0 ** np.arange(-2, np.log2(widest) + 1):
        symbols, codes = laplacian(deviation)
        for scaled in (False, True):
            assert file_size(Range(model), symbols, codes, scaled) <= 0.8 * file_size(Bzip2(), symbols, codes, scaled)


@pytest.mark.parametrize("coder", RANGES, ids=lambda r: r.model)
def test_so_is_one_of_a_picture_that_the_generator_drew(coder):
    symbols = np.rint(np.random.default_rng(0).uniform(-1, 1, 512)).astype(np.int32)
    codes = np.full(512, -7)  # U[-1, 1] in steps of 1
    assert file_size(coder, symbols, codes, False) <= 0.8 * file_size(Bzip2(), symbols, codes, False)


@pytest.mark.parametrize("back_end", [*BACK_ENDS, Range("flat"), Range("adaptive")], ids=lambda b: str(b.code))
def test_a_back_end_that_cannot_price_symbols_says_so(back_end):
    with pytest.raises(ValueError, match=r"quant=rd needs entropy.*fitted"):
        back_end.codes(NARROW, scales(len(NARROW)))


def test_an_empty_fitted_payload_is_refused():
    with pytest.raises(ValueError, match="payload is empty"):
        Range("fitted").decode(b"", scales(8))


def test_an_unknown_model_is_refused():
    with pytest.raises(ValueError, match="flat, adaptive, prior, fitted, got 'zipf'"):
        Range("zipf")


def test_the_header_finds_the_back_end():
    everything = BACK_ENDS + RANGES
    for back_end in everything:
        found = by_code(back_end.code)
        assert type(found) is type(back_end)
        assert found.code == back_end.code
    assert len({back_end.code for back_end in everything}) == len(everything)


@pytest.mark.parametrize("code", [15, -1])
def test_an_unknown_code_is_refused(code):
    with pytest.raises(ContainerError, match=f"unknown entropy back end {code}"):
        by_code(code)


@pytest.mark.parametrize("config", sorted(p.stem for p in (config_dir() / "entropy").glob("*.yaml")))
def test_every_config_is_a_back_end_that_the_decoder_finds(config):
    back_end = instantiate(compose_config(f"entropy={config}").entropy)
    payload = back_end.encode(NARROW, scales(len(NARROW)))
    np.testing.assert_array_equal(backends.by_code(back_end.code).decode(payload, scales(len(NARROW))), NARROW)
