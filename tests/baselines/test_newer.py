"""WebP, AVIF, JPEG 2000, JPEG XL, HEIF, and JPEG to a size: real files that others can open, within their size."""

import io
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from baselines import AVIF, HEIF, JPEG, JPEG2000, JXL, WebP, newer
from ganrev.codecs import BelowFloorError
from ganrev.evaluation.metrics import distortion
from tests.tiny import smooth_images

CODECS = [JPEG, WebP, AVIF, JPEG2000, JXL, HEIF]
QUALITIES = {JPEG: (5, 50), JPEG2000: (18, 40)}

pytestmark = pytest.mark.parametrize("make", CODECS, ids=[codec.__name__ for codec in CODECS])


@pytest.fixture(autouse=True)
def _plugin(make):
    if make is JXL:
        pytest.importorskip("pillow_jxl")
    if make is HEIF:
        pytest.importorskip("pillow_heif")


def mse(codec, images, blobs):
    return [distortion(image, drawn)["mse"] for image, drawn in zip(images, codec.decode(blobs), strict=True)]


def test_a_file_is_of_its_format_and_opens_with_pillow_alone(make):
    (blob,) = make(QUALITIES.get(make, (20, 70))[0]).encode(smooth_images(1, 64))
    with Image.open(io.BytesIO(blob)) as picture:
        assert (picture.format, picture.size, picture.mode) == (make.kind, (64, 64), "RGB")


def test_quality_buys_with_bytes(make):
    images = smooth_images(2, 96)
    low, high = (make(quality) for quality in QUALITIES.get(make, (5, 80)))
    few, many = low.encode(images), high.encode(images)
    assert all(len(a) < len(b) for a, b in zip(few, many, strict=True))
    assert np.mean(mse(low, images, few)) > np.mean(mse(high, images, many))


def test_more_bytes_never_make_a_worse_picture(make):
    images = smooth_images(2, 64)
    errors = []
    for target in (600, 900):
        codec = make(QUALITIES.get(make, (20,))[0], target_bytes=target)
        blobs = codec.encode(images)
        assert max(map(len, blobs)) <= target
        errors.append(mse(codec, images, blobs))
    assert (np.diff(errors, axis=0) <= 0).all()


def test_no_quality_of_the_usual_settings_is_better_within_the_size(make):
    images = smooth_images(1, 64, seed=3)
    codec = make(QUALITIES.get(make, (20,))[0], target_bytes=650)
    found = mse(codec, images, codec.encode(images))[0]
    low, high = make.limits
    for quality in range(low, high + 1, 4):
        blobs = make(quality).encode(images)
        if len(blobs[0]) <= 650:
            assert mse(codec, images, blobs)[0] >= found


def test_a_size_below_the_floor_is_an_error_that_names_it(make):
    images = smooth_images(1, 96)
    with pytest.raises(BelowFloorError, match="floor for it is") as caught:
        make(QUALITIES.get(make, (20,))[0], target_bytes=20).encode(images)
    floor = BelowFloorError.floor_in(str(caught.value))
    (blob,) = make(QUALITIES.get(make, (20,))[0], target_bytes=floor).encode(images)
    assert len(blob) <= floor


def test_a_quality_has_a_range(make):
    low, high = make.limits
    kind = "whole number" if make.whole else "number"
    for quality in (low - 1, high + 1, "high", None, True):
        with pytest.raises(ValueError, match=rf"codec\.quality must be a {kind} between {low} and {high}, got"):
            make(quality)
    with pytest.raises(ValueError, match=r"codec\.target_bytes must be"):
        make(high, target_bytes=0)


def test_altered_files_are_decoded_or_refused_and_nothing_else(make):
    rng = np.random.default_rng(0)
    codec = make(QUALITIES.get(make, (20,))[0])
    (blob,) = codec.encode(smooth_images(1))
    refused = 0
    for _ in range(60):
        broken = bytearray(blob)
        for place in rng.integers(0, len(blob), rng.integers(1, 4)):
            broken[place] = rng.integers(256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            try:
                codec.decode([bytes(broken)])
            except ValueError:
                refused += 1
    assert refused > 0


def test_what_is_missing_is_named(make, monkeypatch):
    quality = QUALITIES.get(make, (20,))[0]
    if make in (JXL, HEIF):
        monkeypatch.setattr(newer, "find_spec", lambda name: None)
        with pytest.raises(ValueError, match=r"codec=(jxl|heif) needs its extra: pip install 'ganrev\[opponents\]'"):
            make(quality)
    else:
        monkeypatch.delitem(Image.SAVE, make.kind)
        with pytest.raises(ValueError, match=f"was built without {make.kind}: install Pillow's own wheel"):
            make(quality)
    assert "pillow_avif" not in sys.modules  # a plug-in of another age would take the place of Pillow's own
