"""Mistakes in a training's options end with one line; a run is gone on with as it began."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from ganrev.data.corpus import load_corpus
from ganrev.paths import checkout, weights_dir
from ganrev.train import __main__ as app
from ganrev.train import checks
from tests.faces import write_folder
from tests.tiny import smooth_images
from tests.train.miniature import compose_training, configured


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A folder with two faces; beside it `other` with another, and three manifests that are none."""
    folder = tmp_path_factory.mktemp("few")
    write_folder(folder / "other", smooth_images(1, 128, seed=1), first=900)
    (folder / "columns.csv").write_text("id,person\n1,2\n")
    (folder / "words.csv").write_text("celeba_id,identity\n1,somebody\n")
    (folder / "short.csv").write_text("celeba_id,identity\n1,2\n")
    shutil.copy(weights_dir() / "embedded.safetensors", folder / "cardless.safetensors")
    for suffix in ("safetensors", "json", "hashes.npz"):
        shutil.copy(weights_dir() / f"embedded.{suffix}", folder / f"bare.{suffix}")
    return write_folder(folder / "faces", smooth_images(2, 128))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.valid={few}"], "train.faces not set: give train.faces="),
        (["train.faces=[{few}/nowhere.tar]", "train.valid={few}"], "there are no faces at {few}/nowhere.tar"),
        (["train.faces=[{few}]", "train.valid={few}/nowhere"], "there are no faces at {few}/nowhere"),
        (
            ["train.faces={few}", "train.valid={few}/../other", "train.batch_size=2", "train.grid.batch_size=2"],
            "at least 257 faces, got 2",
        ),
        (
            ["train.faces={few}", "train.valid={few}/../other", "train.batch_size=2"],
            "train.grid.batch_size=8 needs at least that many faces, got 2",
        ),
        (["train.faces={few}", "train.valid={few}", "train.batch_size=2"], "2 of 2 faces of train.valid are in train"),
        (["train.faces={few}", "train.valid={few}/../other"], "train.batch_size=16 needs at least that many faces"),
        (["train.faces={few}", "train.valid=[{few}]"], "train.valid must be one folder or tar shard"),
        (["train.faces={few}", "train.valid={few}", "train.lr=nan"], "train.lr must be a positive number, got nan"),
        (["train.faces={few}", "train.valid={few}", "train.lr=x"], "train.lr must be a positive number, got 'x'"),
        (["train.faces={few}", "train.valid={few}", "train.deblur=-1"], "train.deblur must be a number of at least 0"),
        (["train.faces={few}", "train.valid={few}", "train.seed=-1"], "train.seed must be a whole number of at least"),
        (
            ["train.faces={few}", "train.valid={few}", "train.ema=1"],
            "train.ema must be a number of at least 0 and below 1",
        ),
        (["train.faces={few}", "train.valid={few}", "train.device=tpu"], "train.device=tpu: "),
        (["train.faces={few}", "train.valid={few}", "train.out={few}/../short.csv"], "train.out must be a folder"),
        (["train.faces={few}", "train.valid={few}", "train.manifest={few}/../columns.csv"], "columns.csv cannot be"),
        (["train.faces={few}", "train.valid={few}", "train.manifest={few}/../words.csv"], "words.csv cannot be read"),
        (
            [
                "train.faces={few}",
                "train.valid={few}/../other",
                "train.batch_size=2",
                "train.manifest={few}/../short.csv",
            ],
            "short.csv lacks 1 of 2 faces",
        ),
        (
            ["train.faces={few}", "train.valid={few}", "train.start={few}/../cardless.safetensors"],
            "cardless.safetensors has no cardless.json and no cardless.hashes.npz beside it",
        ),
        (["train.faces=[{few}]", "train.valid={few}", "train.steps=0"], "train.steps=0 trains the grid alone"),
        (["train.faces=[{few}]", "train.valid={few}", "train.steps=-1"], "train.steps must be a whole number of at"),
        (
            ["train.faces=[{few}]", "train.valid={few}", "train.steps=0", "train.start={few}/../bare.safetensors"],
            "bare.safetensors has no bare.latents.safetensors beside it, which train.steps=0 takes as it is",
        ),
        (["train.faces=[{few}]", "train.valid={few}", "train.grid.lr=0"], "train.grid.lr must be a positive number"),
        (["train.faces=[{few}]", "train.valid={few}", "train.grid.slots=0"], "train.grid.slots must be a whole number"),
        (["train.faces=[{few}]", "train.valid={few}", "train.grid.ema=1"], "train.grid.ema must be a number of at"),
        (
            ["train.faces=[{few}]", "train.valid={few}", "train.grid.lmbda=1e-5"],
            "train.grid.lmbda_least must be at most train.grid.lmbda, the least and the highest price of a byte, got "
            "3e-05 and 1e-05",
        ),
        (["train.faces=[{few}]", "train.valid={few}", "train.score_every=0"], "train.score_every must be a whole"),
        (["train.faces=[{few}]", "train.valid={few}", "train.table_faces=0"], "train.table_faces must be a whole"),
        (["train.faces=[{few}]", "train.valid={few}", "train.nudged_faces=1.5"], "train.nudged_faces must be a whole"),
        (["train.faces=[{few}]", "train.valid={few}", "train.manifest={few}/ids.csv"], "ids.csv cannot be read"),
        (["train.faces=[{few}]", "train.valid={few}", "train.start={few}/w.safetensors"], "{few}/w.safetensors"),
        (
            ["train.faces=[{few}]", "train.valid={few}", "train.adversary_from=0.5"],
            "train.refine_from and train.adversary_from must be shares of the steps, the first not above the second, "
            "got 0.734 and 0.5",
        ),
    ],
)
def test_a_mistake_ends_with_one_line(overrides, message, few, tmp_path, capsys):
    own = [override.format(few=few) for override in overrides]
    cfg = compose_training(f"train.out={tmp_path / 'out'}", "train.device=cpu", *own)
    with pytest.raises(SystemExit) as stopped:
        app.main(cfg)
    assert stopped.value.code == 2
    complaint = capsys.readouterr().err.strip()
    assert complaint.startswith("error: ")
    assert message.format(few=few) in complaint
    assert len(complaint.splitlines()) == 1
    assert not list(tmp_path.glob("out/*"))


def test_a_whole_number_may_be_written_as_a_float(few):
    sources = [f"train.faces=[{few}]", f"train.valid={few}"]
    cfg = compose_training(*sources, "train.steps=1e4", "train.card_faces=2e0").train
    cfg.grid.steps = 3e1
    checks.check(cfg)
    assert (cfg.steps, cfg.card_faces, cfg.grid.steps) == (10_000, 2, 30)
    assert isinstance(cfg.steps, int)
    assert isinstance(cfg.card_faces, int)


def test_the_bare_command_says_what_to_give_and_leaves_nothing_behind(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(checkout())}
    command = [sys.executable, "-m", "ganrev.train"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: train.faces and train.valid not set: give train.faces=")
    assert "make generator ARGS=" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_run_is_gone_on_with_as_it_began_or_not_at_all(undisturbed, place):
    cfg = configured(place, undisturbed)
    images = load_corpus(list(cfg.faces))[1]
    assert checks.claim(cfg, undisturbed, images) == json.loads((undisturbed / "run.json").read_text())
    cfg.score_every, cfg.card_faces = 1, 2  # of no consequence for the weights
    checks.claim(cfg, undisturbed, images)
    cfg.steps = 8
    with pytest.raises(ValueError, match=r"other settings \(steps was 4, is now 8\); .* another train.out"):
        checks.claim(cfg, undisturbed, images)
    cfg.steps, cfg.grid.lr = 4, 1.0
    with pytest.raises(ValueError, match=r"other settings \(grid.lr was 0.001, is now 1.0\);"):
        checks.claim(cfg, undisturbed, images)
    cfg.steps = 4
    with pytest.raises(ValueError, match="sha256 of the faces was"):
        checks.claim(cfg, undisturbed, images[1:])
    (undisturbed / "run.json").rename(undisturbed / "elsewhere.json")
    with pytest.raises(ValueError, match=r"holds a checkpoint, but run.json beside it cannot be read"):
        checks.claim(cfg, undisturbed, images)
    (undisturbed / "elsewhere.json").rename(undisturbed / "run.json")
