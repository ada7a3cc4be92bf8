"""Pixels of every depth, layout and photometric interpretation: decoded rightly or refused, never silently wrong."""

import base64
import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from ganrev.data import deep
from ganrev.data.formats import decode_picture
from tests.picture_files import png

GREY = (np.arange(9 * 12).reshape(9, 12) * 607).astype(np.uint16)
RGB = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])
ALPHA = np.where(np.arange(12) < 6, 65535, 0).astype(np.uint16)[None].repeat(9, 0)
RGBA = np.dstack([RGB, ALPHA])


def decoded(data):
    picture = decode_picture(data)
    assert picture.mode == "RGB"
    return np.asarray(picture)


def to_8_bit(pixels, white=65535):
    scaled = np.rint(pixels / np.float32(white) * 255).astype(np.uint8)
    return scaled if scaled.ndim == 3 else np.dstack([scaled] * 3)


def over_white(rgba):
    return np.where(rgba[..., 3:] > 0, to_8_bit(rgba[..., :3]), 255)


def tiff(pixels, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def planes(pixels):
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


# ---- TIFF


PACKINGS = [{}, {"byteorder": ">"}, {"compression": "zlib"}, {"compression": "zlib", "predictor": 2}]
PACKINGS += [{"tile": (16, 16)}, {"rowsperstrip": 2}, {"bigtiff": True}, {"byteorder": ">", "compression": "zlib"}]


@pytest.mark.parametrize("packing", PACKINGS, ids=str)
def test_tiff_of_16_bits_in_any_packing(packing):
    np.testing.assert_array_equal(decoded(tiff(GREY, photometric="minisblack", **packing)), to_8_bit(GREY))
    np.testing.assert_array_equal(decoded(tiff(RGB, photometric="rgb", **packing)), to_8_bit(RGB))
    with_alpha = tiff(RGBA, photometric="rgb", extrasamples=["unassalpha"], **packing)
    np.testing.assert_array_equal(decoded(with_alpha), over_white(RGBA))


@pytest.mark.parametrize("packing", PACKINGS, ids=str)
def test_tiff_of_16_bits_in_planes(packing):
    options = {"photometric": "rgb", "planarconfig": "separate"} | packing
    np.testing.assert_array_equal(decoded(tiff(planes(RGB), **options)), to_8_bit(RGB))
    with_alpha = tiff(planes(RGBA), extrasamples=["unassalpha"], **options)
    np.testing.assert_array_equal(decoded(with_alpha), over_white(RGBA))


def test_half_a_white_tiff_in_planes_is_half_white():
    half = np.zeros((128, 128, 3), np.uint16)
    half[:64] = 65535
    pixels = decoded(tiff(planes(half), photometric="rgb", planarconfig="separate"))
    assert (pixels[:64] == 255).all()
    assert (pixels[64:] == 0).all()


@pytest.mark.parametrize("in_planes", [False, True])
def test_tiff_with_alpha_that_is_multiplied_in_or_that_means_nothing(in_planes):
    half = RGBA.copy()
    half[..., 3] = 32768
    half[..., :3] //= 2
    options = {"photometric": "rgb", "planarconfig": "separate" if in_planes else "contig", "compression": "zlib"}
    stored = planes(half) if in_planes else half
    premultiplied = decoded(tiff(stored, extrasamples=["assocalpha"], **options)).astype(int)
    expected = to_8_bit(half[..., :3]).astype(int) + 127
    assert np.abs(premultiplied - np.minimum(expected, 255)).max() <= 1
    unspecified = decoded(tiff(stored, extrasamples=["unspecified"], **options))
    np.testing.assert_array_equal(unspecified, to_8_bit(half[..., :3]))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_whose_white_is_zero(compression):
    for pixels, white in ((GREY, 65535), ((GREY >> 8).astype(np.uint8), 255)):
        data = tiff(pixels, photometric="miniswhite", compression=compression)
        np.testing.assert_array_equal(decoded(data), 255 - to_8_bit(pixels, white))
    bilevel = np.eye(9, dtype=bool)
    np.testing.assert_array_equal(decoded(tiff(bilevel, photometric="miniswhite"))[..., 0], 255 * ~bilevel)


@pytest.mark.parametrize("packing", PACKINGS, ids=str)
def test_tiff_of_8_bits_in_planes_or_not(packing):
    pixels = (RGB >> 8).astype(np.uint8)
    np.testing.assert_array_equal(decoded(tiff(pixels, photometric="rgb", **packing)), pixels)
    options = {"photometric": "rgb", "planarconfig": "separate"} | packing
    np.testing.assert_array_equal(decoded(tiff(planes(pixels), **options)), pixels)


def small_tiff(tags, pixels):
    """Write a TIFF by hand: tags beside width, height and strip, all of them shorts."""
    tags = {256: 4, 257: 1, 259: 1, 277: 1, 278: 1, 273: 8, 279: len(pixels)} | tags
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in sorted(tags.items()))
    body = pixels + b"\0" * (len(pixels) % 2)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(tags)) + entries + b"\0" * 4


def test_tiff_of_12_bits():
    packed = bytes.fromhex("000fff800800")  # 0, 4095, 2048, 2048
    data = small_tiff({258: 12, 262: 1}, packed)
    np.testing.assert_array_equal(decoded(data)[0, :, 0], [0, 255, 128, 128])


@pytest.mark.parametrize(
    "make",
    [
        lambda: tiff(GREY.astype(np.int16), photometric="minisblack"),
        lambda: tiff((GREY >> 9).astype(np.int8), photometric="minisblack"),
        lambda: tiff(GREY.astype(np.uint32), photometric="minisblack"),
        lambda: tiff(GREY.astype(np.float16), photometric="minisblack"),
        lambda: tiff(GREY.astype(np.float64), photometric="minisblack"),
        lambda: tiff(RGB.astype(np.uint32), photometric="rgb"),
        lambda: tiff(RGB.astype(np.int16), photometric="rgb"),
        lambda: tiff((RGB >> 9).astype(np.int8), photometric="rgb"),
        lambda: tiff(RGB.astype(np.float32), photometric="rgb"),
        lambda: tiff(RGB, photometric="cielab"),
        lambda: tiff((RGB >> 8).astype(np.uint8), photometric="cielab"),
        lambda: tiff(RGB[..., :2].copy(), photometric="minisblack", extrasamples=["unassalpha"]),
        lambda: tiff(planes(RGBA), photometric="separated", planarconfig="separate"),
        lambda: tiff(GREY, photometric="miniswhite", byteorder=">"),
    ],
)
def test_tiff_that_is_not_understood_is_refused(make):
    with pytest.raises(ValueError, match=r"save it with 8 bits|of a kind that is not read"):
        decode_picture(make())


def test_tiff_of_cmyk_with_16_bits_is_right_to_a_level():
    ink = np.dstack([GREY, GREY[::-1], GREY[:, ::-1], GREY // 2])
    deep = decoded(tiff(ink, photometric="separated")).astype(int)
    flat = decoded(tiff((ink >> 8).astype(np.uint8), photometric="separated"))
    assert np.abs(deep - flat).max() <= 1


def test_planes_that_lie_about_their_strips_are_refused():
    data = tiff(planes(RGB), photometric="rgb", planarconfig="separate")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tag = file.pages[0].tags["StripByteCounts"]
    for begin in range(tag.valueoffset, tag.valueoffset + 12, 4):  # each of the three claims half of the file
        data = data[:begin] + struct.pack("<I", len(data) // 2) + data[begin + 4 :]
    with pytest.raises(ValueError, match="truncated or damaged"):
        decode_picture(data)


# ---- JPEG 2000


# Codestreams of 4 x 4 pixels that opj_compress wrote; sample i of n, plane by plane, is i * 2311 modulo white + 1, the
# first one white.
GREY_4 = (
    "/0//UQApAAAAAAAEAAAABAAAAAAAAAAAAAAABAAAAAQAAAAAAAAAAAABAwEB/1IADAAAAAEAAAQEAAH/XAAEQCD/kAAKAAAAAAAbAAH/k8+EoBN8"
)
GREY_4 += "aCx92iL8NX//2Q=="
SIGNED_8 = (
    "/0//UQApAAAAAAAEAAAABAAAAAAAAAAAAAAABAAAAAQAAAAAAAAAAAABhwEB/1IADAAAAAEAAAQEAAH/XAAEQED/kAAKAAAAAAAiAAH/k8+0"
)
SIGNED_8 += "RANG3IKJgIHnWp+/VLv7yWJv/9k="
GREY_10 = (
    "/0//UQApAAAAAAAEAAAABAAAAAAAAAAAAAAABAAAAAQAAAAAAAAAAAABCQEB/1IADAAAAAEAAAQEAAH/XAAEQFD/kAAKAAAAAAAnAAH/k8/MWBMP"
)
GREY_10 += "uoM9fYi4SjArGEhzgsKoJGS+9z//2Q=="
RGB_12 = (
    "/0//UQAvAAAAAAAEAAAABAAAAAAAAAAAAAAABAAAAAQAAAAAAAAAAAADCwEBCwEBCwEB/1IADAAAAAEBAAQEAAH/XAAEQGD/kAAKAAAAAABKAAH/"
)
RGB_12 += "k8/kZALMcn5IigcU9GhAeSRV2u9l3FQMYdgPPzff4DQgR41/BmS+yjt8DVIS3+A0FOipArLnLo2TGxvHP//Z"
RGB_16 = (
    "/0//UQAvAAAAAAAEAAAABAAAAAAAAAAAAAAABAAAAAQAAAAAAAAAAAADDwEBDwEBDwEB/1IADAAAAAEBAAQEAAH/XAAEQID/kAAKAAAAAAB1AAH/"
)
RGB_16 += "k8f+DEQCs4joTPLgI0knlrjvSogGwSD3bmlOADCTVJdym4dBmMhf3/iQ2Bm4F3s00mROSHTOSM3JX7G/ImkzkiKk/zEo"
RGB_16 += "S9/4kPALzxp6gEMTqnKnn5XC7JicPrh9czp8Ek8KXQC+3bn/2Q=="


@pytest.mark.parametrize(
    ("codestream", "bits", "channels"), [(GREY_10, 10, 1), (RGB_12, 12, 3), (RGB_16, 16, 3)], ids=str
)
def test_jpeg_2000_of_any_depth(codestream, bits, channels):
    samples = np.arange(16 * channels) * 2311 % 2**bits
    samples[0] = 2**bits - 1
    expected = to_8_bit(samples.reshape(channels, 4, 4).transpose(1, 2, 0), 2**bits - 1)
    np.testing.assert_array_equal(
        decoded(base64.b64decode(codestream)), expected if channels == 3 else expected.repeat(3, 2)
    )


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_jpeg_2000_of_8_bits(mode):
    pixels = (RGBA >> 8).astype(np.uint8)[..., : len(mode)] if mode != "L" else (GREY >> 8).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG2000", irreversible=False)
    expected = to_8_bit(pixels, 255) if mode != "RGBA" else np.where(pixels[..., 3:] > 0, pixels[..., :3], 255)
    np.testing.assert_array_equal(decoded(buffer.getvalue()), expected)


def test_jpeg_2000_in_its_own_file_of_16_bits():
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "JPEG2000", irreversible=False)
    np.testing.assert_array_equal(decoded(buffer.getvalue()), to_8_bit(GREY))


@pytest.mark.parametrize("codestream", [GREY_4, SIGNED_8], ids=["4 bits", "signed"])
def test_jpeg_2000_that_is_not_understood_is_refused(codestream):
    with pytest.raises(ValueError, match="save it with 8 bits"):
        decode_picture(base64.b64decode(codestream))


# ---- PNG


@pytest.mark.parametrize(
    ("depth", "row", "value", "expected"),
    [
        (1, b"\x40", 1, [0, 255, 0, 0]),
        (2, b"\x1b", 1, [0, 255, 170, 255]),
        (2, b"\x1b", 2, [0, 85, 255, 255]),
        (4, b"\x05\x0a", 5, [0, 255, 0, 170]),
        (8, b"\x00\x55\x80\xff", 0x55, [0, 255, 128, 255]),
        (16, b"\x00\x00\x55\x00\x55\x01\xff\xff", 0x5500, [0, 255, 85, 255]),
    ],
)
def test_png_of_grey_with_a_transparent_value(depth, row, value, expected):
    data = png(4, depth, 0, row, struct.pack(">H", value))
    np.testing.assert_array_equal(decoded(data)[0], np.array([expected] * 3).T)


def test_png_of_grey_of_few_bits():
    for depth, row, expected in ((1, b"\x40", [0, 255, 0, 0]), (2, b"\x1b", [0, 85, 170, 255]), (4, b"\x05\xfa", None)):
        np.testing.assert_array_equal(decoded(png(4, depth, 0, row))[0, :, 0], expected or [0, 85, 255, 170])


def test_png_of_16_bit_colour_with_a_transparent_value():
    row = struct.pack(">6H", 1, 2, 3, 1, 2, 4)
    pixels = decoded(png(2, 16, 2, row, struct.pack(">HHH", 1, 2, 3)))
    np.testing.assert_array_equal(pixels, [[[255] * 3, [0] * 3]])


def test_png_of_16_bit_grey_with_alpha():
    row = struct.pack(">4H", 0, 32896, 65535, 0)
    np.testing.assert_array_equal(decoded(png(2, 16, 4, row)), [[[127] * 3, [255] * 3]])


def test_more_deep_samples_than_memory_is_for_are_refused(monkeypatch):
    monkeypatch.setattr(deep, "_MOST_SAMPLES", 100)
    with pytest.raises(ValueError, match="too large to be a photo: 108 samples of more than 8 bits, at most 100"):
        decode_picture(png(12, 16, 0, b"\0\0" * 12 + (b"\0" + b"\0\0" * 12) * 8, height=9))
