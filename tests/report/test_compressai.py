"""CompressAI's result JSON, as its plot command reads it."""

import json

import numpy as np
import pytest

from ganrev.cli import main
from ganrev.report import read_reported, to_compressai


def read_as_compressai(path, metric):
    """Do what `compressai.utils.plot` does with a file, by compressai 1.2."""
    data = json.loads(path.read_text())
    assert "results" in data
    assert "bpp" in data["results"]
    assert metric in data["results"]
    values = np.array(data["results"][metric])
    if metric.startswith("ms-ssim"):
        values = -10 * np.log10(1 - values)
    return data.get("name", path.stem), np.array(data["results"]["bpp"]), values


def test_a_curve(stored, tmp_path, capsys):
    path = tmp_path / "jpeg.json"
    main(["export", *map(str, stored.of("jpeg10", "jpeg1")), "--format", "compressai", "-o", str(path)])
    assert capsys.readouterr().out == f"{path}: jpeg, 2 points\n"
    runs = read_reported(stored.of("jpeg1", "jpeg10"))
    for metric, column in (("psnr-rgb", "psnr"), ("encoding_time", "encode_seconds")):
        name, rates, values = read_as_compressai(path, metric)
        assert name == "jpeg"
        assert rates.tolist() == pytest.approx([run.rows["bpp"].mean() for run in runs])
        assert values.tolist() == pytest.approx([run.rows[column].mean() for run in runs])
    _, rates, decibels = read_as_compressai(path, "ms-ssim-rgb")
    assert rates[0] < rates[1]
    assert decibels[0] < decibels[1]


def test_one_file_is_one_curve(stored, others):
    with pytest.raises(ValueError, match="one curve; got runs of jpeg, kmeans"):
        to_compressai(read_reported(stored.of("jpeg1", "kmeans")))
    with pytest.raises(ValueError, match="runs on different pictures"):
        to_compressai(read_reported([*stored.of("jpeg10"), *others.of("jpeg1")]))


def test_a_lossless_run_cannot_be_plotted(stored):
    with pytest.raises(ValueError, match="lossless"):
        to_compressai(read_reported(stored.of("png")))
