"""Rate and distortion against their definitions."""

import bz2
import math
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from scipy import stats
from skimage.color import deltaE_ciede2000, rgb2lab

from ganrev.codecs.base import described
from ganrev.coding import container
from ganrev.evaluation import metrics
from ganrev.evaluation.metrics import (
    costly_measures,
    distortion,
    interval_within,
    mean_and_interval,
    other_measures,
)
from ganrev.pixels import to_png, to_x
from ganrev.reversal import perceptual
from ganrev.reversal.losses import MSSSIM, SSIM
from tests.tiny import RawCodec, smooth_images, tiny_codec


def test_distortion_of_equal_pictures():
    image = smooth_images(1)[0]
    assert distortion(image, image.clone()) == {"psnr": math.inf, "mse": 0.0, "ssim": pytest.approx(1)}


def test_distortion_by_its_definitions():
    a, b = smooth_images(2, 64)
    scores = distortion(a, b)
    mse = float(np.mean((a.numpy().astype(float) - b.numpy().astype(float)) ** 2))
    assert scores["mse"] == pytest.approx(mse, rel=1e-9)
    assert scores["psnr"] == pytest.approx(10 * math.log10(255**2 / mse), rel=1e-9)
    ssim = 1 - SSIM()(to_x(a[None]), to_x(b[None])).item()
    assert scores["ssim"] == pytest.approx(ssim, abs=1e-4)


def test_distortion_of_one_wrong_value():
    a = torch.full((3, 16, 16), 100, dtype=torch.uint8)
    b = a.clone()
    b[1, 3, 5] = 116
    assert distortion(a, b)["mse"] == pytest.approx(256 / (3 * 16 * 16))


def test_distortion_of_pictures_that_are_not_square():
    a, b = smooth_images(2, 48)[..., :20]
    assert distortion(a, b)["mse"] > 0


def test_paper_bytes_is_the_payload_of_a_gr_file_and_the_bzip2_of_any_other():
    blob = container.write(container.Container(1, 1.0, b"abc", b"x" * 100))
    assert tiny_codec().bytes_for_paper(blob) == 100 == len(blob) - 12
    png = to_png(smooth_images(1)[0])
    assert described(RawCodec()).bytes_for_paper(png) == len(bz2.compress(png, 9))


def test_png_paper_bytes():
    image = smooth_images(1)[0]
    assert metrics.png_paper_bytes(image) == len(bz2.compress(to_png(image), 9))


def test_bits_per_pixel_of_the_papers_table():
    assert metrics.bits_per_pixel(441, 128, 128) == pytest.approx(0.2152, abs=2e-4)
    assert metrics.bits_per_pixel(1, 2, 4) == 1


@pytest.mark.parametrize("n", [2, 3, 10, 60])
def test_the_interval_is_students(n):
    values = np.random.default_rng(n).normal(5, 2, n)
    mean, half = mean_and_interval(values.tolist())
    low, high = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert mean - half == pytest.approx(low)
    assert mean + half == pytest.approx(high)


def test_an_interval_needs_two_finite_values():
    assert mean_and_interval([3.0])[0] == 3
    assert math.isnan(mean_and_interval([3.0])[1])
    mean, half = mean_and_interval([math.inf, 3.0])
    assert math.isinf(mean)
    assert math.isnan(half)
    assert mean_and_interval([2.0, 2.0, 2.0]) == (2.0, 0.0)


def test_floats_and_pictures_of_two_sizes_are_not_measured():
    """Floats in [-1, 1] would be scored as nearly black pictures, without a word."""
    picture = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    for other in (picture.float(), picture[..., :12]):
        for measure in (other_measures, costly_measures):
            with pytest.raises(
                ValueError, match=r"compare uint8 pictures of one shape, got torch\.uint8 \(1, 3, 16, 16\)"
            ):
                measure(picture, other)
        with pytest.raises(ValueError, match="to_images turns floats"):
            distortion(other[0], picture[0])


def test_stlpips_is_left_out_where_its_extra_is_missing(monkeypatch):
    monkeypatch.setattr(perceptual, "is_available", lambda: False)
    assert metrics.stlpips(smooth_images(1), smooth_images(1)) is None


def test_pictures_smaller_than_the_window_of_ssim_are_refused_in_words():
    small, fits = smooth_images(1, 10)[0], smooth_images(1, 11)[0]
    with pytest.raises(ValueError, match=r"pictures of 10 x 10 pixels cannot be scored: SSIM's window takes 11"):
        distortion(small, small)
    with pytest.raises(ValueError, match=r"ssim needs images of at least 11 pixels a side, got 10 x 10; use loss=mse"):
        SSIM()(to_x(small[None]), to_x(small[None]))
    assert distortion(fits, fits)["ssim"] == pytest.approx(1)


@pytest.mark.skipif(not perceptual.is_available(), reason="the extra `perceptual` is not installed")
@pytest.mark.parametrize("net", ["vgg", "alex"])
def test_stlpips_is_left_out_for_pictures_too_small_for_its_network(net):
    smallest = perceptual.SMALLEST[net]
    network, fits, small = perceptual.STLPIPS(net), smooth_images(1, smallest), smooth_images(1, smallest - 1)
    assert network(to_x(fits), to_x(fits)).item() == pytest.approx(0, abs=1e-4)
    with pytest.raises(ValueError, match=f"at least {smallest} pixels a side, got {smallest - 1} x {smallest - 1}"):
        network(to_x(small), to_x(small))
    if net == "vgg":
        assert metrics.stlpips(small, small) is None
        assert not metrics.takes_stlpips(128, smallest - 1)


@pytest.mark.skipif(not perceptual.is_available(), reason="the extra `perceptual` is not installed")
def test_stlpips_grows_with_distortion():
    images = smooth_images(3, 64)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    noisy = (images + noise * torch.tensor([0.0, 10.0, 60.0])[:, None, None, None]).clamp(0, 255).to(torch.uint8)
    distances = metrics.stlpips(images, noisy)
    assert distances[0] == pytest.approx(0, abs=1e-4)
    assert distances[0] < distances[1] < distances[2]


# ---- measures beside PSNR and SSIM


def test_colour_error_by_its_definition():
    a, b = smooth_images(2, 32)
    lab = [rgb2lab(image.permute(1, 2, 0).numpy()) for image in (a, b)]
    assert metrics.colour_errors(a[None], b[None]) == [pytest.approx(float(deltaE_ciede2000(*lab).mean()))]
    assert metrics.colour_errors(a[None], a[None]) == [0.0]


def test_colour_error_sees_a_cast_that_ssim_hardly_does():
    grey = torch.full((1, 3, 96, 96), 128, dtype=torch.uint8)
    cast = grey.clone()
    cast[:, 1] += 20
    assert metrics.colour_errors(grey, cast)[0] > 8


def test_ms_ssim_is_our_loss_and_needs_room():
    images = smooth_images(2, 96)
    noisy = (images.float() + 20 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 255)
    found = metrics.ms_ssim(images, noisy.to(torch.uint8))
    assert found == pytest.approx((1 - MSSSIM()(to_x(images), to_x(noisy.to(torch.uint8)))).tolist())
    assert metrics.ms_ssim(images, images) == pytest.approx([1, 1], abs=1e-5)
    assert metrics.ms_ssim(images[..., :87, :], images[..., :87, :]) is None


@pytest.mark.skipif(find_spec("ssimulacra2") is None, reason="the extra `opponents` is not installed")
def test_ssimulacra2_is_100_for_equal_pictures_and_falls_with_distortion():
    images = smooth_images(1, 64).expand(2, -1, -1, -1).contiguous()
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    noise *= torch.tensor([0.0, 30.0])[:, None, None, None]
    equal, noisy = metrics.ssimulacra2(images, (images + noise).clamp(0, 255).to(torch.uint8))
    assert equal == pytest.approx(100)
    assert noisy < 60
    assert metrics.ssimulacra2(images[..., :7], images[..., :7]) is None


def test_what_is_not_installed_makes_no_column(monkeypatch):
    monkeypatch.setattr(perceptual, "is_available", lambda: False)
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    images = smooth_images(2, 32)
    assert [set(one) for one in metrics.other_measures(images, images)] == [{"delta_e"}] * 2


def test_columns_of_the_record_hold_what_each_measure_says():
    images, decoded = smooth_images(2, 96), smooth_images(2, 96, seed=1)
    quick, costly = metrics.other_measures(images, decoded), metrics.costly_measures(images, decoded)
    measures = {
        "delta_e": (quick, metrics.colour_errors),
        "ms_ssim": (quick, metrics.ms_ssim),
        "stlpips": (costly, metrics.stlpips),
        "ssimulacra2": (costly, metrics.ssimulacra2),
    }
    for column, (rows, measure) in measures.items():
        found = measure(images, decoded)
        assert [row.get(column) for row in rows] == (found or [None, None])
    assert metrics.takes_stlpips(96, 96) == perceptual.is_available()


def test_intervals_stay_within_their_measure():
    low, high = interval_within("ssim", [0.8, 0.5, 1.0], [1.2, 0.1, math.nan])
    assert low.tolist() == pytest.approx([-0.4, 0.4, 1.0])
    assert high.tolist() == pytest.approx([1.0, 0.6, 1.0])
    assert [float(end) for end in interval_within("ssimulacra2", 60.0, 90.0)] == [-30.0, 100.0]
    assert [float(end) for end in interval_within("psnr", 20.0, 30.0)] == [0.0, 50.0]
