"""What picture files carry beside plain pixels: long metadata, colour profiles, odd sizes, several frames."""

import io
import logging
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from ganrev.data.formats import decode_picture
from tests.data.test_deep import chunk, png

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)


def encoded(picture, format="PNG", **options):
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, format=format, **options)
    return buffer.getvalue()


def decoded(data):
    picture = decode_picture(data)
    assert picture.mode == "RGB"
    return np.asarray(picture)


# ---- metadata beyond Pillow's limits


def with_chunks(data, *chunks):
    """Put chunks behind the header of a PNG."""
    return data[:33] + b"".join(chunks) + data[33:]


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


# ---- colour profiles


def profile(primaries, gamma=2.2):
    """Return an ICC profile of RGB with some primaries, given as XYZ in the profile's own white, D50."""

    def fixed(value):
        return struct.pack(">i", round(value * 65536))

    def xyz(values):
        return b"XYZ " + bytes(4) + b"".join(map(fixed, values))

    curve = b"curv" + bytes(4) + struct.pack(">I", 1) + struct.pack(">H", round(gamma * 256)) + bytes(2)
    tags = {b"wtpt": xyz((0.9642, 1.0, 0.8249))}
    tags |= {name: xyz(values) for name, values in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    place, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", place + len(body), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    return head.ljust(128, b"\0") + table + body


SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))


def to_srgb(pixels, primaries, gamma):
    """Convert by the definition of sRGB, float."""
    matrix = np.linalg.inv(np.array(SRGB).T) @ np.array(primaries).T
    linear = np.clip((pixels / 255) ** gamma @ matrix.T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("primaries", [ADOBE_RGB, DISPLAY_P3], ids=["Adobe RGB", "Display P3"])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_colours_of_a_profile_become_those_of_srgb(primaries, format):
    options = {"lossless": True} if format == "WEBP" else {}
    found = decoded(encoded(PIXELS, format, icc_profile=profile(primaries), **options))
    expected = to_srgb(PIXELS, primaries, 2.2)
    assert np.abs(found - expected).max() < 2
    assert np.abs(found.astype(int) - PIXELS).max() > 20


def test_colours_become_those_of_srgb_before_or_after_all_else():
    exif = Image.Exif()
    exif[0x0112] = 3
    data = encoded(PIXELS, icc_profile=profile(ADOBE_RGB), exif=exif)
    np.testing.assert_array_equal(decoded(data), decoded(encoded(PIXELS, icc_profile=profile(ADOBE_RGB)))[::-1, ::-1])
    rgba = np.dstack([PIXELS, np.zeros(PIXELS.shape[:2], np.uint8)])
    assert (decoded(encoded(rgba, icc_profile=profile(ADOBE_RGB))) == 255).all()


def test_a_long_profile_is_applied():
    padded = profile(ADOBE_RGB)
    padded = struct.pack(">I", len(padded) + 1_500_000) + padded[4:] + NOISE[:1_500_000]
    data = with_chunks(encoded(PIXELS), chunk(b"iCCP", b"icc\0\0" + zlib.compress(padded)))
    np.testing.assert_array_equal(decoded(data), decoded(encoded(PIXELS, icc_profile=profile(ADOBE_RGB))))


def test_profiles_of_srgb_change_nothing():
    lcms = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(decoded(encoded(PIXELS, icc_profile=lcms)), PIXELS)


def test_a_damaged_profile_is_said_and_left_out(caplog):
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(decoded(encoded(PIXELS, icc_profile=profile(ADOBE_RGB)[:200])), PIXELS)
    assert "a colour profile is damaged" in caplog.text


def test_a_profile_for_other_pixels_changes_nothing():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    np.testing.assert_array_equal(decoded(encoded(PIXELS, icc_profile=lab)), PIXELS)
    ink = Image.fromarray(PIXELS).convert("CMYK")
    plain = decoded(encoded(ink, "TIFF"))
    np.testing.assert_array_equal(decoded(encoded(ink, "TIFF", icc_profile=profile(ADOBE_RGB))), plain)


# ---- sizes and frames


def test_one_pixel():
    np.testing.assert_array_equal(decoded(encoded(PIXELS[:1, :1])), PIXELS[:1, :1])


def test_a_picture_of_20000_by_20000_is_refused_before_it_is_decoded():
    with pytest.raises(ValueError, match="too large to be a photo"):
        decode_picture(png(20000, 8, 2, b"", height=20000))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_first_frame_of_several(format):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(decoded(data)[0, 0].astype(int), [255, 0, 0], atol=4)
