"""Every kind of picture file: plain pixels, colour profiles, odd sizes, several frames."""

import logging
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from ganrev.data.formats import decode_picture
from tests.picture_files import chunk, decoded, encoded, noise, png, with_chunks

# ---- files to RGB


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_rgb_is_kept(format):
    pixels = noise(5, 7)
    np.testing.assert_array_equal(decoded(encoded(pixels, format)), pixels)


def test_grey_becomes_three_equal_channels():
    pixels = noise(5, 7, 1)
    np.testing.assert_array_equal(decoded(encoded(pixels)), np.dstack([pixels] * 3))


def test_black_and_white():
    pixels = np.eye(5, dtype=bool)
    np.testing.assert_array_equal(decoded(encoded(pixels))[..., 0], pixels * 255)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".pgm"])
def test_16_bit_grey_is_scaled_and_rounded(suffix):
    pixels = np.array([[0, 128, 129, 257, 33000, 65535]], np.uint16)
    data = cv2.imencode(suffix, pixels)[1].tobytes()
    np.testing.assert_array_equal(decoded(data)[0, :, 0], [0, 0, 1, 1, 128, 255])


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bit_colour_is_scaled_and_rounded(suffix):
    # 129 / 257 rounds to 1 and 255 / 257 too, where the upper byte alone would be 0.
    rgb = np.array([[[129, 255, 65535], [0, 33000, 128]]], np.uint16)
    data = cv2.imencode(suffix, rgb[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(decoded(data), [[[1, 1, 255], [0, 128, 0]]])


def test_16_bit_alpha_is_laid_over_white():
    bgra = np.array([[[0, 0, 65535, 0], [0, 65535, 0, 65535], [0, 0, 65535, 32896]]], np.uint16)
    data = cv2.imencode(".png", bgra)[1].tobytes()
    np.testing.assert_array_equal(decoded(data), [[[255, 255, 255], [0, 255, 0], [255, 127, 127]]])


def test_alpha_is_laid_over_white():
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 255, 51]]], np.uint8)
    np.testing.assert_array_equal(decoded(encoded(rgba)), [[[10, 20, 30], [255, 255, 255], [204, 224, 255]]])


def test_grey_with_alpha():
    la = Image.fromarray(np.array([[[0, 51], [7, 255]]], np.uint8), "LA")
    np.testing.assert_array_equal(decoded(encoded(la)), [[[204] * 3, [7] * 3]])


def test_palette_and_its_transparent_colour():
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    np.testing.assert_array_equal(decoded(encoded(picture)), [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]])
    transparent = encoded(picture, transparency=1)
    np.testing.assert_array_equal(decoded(transparent), [[[255, 0, 0], [255, 255, 255], [0, 0, 255]]])


def test_cmyk():
    ink = np.zeros((16, 48, 4), np.uint8)
    ink[:, :16, 0] = 255  # cyan
    ink[:, 16:32, 3] = 255  # black
    picture = Image.fromarray(ink, "CMYK")
    for data in (encoded(picture, "TIFF"), encoded(picture, "JPEG", quality=100, subsampling=0)):
        colours = decoded(data)[8, [8, 24, 40]].astype(int)
        np.testing.assert_allclose(colours, [[0, 255, 255], [0, 0, 0], [255, 255, 255]], atol=2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_exif_orientation_is_carried_out(orientation, format):
    upright = noise(4, 6)
    turned = {  # what a camera stores; the tag says where its first row and column belong
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(np.ascontiguousarray(turned), format, exif=exif)
    np.testing.assert_array_equal(decoded(data), upright)


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decoded(data)[0, 0], [255, 0, 0])


def test_huge_picture_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="too large"):
        decode_picture(encoded(noise(130, 130)))


PIXELS = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)


NOISE = np.random.default_rng(1).integers(0, 256, 2_000_000, dtype=np.uint8).tobytes()


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


def test_a_small_file_of_a_hundred_million_pixels_is_refused_too():
    """Pillow alone would warn, and take a gigabyte."""
    with pytest.raises(ValueError, match="too large to be a photo"):
        decode_picture(png(16, 8, 0, b"", height=7_471_120))


def test_transparent_pictures_are_laid_over_white_strip_by_strip():
    tall = Image.new("RGBA", (2, 200), (10, 20, 30, 0))
    tall.paste((10, 20, 30, 255), (0, 100, 2, 200))
    rows = decoded(encoded(tall))[:, 0]
    assert rows[[0, 99, 100, 199]].tolist() == [[255] * 3, [255] * 3, [10, 20, 30], [10, 20, 30]]


@pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_first_frame_of_several(format):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(decoded(data)[0, 0].astype(int), [255, 0, 0], atol=4)
