"""PNG, JPEG and K-means: real files, sizes and qualities as measured elsewhere."""

import bz2
import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from baselines.kmeans import KMeans
from baselines.pillow import JPEG, PNG
from ganrev.evaluation.metrics import distortion
from tests.picture_files import png
from tests.tiny import smooth_images


def opened(blob):
    with Image.open(io.BytesIO(blob)) as picture:
        picture.load()
        return picture


def quality_of(codec, images):
    """Return mean bytes, bzip2'd bytes, MSE, PSNR and SSIM."""
    blobs = codec.encode(images)
    scores = [distortion(a, b) for a, b in zip(images, codec.decode(blobs), strict=True)]
    means = {key: float(np.mean([score[key] for score in scores])) for key in scores[0]}
    sizes = {"bytes": np.mean([len(b) for b in blobs]), "bz2": np.mean([len(bz2.compress(b, 9)) for b in blobs])}
    return sizes | means


# ---- PNG and JPEG


def test_png_is_lossless_and_opens_anywhere():
    images = torch.randint(0, 256, (2, 3, 20, 30), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    blobs = PNG().encode(images)
    assert torch.equal(PNG().decode(blobs), images)
    assert opened(blobs[0]).format == "PNG"
    other = cv2.imdecode(np.frombuffer(blobs[0], np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(other[..., ::-1], images[0].permute(1, 2, 0).numpy())


def test_a_jpeg_opens_anywhere_and_is_what_the_decoder_sees():
    images = smooth_images(1, 64)
    (blob,) = JPEG(quality=50).encode(images)
    picture = opened(blob)
    assert (picture.format, picture.size, picture.mode) == ("JPEG", (64, 64), "RGB")
    decoded = JPEG(quality=50).decode([blob])[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(np.asarray(picture), decoded)
    other = cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(other.astype(int) - decoded).mean() < 2


def test_jpeg_trades_bytes_for_quality():
    images = smooth_images(3, 96)
    rows = [quality_of(JPEG(quality), images) for quality in (1, 10, 50, 95)]
    for key in ("bytes", "psnr", "ssim"):
        values = [row[key] for row in rows]
        assert values == sorted(values)
        assert values[0] < values[-1]


def test_jpeg_tables_are_optimised():
    image = smooth_images(1, 64)
    plain = io.BytesIO()
    Image.fromarray(image[0].permute(1, 2, 0).numpy()).save(plain, format="JPEG", quality=10)
    assert len(JPEG(quality=10).encode(image)[0]) < len(plain.getvalue())


@pytest.mark.parametrize("quality", [0, 96, -1, 10.5, "high", None, True])
def test_jpeg_quality_has_a_range(quality):
    with pytest.raises(ValueError, match=r"codec\.quality must be a whole number between 1 and 95, got"):
        JPEG(quality)


@pytest.mark.parametrize("quality", [1, 95, 10.0])
def test_jpeg_takes_the_ends_of_its_range(quality):
    assert JPEG(quality).encode(smooth_images(1))[0].startswith(b"\xff\xd8")


# ---- K-means


@pytest.mark.parametrize("k", [2, 3, 4, 16, 256])
def test_kmeans_files_have_k_colours(k):
    images = smooth_images(1, 64)
    (blob,) = KMeans(k).encode(images)
    picture = opened(blob)
    assert (picture.format, picture.mode) == ("PNG", "P")
    assert len(picture.getpalette("RGB")) == 3 * k
    colours = np.unique(KMeans(k).decode([blob])[0].flatten(1).T.numpy(), axis=0)
    # Centres may round to the same colour where there are many.
    assert len(colours) == k if k <= 16 else 0.9 * k <= len(colours) <= k


def test_kmeans_files_take_few_bits_a_pixel():
    images = torch.randint(0, 256, (1, 3, 128, 128), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    for k, bits in ((2, 1), (4, 2), (16, 4)):
        assert len(KMeans(k).encode(images)[0]) < 128 * 128 * bits / 8 + 400


def test_kmeans_finds_well_separated_colours_exactly():
    colours = torch.tensor([[10, 20, 30], [200, 30, 40], [20, 220, 50], [240, 240, 250]], dtype=torch.uint8)
    labels = torch.randint(0, 4, (40, 40), generator=torch.Generator().manual_seed(0))
    image = colours[labels].permute(2, 0, 1)[None]
    assert torch.equal(KMeans(4).decode(KMeans(4).encode(image)), image)


def test_kmeans_with_more_colours_than_the_picture_has():
    image = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    image[..., 8:] = 99
    for k in (2, 4, 256):
        assert torch.equal(KMeans(k).decode(KMeans(k).encode(image)), image)
    flat = torch.full((1, 3, 16, 16), 7, dtype=torch.uint8)
    assert torch.equal(KMeans(4).decode(KMeans(4).encode(flat)), flat)


def test_kmeans_improves_with_k():
    rows = [quality_of(KMeans(k), smooth_images(3, 64)) for k in (2, 4, 8, 32)]
    mses = [row["mse"] for row in rows]
    assert mses == sorted(mses, reverse=True)
    assert mses[-1] < mses[0] / 4


def test_kmeans_does_not_depend_on_what_was_drawn_before():
    image = smooth_images(1, 64)
    first = KMeans(4).encode(image)
    cv2.setRNGSeed(123)
    assert KMeans(4).encode(image) == first


@pytest.mark.parametrize("k", [1, 0, 257, 2.5, "four", None])
def test_k_has_a_range(k):
    with pytest.raises(ValueError, match=r"codec\.k must be a whole number between 2 and 256, got"):
        KMeans(k)


# ---- damaged files


def test_files_of_different_sizes_are_refused():
    blobs = [PNG().encode(smooth_images(1, size))[0] for size in (16, 24)]
    with pytest.raises(ValueError, match=r"one size of picture, got .*\(16, 16\), \(24, 24\)"):
        PNG().decode(blobs)


def test_a_jpeg_that_claims_a_giant_picture_is_refused():
    blob = bytearray(JPEG(10).encode(smooth_images(1))[0])
    frame = blob.index(b"\xff\xc0")
    blob[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(ValueError, match="not a whole JPEG file"):
        JPEG(10).decode([bytes(blob)])


def test_a_file_that_declares_more_pixels_than_any_codec_wrote_is_refused():
    with pytest.raises(ValueError, match="it declares 2049 x 2048 pixels, at most 4194304 are decoded"):
        PNG().decode([png(2049, 8, 2, b"", height=2048)])


def test_altered_files_are_decoded_or_refused_and_nothing_else():
    rng = np.random.default_rng(0)
    for codec in (PNG(), JPEG(10), KMeans(4)):
        (blob,) = codec.encode(smooth_images(1))
        refused = 0
        for _ in range(150):
            broken = bytearray(blob)
            for place in rng.integers(0, len(blob), rng.integers(1, 4)):
                broken[place] = rng.integers(256)
            try:
                codec.decode([bytes(broken)])
            except ValueError:
                refused += 1
        assert refused > 0


# ---- real faces, beside REFERENCE's measurements on 60 others


@pytest.mark.parametrize(
    ("codec", "expected"),
    [
        (PNG(), {"bytes": 26719, "bz2": 26962, "mse": 0, "ssim": 1}),
        (JPEG(10), {"bytes": 936, "bz2": 1038, "mse": 130.4, "psnr": 27.11, "ssim": 0.781}),
        (JPEG(1), {"bytes": 500, "bz2": 424, "mse": 517.8, "psnr": 21.05, "ssim": 0.531}),
        (KMeans(4), {"bytes": 1621, "bz2": 2003, "mse": 284.5, "psnr": 23.90, "ssim": 0.706}),
        (KMeans(2), {"bytes": 744, "bz2": 967, "mse": 935.5, "psnr": 18.83, "ssim": 0.545}),
    ],
    ids=["png", "jpeg 10", "jpeg 1", "kmeans 4", "kmeans 2"],
)
def test_real_faces_score_as_measured_on_others(sample, codec, expected):
    # Ten faces stray from sixty: about 15 % in bytes, 40 % in MSE, 1.5 dB, 0.08 in SSIM.
    tolerance = {
        "bytes": {"rel": 0.15},
        "bz2": {"rel": 0.15},
        "mse": {"rel": 0.4},
        "psnr": {"abs": 1.5},
        "ssim": {"abs": 0.08},
    }
    measured = quality_of(codec, sample.images)
    assert len(sample.images) == 10
    for key, value in expected.items():
        assert measured[key] == pytest.approx(value, **tolerance[key]), key
