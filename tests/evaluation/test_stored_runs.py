"""Runs that an earlier version stored still verify, recode and merge, and a finished one is not repeated."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from experiments import table
from ganrev.cli import main
from ganrev.evaluation import runner, stages
from ganrev.evaluation.decoding import decode_folder
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.summary_text import describe
from ganrev.reversal import perceptual
from tests.calling import status_of
from tests.tiny import compose_config

STORED = Path(__file__).parents[1] / "stored_runs"
RUNS = OmegaConf.to_container(OmegaConf.load(STORED / "runs.yaml"))
SHARDS = ("first_shard", "second_shard")


@pytest.fixture(autouse=True)
def checkout(tmp_path, monkeypatch):
    """A copy of the stored runs, where their configs look for them; the learned metric is left out."""
    shutil.copytree(STORED, tmp_path / "tests" / "stored_runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stages, "decode_all", decode_folder)
    monkeypatch.setattr(perceptual, "is_available", lambda: False)
    return tmp_path / "tests" / "stored_runs" / "runs"


def place(name):
    return Path("tests/stored_runs/runs") / RUNS[name]["folder"]


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


@pytest.mark.parametrize("name", RUNS)
def test_a_stored_run_verifies(name, capsys):
    assert status_of("verify", place(name)) == 0
    assert f"{RUNS[name]['folder']}: decoded again, PSNR within" in capsys.readouterr().out


# Automatic mode has other options since release 0.2.0: its older runs are read, but not taken for those of today.
@pytest.mark.parametrize("name", sorted(set(RUNS) - {"automatic"}))
def test_a_stored_run_is_not_repeated(name, checkout, monkeypatch):
    monkeypatch.setattr(runner, "_evaluate", lambda *arguments: pytest.fail("it ran again"))
    folder = runner.run(compose_config(*RUNS[name]["overrides"], "out=tests/stored_runs/runs"))
    assert folder == place(name)


@pytest.mark.parametrize("name", RUNS)
def test_the_files_of_a_stored_run_draw_the_same_pictures(name, tmp_path):
    folder = place(name)
    again = tmp_path / "again"
    again.mkdir()
    shutil.copy(folder / "config.yaml", again)
    shutil.copytree(folder / "blobs", again / "blobs")
    decode_folder(RunFolder(again))
    names = sorted(path.name for path in (folder / "decoded").iterdir())
    assert sorted(path.name for path in (again / "decoded").iterdir()) == names
    for file in names:  # one level: what another processor may round differently
        assert abs(pixels(folder / "decoded" / file) - pixels(again / "decoded" / file)).max() <= 1


@pytest.mark.parametrize("name", ["unrounded", "extreme", "ssim", "jpeg"])
def test_encoding_again_gives_the_same_files(name):
    cfg = compose_config(*RUNS[name]["overrides"], "out=again")
    folder = runner.run(cfg)
    assert folder.name == place(name).name
    blobs = sorted((place(name) / "blobs").iterdir())
    assert blobs
    for blob in blobs:
        again = (folder / "blobs" / blob.name).read_bytes()
        if name == "unrounded":  # float32 latents: the last bits are the machine's
            assert len(again) == pytest.approx(blob.stat().st_size, abs=4)
        else:
            assert again == blob.read_bytes()


@pytest.mark.parametrize("overrides", [["quant=extreme"], ["quant=scaled", "entropy=range", "loss=ssim"]])
def test_a_stored_run_recodes(overrides, capsys):
    main(["recode", str(place("unrounded")), *overrides])
    assert capsys.readouterr().out.startswith(f"2 pictures of {RUNS['unrounded']['folder']}")


def test_a_rounded_run_is_not_recoded(capsys):
    for name in ("extreme", "automatic", "jpeg"):
        assert status_of("recode", place(name), "quant=extreme") == 2
        assert "takes a run of codec=gan with quant=none" in capsys.readouterr().err


def test_stored_shards_are_merged_to_the_run_that_is_then_not_repeated(checkout, monkeypatch, capsys):
    assert status_of("collect", checkout) == 0
    whole = RUNS["first_shard"]["folder"].removesuffix("-1of2")
    assert f"{checkout / whole}: 2 shards, 2 pictures" in capsys.readouterr().out
    monkeypatch.setattr(runner, "_evaluate", lambda *arguments: pytest.fail("it ran again"))
    overrides = [o for o in RUNS["first_shard"]["overrides"] if not o.startswith("data.shard")]
    assert runner.run(compose_config(*overrides, f"out={checkout}")) == checkout / whole
    assert [line.split(",")[0] for line in (checkout / whole / "rows.csv").read_text().splitlines()] == [
        *("name", "drawing0", "drawing1")
    ]


def test_a_table_takes_stored_runs(monkeypatch):
    names = [name for name in RUNS if name not in SHARDS]
    folders = [place(name) for name in names]
    runs = [RunFolder(folder) for folder in folders]
    frame = table.collect([table.Row(name, RUNS[name]["overrides"]) for name in names], runs)
    assert frame["run"].tolist() == [folder.name for folder in folders]
    lines = table.notes(frame, runs, [])
    digest = instantiate(runs[0].config.generator).digest[:12]
    assert f"Generator: dcgan, weights {digest}." in lines
    assert any(line.startswith("seen: 95 % of its pictures have a PSNR of ") for line in lines)
    assert any("of 2 pictures may be among those that the codec was trained on" in line for line in lines)


def test_a_stored_run_is_described(monkeypatch):
    text = describe(RunFolder(place("automatic")))
    assert text.startswith("2 pictures of 32 x 32\n")
