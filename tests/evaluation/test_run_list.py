"""`ganrev runs`: each stored run by the overrides that make it."""

import json
import math
import shutil

import pandas as pd
import pytest
from omegaconf import OmegaConf

from ganrev.cli import main
from ganrev.evaluation.run_list import in_words, read_runs
from tests.evaluation.test_stored_runs import RUNS, STORED
from tests.tiny import compose_config


@pytest.mark.parametrize(
    "words",
    [
        "codec=gan",
        "codec=png",
        "codec=jpeg codec.quality=1",
        "codec=kmeans codec.k=2",
        "codec=gan loss=mse quant.step=0.25 entropy=range entropy.model=fitted",
        "codec=gan reversal=paper reversal.steps=50 seed=3",
        "codec=gan reversal=fast",
        "codec=gan loss=ssim_l1 loss.weights.l1=0.25",
        "codec=gan loss=ssim_mse_stlpips",
        "codec=gan quant=none data=seen",
        "codec=gan quant=rd quant.lmbda=0.001 data.limit=100",
        "codec=gan generator=dcgan generator.path=/weights/dcgan.pt latent_scale=2",
        "codec=gan_auto codec.target_bytes=120",
        "codec=gan_auto loss=ssim reversal=default reversal.lr=0.5",
        "codec=pca codec.faces=[faces.tar] codec.step=150",
        "codec=jpeg data=folder data.shard=1/4 data.root=/photos",
    ],
)
def test_a_run_is_told_by_the_overrides_that_make_it(words):
    config = OmegaConf.create(OmegaConf.to_container(compose_config(*words.split()), resolve=True))
    assert in_words(config) == words


def test_a_class_that_has_moved_since_is_recognised(tmp_path):
    store(tmp_path / "gan-a", "loss=mse", "quant=scaled")
    config = OmegaConf.load(tmp_path / "gan-a" / "config.yaml")
    config.codec.loss["_target_"], config.codec.quant["_target_"] = (
        "ganrev.losses.MSE",
        "ganrev.quantise.ScaledQuantiser",
    )
    OmegaConf.save(config, tmp_path / "gan-a" / "config.yaml")
    assert read_runs(tmp_path)[0].what == "codec=gan loss=mse quant=scaled"


def store(folder, *overrides, time="2026-01-02T03:04:05+00:00", **mean):
    shutil.copytree(STORED / "runs" / RUNS["jpeg"]["folder"], folder)  # of two pictures
    OmegaConf.save(compose_config(*overrides), folder / "config.yaml", resolve=True)
    summary, origin = (json.loads((folder / name).read_text()) for name in ("summary.json", "provenance.json"))
    means = {"num_bytes": 100.0, "psnr": 30.0, "ssim": 0.9} | mean
    rows = pd.read_csv(folder / "rows.csv", dtype={"name": str})
    for column, value in means.items():
        rows[column] = float(value)
    rows["num_bytes"] = [int(means["num_bytes"]), math.ceil(2 * means["num_bytes"]) - int(means["num_bytes"])]
    rows.to_csv(folder / "rows.csv", index=False)
    summary["mean"] |= means
    (folder / "summary.json").write_text(json.dumps(summary))
    origin |= {"time": time, "commit": "0123456789abcdef", "dirty": True}
    (folder / "provenance.json").write_text(json.dumps(origin))


@pytest.fixture
def stored(tmp_path):
    store(tmp_path / "png-a", "codec=png", psnr="inf", num_bytes=9000.5, ssim=1.0)
    store(tmp_path / "jpeg-b", "codec=jpeg", time="2025-01-02T03:04:05+00:00")
    store(tmp_path / ".gan-c.partial", "codec=gan")
    (tmp_path / "unfinished-d").mkdir()
    return tmp_path


def test_the_list_has_a_line_for_each_finished_run(stored, capsys):
    main(["runs", str(stored)])
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["when", "(UTC)", "what", "n", "bytes", "PSNR", "SSIM", "commit", "run"]
    assert first.split() == ["2025-01-02", "03:04", "codec=jpeg", "2", "100.0", "30.00", "0.9000", "0123456+", "jpeg-b"]
    assert second.split()[2:] == ["codec=png", "2", "9000.5", "inf", "1.0000", "0123456+", "png-a"]


def test_it_is_sorted_and_cut(stored):
    assert [run.folder.name for run in read_runs(stored, "when")] == ["jpeg-b", "png-a"]
    assert [run.folder.name for run in read_runs(stored, "bytes", last=1)] == ["png-a"]
    assert [run.folder.name for run in read_runs(stored, "what")] == ["jpeg-b", "png-a"]


def test_there_is_nothing_to_list(tmp_path):
    with pytest.raises(ValueError, match="no finished run"):
        read_runs(tmp_path)
    with pytest.raises(ValueError, match="there is no folder"):
        read_runs(tmp_path / "runs")


def test_damaged_runs_are_left_out_and_named(stored, caplog):
    (stored / "jpeg-b" / "config.yaml").write_text("")
    (stored / "png-a").rename(stored / ".png-a.damaged-1")
    store(stored / "png-e", "codec=png")
    assert [run.folder.name for run in read_runs(stored)] == ["png-e"]
    assert "jpeg-b is left out: it is damaged" in caplog.text
