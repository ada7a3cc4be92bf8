"""Automatic mode: a size is hit from below, a quality from above, and what was chosen is told."""

import pytest
import torch
from hydra.utils import instantiate
from PIL import Image

from ganrev.cli import main
from ganrev.codecs.auto import AutoCodec, Budget, parse_quality
from ganrev.codecs.base import CodecIdentity
from ganrev.coding import container
from ganrev.evaluation.metrics import distortion
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.runner import run
from ganrev.evaluation.summary_text import describe
from ganrev.reversal.device import Device
from ganrev.reversal.losses import L1, MSE
from tests.codecs.told_generator import drawn_images, told_generator
from tests.tiny import OVERRIDES, compose_config, smooth_images

SMALL = Budget(num_steps=35, rungs=((5, 2), (15, 4)))
SMALL_OVERRIDE = "+codec.budget={_target_: ganrev.codecs.auto.Budget, num_steps: 35, rungs: [[5, 2], [15, 4]]}"


def auto_codec(**changes):
    arguments = {
        "generator": told_generator(),
        "losses": {"mse": MSE(), "l1": L1()},
        "lrs": [0.1, 0.3],
        "device": Device("cpu", "float32"),
        "judge": "psnr",
    }
    return AutoCodec(**(arguments | changes))


def test_a_size_is_hit_from_below_and_more_bytes_buy_more():
    images = drawn_images(3)
    scores = []
    for target in (20, 30):
        codec = auto_codec(target_bytes=target)
        blobs, choices = codec.choose(images)
        assert all(len(blob) <= target for blob in blobs)
        assert [choice.num_bytes for choice in choices] == [len(blob) for blob in blobs]
        drawn = codec.decode(blobs)
        psnr = [distortion(a, b)["psnr"] for a, b in zip(images, drawn, strict=True)]
        assert [choice.quality for choice in choices] == pytest.approx(psnr, abs=0.05)
        scores.append(sum(psnr))
        assert {choice.loss for choice in choices} <= {"mse", "l1"}
        assert {choice.lr for choice in choices} <= {0.1, 0.3}
    assert scores[0] < scores[1]


def test_more_bytes_than_latents_can_use_are_not_written():
    report = auto_codec(target_bytes=2000).encode_with_report(smooth_images(1))
    assert len(report.blobs[0]) < 100
    assert not report.choices[0]["hit"]
    assert report.remarks[0].endswith("missed 2000 bytes: z has no use for more bytes")


def test_a_report_tells_the_columns_of_a_run_and_one_line_for_each_picture():
    report = auto_codec(target_bytes=40, budget=SMALL).encode_with_report(smooth_images(2))
    assert [list(choice) for choice in report.choices] == [["loss", "lr", "restart", "lmbda", "step", "hit"]] * 2
    assert [remark.startswith("chose loss ") for remark in report.remarks] == [True, True]
    assert report.trace == {}


def test_one_lane_of_each_picture_is_left_however_many_began():
    images = drawn_images(2)
    codec = auto_codec(target_bytes=25, restarts=5, budget=SMALL)  # of twenty lanes two get through the rungs
    z, lanes = codec.reverse(images)
    assert z.shape == (2, 16)
    assert all(0 <= lane < 20 for lane in lanes)
    for image, row in zip(images, z, strict=True):
        alone, _ = codec.reverse(image[None])
        torch.testing.assert_close(alone[0], row, atol=1e-4, rtol=1e-4)
    assert all(len(blob) <= 25 for blob in codec.encode(images))


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
        ({"target_bytes": 100, "judge": "eye"}, "judge must be one of ssim, psnr, got 'eye'"),
        ({"target_bytes": 100, "restarts": 0}, "restarts must be a whole number of at least 1"),
        ({"target_bytes": 100, "lrs": []}, "codec.lrs must be a list of at least one positive learning rate"),
        ({"target_bytes": 100, "lrs": [-1]}, "codec.lrs must be a list of at least one positive learning rate"),
        ({"target_bytes": 100, "losses": {}}, "codec.losses must name at least one loss"),
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
        SMALL_OVERRIDE,
        "codec.judge=psnr",
        "data=folder",
        f"data.root={tmp_path}",
        "data.crop=none",
    ]
    cfg = compose_config(*OVERRIDES, *common, f"out={tmp_path / 'runs'}", "codec.target_bytes=2000")
    folder = run(cfg)
    rows = RunFolder(folder).rows
    assert set(rows["chosen_loss"]) <= {"ssim", "ssim_l1"}
    assert set(rows["chosen_lr"]) <= {0.1, 0.2}
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
            SMALL_OVERRIDE,
            "quant=extreme",
        ]
    )
    assert "quant=extreme has no effect: ganrev.codecs.AutoCodec does not read it" in capsys.readouterr().err


def test_where_all_lanes_diverge_an_error_names_the_learning_rates():
    with pytest.raises(ValueError, match=r"the lane of the picture diverged at codec\.lrs=\[1e\+09,2e\+09\]"):
        auto_codec(target_bytes=20, lrs=[1e9, 2e9]).choose(smooth_images(1))
