"""Encode, decode elsewhere, score: stage by stage."""

import json
import logging
import math
from itertools import count
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from baselines.pillow import PNG
from ganrev.codecs.base import described
from ganrev.data.pictures import Pictures
from ganrev.evaluation import stages
from ganrev.evaluation.decoding import decode_folder
from ganrev.evaluation.metrics import distortion
from ganrev.evaluation.record import COLUMNS
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.stages import decode_all, encode_all, score, summarise
from ganrev.files import to_json
from ganrev.pixels import from_pillow
from ganrev.reversal import perceptual
from tests.tiny import RawCodec, smooth_images


@pytest.fixture(autouse=True)
def no_learned_metric(monkeypatch):
    """Its network takes seconds to load; tests/evaluation/test_metrics.py has it."""
    monkeypatch.setattr(perceptual, "is_available", lambda: False)


def make_pictures(num_images=5, red=()):
    images = smooth_images(num_images)
    for index in red:
        images[index, :, 0, 0] = torch.tensor([255, 0, 0], dtype=torch.uint8)
    return Pictures(images, [f"face.{i}" for i in range(num_images)], list(range(1, num_images + 1)))


def configure(folder, target="tests.tiny.RawCodec", **options):
    OmegaConf.save(OmegaConf.create({"codec": {"_target_": target, **options}}), folder / "config.yaml")


class Counting(RawCodec):
    """Notes the sizes of the batches that it gets."""

    def __init__(self, **options):
        super().__init__(**options)
        self.batches = []

    def encode(self, images):
        self.batches.append(len(images))
        return super().encode(images)


# ---- encoding


@pytest.mark.parametrize(("batch_size", "batches"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (100, [5])])
def test_pictures_are_encoded_in_batches(tmp_path, batch_size, batches):
    codec, pictures = Counting(), make_pictures()
    encoded = encode_all(described(codec), pictures, RunFolder(tmp_path, ".raw"), batch_size)
    assert codec.batches == batches
    assert encoded.failed == {}
    assert list(encoded.seconds) == pictures.names
    assert all(seconds >= 0 for seconds in encoded.seconds.values())
    for name, image in zip(pictures.names, pictures.images, strict=True):
        assert (tmp_path / "blobs" / f"{name}.raw").read_bytes() == image.numpy().tobytes()


def test_a_batchs_time_is_shared_by_its_pictures(tmp_path, monkeypatch):
    ticks = count(0, 6)  # seconds between two looks at the clock
    monkeypatch.setattr(stages, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    encoded = encode_all(described(RawCodec()), make_pictures(5), RunFolder(tmp_path, ".raw"), 3)
    assert list(encoded.seconds.values()) == [2, 2, 2, 3, 3]


def test_a_picture_that_the_codec_refuses_is_named_and_its_batch_is_saved(tmp_path, caplog):
    pictures = make_pictures(5, red=[1, 3])
    encoded = encode_all(described(RawCodec(picky=True)), pictures, RunFolder(tmp_path, ".raw"), 3)
    assert encoded.failed == {"face.1": "a red corner", "face.3": "a red corner"}
    assert "face.1 could not be encoded: a red corner" in caplog.text
    assert sorted(p.name for p in (tmp_path / "blobs").iterdir()) == ["face.0.raw", "face.2.raw", "face.4.raw"]
    assert list(encoded.seconds) == ["face.0", "face.2", "face.4"]


def test_an_error_of_the_program_is_not_swallowed(tmp_path):
    class Broken(RawCodec):
        def encode(self, images):
            raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        encode_all(described(Broken()), make_pictures(2), RunFolder(tmp_path, ".raw"), 2)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, "all", None])
def test_batch_size_is_checked(tmp_path, batch_size):
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1, got"):
        encode_all(described(RawCodec()), make_pictures(1), RunFolder(tmp_path, ".raw"), batch_size)


# ---- decoding


def test_decoding_in_another_process_knows_only_files_and_codec(tmp_path, monkeypatch):
    pictures = make_pictures(3)
    encode_all(described(RawCodec()), pictures, RunFolder(tmp_path, ".raw"), 16)
    configure(tmp_path, size=32)
    monkeypatch.chdir("/")  # whatever can be imported here can be imported there
    seconds = decode_all(RunFolder(tmp_path))
    assert list(seconds) == sorted(pictures.names)
    assert all(value >= 0 for value in seconds.values())
    for name, image in zip(pictures.names, pictures.images, strict=True):
        assert torch.equal(RunFolder(tmp_path).decoded(name), image)


def test_a_failure_of_that_process_is_passed_on(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "face.png").write_bytes(b"no picture")
    configure(tmp_path, "baselines.PNG")
    with pytest.raises(RuntimeError, match=r"(?s)decoding .* failed:.*is no PNG file"):
        decode_all(RunFolder(tmp_path))


def test_more_files_than_a_batch_of_the_decoder(tmp_path):
    pictures = make_pictures(35)
    encode_all(described(RawCodec()), pictures, RunFolder(tmp_path, ".raw"), 16)
    configure(tmp_path, size=32)
    assert len(decode_folder(RunFolder(tmp_path))) == 35
    for name, image in zip(pictures.names, pictures.images, strict=True):
        assert torch.equal(RunFolder(tmp_path).decoded(name), image)


# ---- scoring


@pytest.fixture
def scored(tmp_path):
    """A run over five pictures of which one is refused, its JPEG files decoded and scored."""
    pictures = make_pictures(5, red=[2])
    encoded = encode_all(described(RawCodec(picky=True)), pictures, RunFolder(tmp_path, ".raw"), 16)
    configure(tmp_path, size=32)
    seconds = decode_folder(RunFolder(tmp_path))
    # As if decoding had lost something, so that scores are not all perfect.
    for number, name in enumerate(encoded.seconds):
        path = tmp_path / "decoded" / f"{name}.png"
        with Image.open(path) as picture:
            pixels = np.asarray(picture).astype(int) + 4 * number
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return pictures, tmp_path, score(described(RawCodec()), pictures, RunFolder(tmp_path, ".raw"), encoded, seconds)


def test_one_row_a_picture_with_the_documented_columns(scored):
    _, _, rows = scored
    assert tuple(rows.columns[: len(COLUMNS)]) == COLUMNS
    assert rows["name"].tolist() == ["face.0", "face.1", "face.3", "face.4"]
    assert rows["celeba_id"].tolist() == [1, 2, 4, 5]
    assert not rows.drop(columns="celeba_id").isna().any(axis=None)
    assert (rows["num_bytes"] == 3 * 32 * 32).all()
    assert (rows["bpp"] == 24).all()
    assert (rows["paper_bpp"] == rows["paper_bytes"] * 8 / 1024).all()


def test_scores_are_those_of_the_decoded_files(scored):
    pictures, folder, rows = scored
    assert math.isinf(rows["psnr"][0])
    assert rows["mse"][0] == 0
    for _, row in rows.iterrows():
        with Image.open(folder / "decoded" / f"{row['name']}.png") as picture:
            expected = distortion(pictures.images[pictures.names.index(row["name"])], from_pillow(picture))
        assert row["mse"] == expected["mse"]
        assert row["ssim"] == expected["ssim"]
    assert rows["mse"].is_monotonic_increasing


def test_pictures_without_celeba_id(tmp_path):
    pictures = Pictures(smooth_images(2), ["a", "b"], [None, 7])
    configure(tmp_path, "baselines.PNG")
    encoded = encode_all(described(PNG()), pictures, RunFolder(tmp_path, ".png"), 16)
    rows = score(described(PNG()), pictures, RunFolder(tmp_path, ".png"), encoded, decode_folder(RunFolder(tmp_path)))
    assert rows["celeba_id"].isna().tolist() == [True, False]
    assert str(rows["celeba_id"].dtype) == "Int64"
    rows.to_csv(tmp_path / "rows.csv", index=False)
    assert "b,7," in (tmp_path / "rows.csv").read_text()


# ---- summary


def frame(**columns):
    defaults = {"name": ["a", "b"], "celeba_id": [1, 2], "paper_bytes": [100, 300], "num_bytes": [200, 200]}
    return pd.DataFrame(defaults | {"png_paper_bytes": [1000, 3000]} | columns)


def test_the_compression_ratio_is_a_ratio_of_means():
    summary = summarise(frame())
    assert summary["cr"] == 2000 / 200
    assert summary["file_cr"] == 2000 / 200
    lopsided = summarise(frame(paper_bytes=[10, 790]))
    assert lopsided["cr"] == 2000 / 400  # not the mean of 100 and 3.8


def test_means_and_intervals_of_every_column():
    summary = summarise(frame(psnr=[20.0, 24.0]))
    assert summary["num_images"] == 2
    assert set(summary["mean"]) == set(summary["ci95"]) == {"paper_bytes", "num_bytes", "png_paper_bytes", "psnr"}
    assert summary["mean"]["psnr"] == 22
    assert summary["ci95"]["psnr"] == pytest.approx(12.706 * 2, rel=1e-4)  # t for one degree of freedom


def test_psnr_is_the_mean_over_images_and_not_that_of_the_mean_mse():
    assert summarise(frame(psnr=[10.0, 30.0], mse=[6502.5, 65.025]))["mean"]["psnr"] == 20


def test_json_that_every_reader_takes():
    value = {"a": math.inf, "b": [math.nan, 1.5, {"c": -math.inf}], "d": None, "e": (1, "x")}
    text = to_json(value)
    assert json.loads(text, parse_constant=pytest.fail) == {
        "a": "inf",
        "b": [None, 1.5, {"c": "-inf"}],
        "d": None,
        "e": [1, "x"],
    }


def test_nothing_is_logged_where_nothing_is_wrong(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        stages.encode_all(described(RawCodec()), make_pictures(2), RunFolder(tmp_path, ".raw"), 16)
    assert caplog.records == []
