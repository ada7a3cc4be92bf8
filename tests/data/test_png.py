"""PNG files whose metadata is longer than Pillow reads."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ganrev.data.formats import decode_picture
from tests.picture_files import chunk, decoded, encoded, png, with_chunks

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
NOISE = np.random.default_rng(1).integers(0, 256, 2_000_000, dtype=np.uint8).tobytes()
LONG = {
    "2 MB of zTXt": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 2_000_000)),
    "2 MB of zTXt that does not shrink": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(NOISE)),
    "2 MB of tEXt": chunk(b"tEXt", b"Comment\0" + b"x" * 2_000_000),
    "2 MB of packed iTXt": chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"x" * 2_000_000)),
    "70 MB in many": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 1_000_000)) * 70,
    "100 MB of zTXt": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 100_000_000)),
    "100 MB of profile": chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"x" * 100_000_000)),
    "1.5 MB of profile": chunk(b"iCCP", b"icc\0\0" + zlib.compress(NOISE[:1_500_000])),
}


@pytest.mark.parametrize("name", LONG)
def test_a_png_is_read_however_long_its_metadata(name):
    np.testing.assert_array_equal(decoded(with_chunks(encoded(PIXELS), LONG[name])), PIXELS)


def test_orientation_counts_beside_long_text():
    exif = Image.Exif()
    exif[0x0112] = 3
    data = with_chunks(encoded(PIXELS, exif=exif), LONG["2 MB of zTXt"])
    np.testing.assert_array_equal(decoded(data), PIXELS[::-1, ::-1])


def test_a_png_of_16_bits_is_read_with_long_text():
    data = with_chunks(png(2, 16, 2, struct.pack(">6H", 0, 129, 65535, 1, 2, 3)), LONG["2 MB of zTXt"])
    np.testing.assert_array_equal(decoded(data), [[[0, 1, 255], [0, 0, 0]]])


def test_a_damaged_png_with_long_text_stays_damaged():
    data = with_chunks(encoded(PIXELS), LONG["2 MB of zTXt"])
    for cut in (len(data) - 100, len(data) // 2, 40, 33, 20, 8):
        with pytest.raises(ValueError, match=r"truncated or damaged|damaged at its start"):
            decode_picture(data[:cut])
