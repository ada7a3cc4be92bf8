"""Streams of general-purpose compressors: a damaged or hostile one is refused, and none takes much memory."""

import bz2
import lzma
import resource
import zlib

import numpy as np
import pytest
import zstandard

from ganrev.coding.backends import Bzip2, Lzma, Zlib, Zstd, pack

STREAMS = [Bzip2(), Zlib(), Lzma(), Zstd()]
NARROW = np.array([0, 1, -1, 2, 0, 0, 5, -7], np.int32)


def scales(num_symbols):
    return np.full(num_symbols, 8)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda b: type(b).__name__)
@pytest.mark.parametrize("payload", [b"", b"x", b"not a stream at all", b"BZh9" + b"\0" * 20])
def test_a_stream_refuses_what_is_none(stream, payload):
    with pytest.raises(ValueError, match="payload"):
        stream.decode(payload, scales(8))


@pytest.mark.parametrize("stream", STREAMS, ids=lambda b: type(b).__name__)
def test_a_stream_refuses_every_truncation_and_anything_behind_it(stream):
    payload = stream.encode(NARROW, scales(len(NARROW)))
    for length in range(len(payload)):
        with pytest.raises(ValueError, match="payload"):
            stream.decode(payload[:length], scales(len(NARROW)))
    with pytest.raises(ValueError, match="payload"):
        stream.decode(payload + b"more", scales(len(NARROW)))


@pytest.mark.parametrize("stream", STREAMS, ids=lambda b: type(b).__name__)
def test_a_stream_does_not_inflate_a_bomb(stream):
    bomb = stream.compress(bytes(30_000_000))
    assert len(bomb) < 50_000
    with pytest.raises(ValueError, match="payload"):
        stream.decode(bomb, scales(512))


def forged_zstd(declared: int) -> bytes:
    """Return a Zstandard frame of one raw byte whose header declares that many."""
    header = b"\x28\xb5\x2f\xfd" + b"\xe0" + declared.to_bytes(8, "little")  # one segment, size in eight bytes
    return header + b"\x09\0\0" + b"\0"  # last block, raw, one byte


def forged_lzma(dictionary: int) -> bytes:
    """Return an LZMA payload whose header asks for a dictionary of that many bytes."""
    payload = Lzma().encode(NARROW, scales(len(NARROW)))
    return payload[:1] + dictionary.to_bytes(4, "little") + payload[5:]


@pytest.mark.parametrize(
    ("stream", "payload", "message"),
    [
        (Zstd(), forged_zstd(1 << 40), "declares 1099511627776 bytes, expected at most 33"),
        (Zstd(), forged_zstd(1 << 62), "declares 4611686018427387904 bytes"),
        (Zstd(), zstandard.ZstdCompressor(level=22, write_content_size=False).compress(bytes(9 << 20)), "Zstandard"),
        (Lzma(), forged_lzma(0xFFFFFFFF), "not a LZMA stream: Memory usage limit exceeded"),
        (Lzma(), forged_lzma(1 << 27), "Memory usage limit exceeded"),
    ],
    ids=["a terabyte", "more than memory", "no size, but a wide window", "dictionary of 4 GiB", "of 128 MiB"],
)
def test_a_header_that_asks_for_much_memory_is_refused(stream, payload, message):
    """Before any of it is allocated: what a stranger's file may ask for is what a good one needs."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=message):
        stream.decode(payload, scales(8))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


@pytest.mark.parametrize("kind", [Zlib, Bzip2])
def test_streams_are_as_small_as_their_library_makes_them(kind):
    rng = np.random.default_rng(0)
    data = np.rint(rng.laplace(scale=2, size=60_000)).astype(np.int32).clip(-100, 100)
    packed = pack(data)
    best = {Zlib: zlib.compress, Bzip2: bz2.compress}
    payload = kind().encode(data, np.zeros(len(data), np.int64))
    assert len(payload) == len(best[kind](packed, 9))


@pytest.mark.parametrize("stream", [Bzip2(), Zlib(), Lzma()], ids=lambda stream: type(stream).__name__)
def test_a_stream_is_expanded_to_its_limit_and_no_further(stream):
    payload = stream.compress(bytes(100))
    assert stream.expand(payload, 100) == bytes(100)
    with pytest.raises(ValueError, match=r"not one whole .* stream: it is cut short"):
        stream.expand(payload, 99)


def test_lzma_comes_in_its_oldest_container_only():
    with pytest.raises(ValueError, match="not a LZMA stream"):
        Lzma().expand(lzma.compress(bytes(16), lzma.FORMAT_XZ), 16)


def test_zstandard_has_no_checksum_of_its_own():
    data = pack(np.arange(512, dtype=np.int32) % 7)
    bare = zstandard.ZstdCompressor(level=19, write_checksum=False).compress(data)
    assert Zstd().compress(data) == bare
