"""Automatic mode: a size is hit from below, a quality from above, and what was chosen is told."""

from dataclasses import replace

import pytest
import torch
from hydra.utils import instantiate
from PIL import Image

from ganrev.cli import main
from ganrev.codecs.auto import AutoCodec, parse_quality
from ganrev.codecs.base import CodecIdentity
from ganrev.codecs.rate_control import Found, RateBudget
from ganrev.codecs.target import Target
from ganrev.coding import container
from ganrev.evaluation.metrics import distortion
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.runner import run
from ganrev.evaluation.summary_text import describe
from ganrev.generator.base import Generator
from ganrev.pixels import to_x
from ganrev.reversal.device import Device
from ganrev.reversal.losses import MSE
from ganrev.reversal.settings import Reversal
from tests.codecs.told_generator import drawn_images, told_generator
from tests.tiny import OVERRIDES, TinyGridGenerator, compose_config, smooth_images

SMALL = RateBudget(num_searches=2)
SMALL_OVERRIDES = [
    "reversal.steps=20",
    "+codec.budget={_target_: ganrev.codecs.rate_control.RateBudget, num_searches: 2}",
]


def auto_codec(**changes):
    arguments = {
        "generator": told_generator(),
        "loss": MSE(),
        "reversal": Reversal(lr=0.2, steps=40, restarts=2),
        "device": Device("cpu", "float32"),
    }
    return AutoCodec(**(arguments | changes))


def test_a_size_is_hit_from_below_and_more_bytes_buy_more():
    images = drawn_images(3)
    scores = []
    for target in (20, 30):
        codec = auto_codec(target_bytes=target)
        blobs, choices = codec.choose(images)
        assert all(0.85 * target <= len(blob) <= target for blob in blobs)
        assert [choice.num_bytes for choice in choices] == [len(blob) for blob in blobs]
        drawn = codec.decode(blobs)
        psnr = [distortion(a, b)["psnr"] for a, b in zip(images, drawn, strict=True)]
        scores.append(sum(psnr))
        assert {choice.levels for choice in choices} == {"z"}
    assert scores[0] < scores[1]


def test_more_bytes_than_latents_can_use_are_not_written():
    report = auto_codec(target_bytes=2000).encode_with_report(smooth_images(1))
    assert len(report.blobs[0]) < 100
    assert not report.choices[0]["hit"]
    assert report.remarks[0].endswith("missed 2000 bytes: the latents have no use for more bytes")


def test_a_report_tells_the_columns_of_a_run_and_one_line_for_each_picture():
    report = auto_codec(target_bytes=40, budget=SMALL).encode_with_report(smooth_images(2))
    assert [list(choice) for choice in report.choices] == [["levels", "lmbda", "step", "hit"]] * 2
    assert [remark.startswith("chose z alone, ") for remark in report.remarks] == [True, True]
    assert report.trace == {}


def test_one_lane_of_each_picture_is_left_however_many_began():
    images = drawn_images(2)
    codec = auto_codec(target_bytes=25, reversal=Reversal(lr=0.2, steps=40, restarts=5), budget=SMALL)
    z = codec.reverse(images)
    assert z.shape == (2, 16)
    for image, row in zip(images, z, strict=True):
        torch.testing.assert_close(codec.reverse(image[None])[0], row, atol=1e-4, rtol=1e-4)
    assert all(len(blob) <= 25 for blob in codec.encode(images))


def grid_codec(**changes):
    generator = TinyGridGenerator()
    generator.set_latent_statistics(torch.full((16,), 0.5), torch.ones(16))
    return auto_codec(**({"generator": generator, "target_bytes": 300} | changes))


def test_all_latents_that_the_generator_has_are_used():
    images = smooth_images(3)
    codec = grid_codec()
    blobs, choices = codec.choose(images)
    assert all(len(blob) <= 300 for blob in blobs)
    assert {choice.levels for choice in choices} == {"all"}
    assert {container.read(blob).version for blob in blobs} == {3}
    alone = grid_codec(latent="z")
    mse = [MSE()(to_x(each.decode(each.encode(images))), to_x(images)).mean() for each in (codec, alone)]
    assert mse[0] < 0.9 * mse[1]
    assert codec.encode(images) == blobs
    assert torch.equal(grid_codec(latent="z").decode(blobs), codec.decode(blobs))
    with pytest.raises(ValueError, match="no latents beyond z"):
        auto_codec(target_bytes=300, latent="all")


def test_trimming_does_not_empty_a_grid():
    images = smooth_images(2)
    codec = grid_codec()
    (search, sizes), symbols = (codec.search, torch.full((2,), 0.05)), torch.zeros(2, 16 + 96, dtype=torch.int32)
    symbols[:, :4], symbols[0, 20], symbols[1, [30, 40, 50]] = 3, 1, 2
    first, second = search.cheapest_moves(symbols, images, sizes)
    assert first.max() < 16
    assert len(second[second >= 16]) == 2
    search = grid_codec(latent="z").search
    assert len(search.cheapest_moves(symbols[:1, :16], images[:1], sizes[:1])[0]) == 4


def test_a_generator_without_a_linear_map_is_reversed_by_the_default(caplog, monkeypatch):
    monkeypatch.setattr(TinyGridGenerator, "invert_linear_map", Generator.invert_linear_map)
    codec = grid_codec(reversal=Reversal(steps=5, init="linear", scaled=True, restarts=2))
    assert (codec.reversal.init, codec.reversal.steps, codec.reversal.restarts) == ("prior", 100, 2)
    assert "TinyGridGenerator has no linear map to start a reversal at" in caplog.text
    assert len(codec.encode(smooth_images(1))[0]) <= 300
    monkeypatch.undo()
    assert grid_codec(reversal=Reversal(steps=5, init="linear")).reversal.steps == 5


def test_more_quality_than_asked_for_and_a_byte_less_are_no_misses():
    codec = auto_codec(target_bytes=20)
    (blob,), _ = codec.choose(drawn_images(1))
    found = Found(1e-3, 0.1, torch.zeros(16), blob, 0.1, 0.9, (False, 0.1))
    assert not found.hit
    assert codec._choice(found, Target(len(blob) + 1)).hit
    assert not codec._choice(found, Target(len(blob) + 2)).hit
    assert codec._choice(found, Target(judge=MSE(), limit=0.1)).hit
    assert not codec._choice(replace(found, ratio=1.01), Target(judge=MSE(), limit=0.1)).hit


def test_a_point_of_a_curve_is_a_codec():
    images = smooth_images(1)
    point = grid_codec(target_bytes=90, curve=[150, 40, 90])
    assert point.encode(images) == grid_codec().encode_curve(images, [40, 90, 150])[90][0]
    with pytest.raises(ValueError, match=r"codec\.curve must have codec\.target_bytes among its sizes, 50"):
        grid_codec(target_bytes=50, curve=[40, 90])


def test_a_curve_hits_each_size_and_never_gets_worse():
    images = smooth_images(2)
    codec = grid_codec()
    curve = codec.encode_curve(images, [150, 40, 90])
    assert list(curve) == [40, 90, 150]
    last = torch.full((2,), torch.inf)
    for size, (blobs, choices) in curve.items():
        assert all(len(blob) <= size for blob in blobs)
        assert [choice.num_bytes for choice in choices] == [len(blob) for blob in blobs]
        loss = MSE()(to_x(codec.decode(blobs)), to_x(images))
        assert (loss <= last + 1e-6).all()
        last = loss
    assert codec.encode_curve(images[:0], [40]) == {40: ([], [])}
    with pytest.raises(ValueError, match=r"sizes of at least 16 bytes, got \[8\]"):
        codec.encode_curve(images, [8])


def test_a_quality_is_reached_in_fewer_bytes_where_less_is_asked():
    images = drawn_images(2)
    sizes = []
    for wanted in (20, 28):
        codec = auto_codec(target_bytes=None, quality=f"psnr:{wanted}")
        blobs = codec.encode(images)
        for image, drawn in zip(images, codec.decode(blobs), strict=True):
            assert distortion(image, drawn)["psnr"] >= wanted - 0.05
        sizes.append(sum(map(len, blobs)))
    assert sizes[0] < sizes[1]


def test_files_are_ordinary_ones_and_the_same_again():
    images = smooth_images(2)
    blobs = auto_codec(target_bytes=40).encode(images)
    assert auto_codec(target_bytes=40).encode(images) == blobs
    assert all(container.read(blob).scaled for blob in blobs)
    codec = instantiate(compose_config(*OVERRIDES, "codec=gan").codec)
    codec.generator.set_latent_statistics(told_generator().latent_deviations, told_generator().latent_step_sizes)
    assert torch.equal(codec.decode(blobs), auto_codec(target_bytes=40).decode(blobs))


def test_its_identity_has_no_step():
    codec = auto_codec(target_bytes=40)
    assert codec.identity() == CodecIdentity("autocodec", None, "float32", told_generator().digest)


def test_the_config_composes():
    codec = instantiate(compose_config(*OVERRIDES, "codec=gan_auto", "codec.target_bytes=60").codec)
    assert isinstance(codec, AutoCodec)
    assert codec.encode(smooth_images(0)) == []


@pytest.mark.parametrize(("text", "parsed"), [("ssim:0.72", ("ssim", 0.72)), ("psnr:25", ("psnr", 25.0))])
def test_a_quality_is_parsed(text, parsed):
    assert parse_quality(text) == parsed


@pytest.mark.parametrize("text", ["", "0.72", "ssim", "ssim:", "ssim:1.2", "psnr:nan", "psnr:2", "vmaf:90", "ssim:x"])
def test_another_quality_is_refused(text):
    with pytest.raises(ValueError, match=r"quality must be like ssim:0.72"):
        parse_quality(text)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "give one of target_bytes"),
        ({"target_bytes": 100, "quality": "psnr:25"}, "give one of target_bytes"),
        ({"target_bytes": 10}, "codec.target_bytes must be a whole number of at least 16, or null, got 10"),
        ({"target_bytes": "many"}, "target_bytes must be a whole number"),
        ({"target_bytes": 100, "latent": "y"}, "latent must be one of z, all"),
    ],
)
def test_bad_options_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        auto_codec(**options)


@pytest.mark.usefixtures("quick_runs")
def test_a_run_keeps_what_was_chosen_for_each_picture(tmp_path, capsys):
    for number, image in enumerate(smooth_images(2, 128)):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{number}.png")
    common = [
        "codec=gan_auto",
        *SMALL_OVERRIDES,
        "data=folder",
        f"data.root={tmp_path}",
        "data.crop=none",
    ]
    cfg = compose_config(*OVERRIDES, *common, f"out={tmp_path / 'runs'}", "codec.target_bytes=2000")
    folder = run(cfg)
    rows = RunFolder(folder).rows
    assert set(rows["chosen_levels"]) == {"z"}
    assert (rows[["chosen_lmbda", "chosen_step"]] > 0).all(axis=None)
    assert rows["chosen_hit"].tolist() == [False, False]
    assert "2 of 2 files missed the target" in describe(RunFolder(folder))


def test_what_is_asked_for_in_vain_beside_a_size_is_told(tmp_path, capsys):
    photo = tmp_path / "photo.png"
    Image.fromarray(smooth_images(1)[0].permute(1, 2, 0).numpy()).save(photo)
    tiny = [override for override in OVERRIDES if override.startswith(("generator", "device"))]
    main(
        [
            "compress",
            str(photo),
            "-o",
            str(tmp_path / "photo.gr"),
            "--bytes",
            "40",
            "--",
            *tiny,
            *SMALL_OVERRIDES,
            "quant=extreme",
            "latent=z",
        ]
    )
    told = capsys.readouterr().err
    assert "quant=extreme has no effect: ganrev.codecs.AutoCodec does not read it\n" in told
    assert "latent=z has no effect: ganrev.codecs.AutoCodec does not read it; it reads codec.latent" in told


def test_where_all_lanes_diverge_an_error_names_the_learning_rate():
    with pytest.raises(ValueError, match=r"the lane of the picture diverged at reversal\.lr=1e\+09"):
        auto_codec(target_bytes=20, reversal=Reversal(lr=1e9, steps=20)).choose(smooth_images(1))
