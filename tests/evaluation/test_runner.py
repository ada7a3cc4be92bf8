"""One run from end to end in miniature: what it leaves, what names it, what it does when something is wrong."""

import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from ganrev.codecs.base import described
from ganrev.data.pictures import Pictures
from ganrev.evaluation import run_identity, runner, stages
from ganrev.evaluation.decoding import decode_folder
from ganrev.evaluation.metrics import distortion
from ganrev.evaluation.record import COLUMNS
from ganrev.evaluation.report import describe
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.run_identity import run_id
from ganrev.evaluation.runner import run, unused_overrides
from ganrev.pixels import resize, to_pillow
from ganrev.reversal import perceptual
from tests.tiny import OVERRIDES, compose_config, smooth_images

ROOT = Path(__file__).resolve().parents[2]
RAW = ["codec=png", "codec._target_=tests.tiny.RawCodec", "+codec.size=128", "+codec.picky=true"]


@pytest.fixture(scope="module", autouse=True)
def no_learned_metric():
    """Its network takes seconds to load; tests/test_metrics.py has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perceptual, "is_available", lambda: False)
        yield


@pytest.fixture
def decode_here(monkeypatch):
    """Decode in this process where the other one is not what is tested: it takes seconds to start."""
    monkeypatch.setattr(stages, "decode_all", decode_folder)


def save_pictures(folder, num_images=3, red=()):
    """Write 128 x 128 pictures and a file that is none; of those in `red` the first pixel is pure red."""
    folder.mkdir()
    images = smooth_images(num_images, 128)
    for index, image in enumerate(images):
        if index in red:
            image[:, 0, 0] = torch.tensor([255, 0, 0], dtype=torch.uint8)
        to_pillow(image).save(folder / f"face{index}.png")
    (folder / "notes.txt").write_text("no picture")
    return images


@pytest.fixture(scope="module")
def pictures_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "pictures"
    save_pictures(folder)
    return folder


def compose_run(pictures_dir, out, *overrides):
    return compose_config(*OVERRIDES, "data=folder", f"data.root={pictures_dir}", f"out={out}", *overrides)


@pytest.fixture(scope="module")
def finished(pictures_dir, tmp_path_factory):
    """A finished run of the GAN codec, two restarts, batches of two; its files decoded in a process of their own."""
    out = tmp_path_factory.mktemp("runs")
    return run(compose_run(pictures_dir, out, "reversal.restarts=2", "batch_size=2"))


# ---- what a run leaves


def test_every_file_of_a_run(finished):
    assert sorted(path.name for path in finished.iterdir()) == [
        "blobs",
        "config.yaml",
        "decoded",
        "provenance.json",
        "rows.csv",
        "summary.json",
        "traces.npz",
    ]
    assert sorted(path.name for path in (finished / "blobs").iterdir()) == ["face0.gr", "face1.gr", "face2.gr"]
    assert sorted(path.name for path in (finished / "decoded").iterdir()) == ["face0.png", "face1.png", "face2.png"]
    assert not list(finished.parent.glob(".*.partial"))


def test_rows(finished):
    rows = RunFolder(finished).rows
    assert tuple(rows.columns[: len(COLUMNS)]) == COLUMNS
    assert rows["name"].tolist() == ["face0", "face1", "face2"]
    assert rows["celeba_id"].isna().all()
    sizes = [(finished / "blobs" / f"{name}.gr").stat().st_size for name in rows["name"]]
    assert rows["num_bytes"].tolist() == sizes
    assert (rows["num_bytes"] - rows["paper_bytes"] == 12).all()
    np.testing.assert_allclose(rows["bpp"], rows["num_bytes"] * 8 / 32**2)
    assert (rows["encode_seconds"] > 0).all()
    assert (rows["decode_seconds"] > 0).all()


def test_every_score_comes_out_again_from_the_files_alone(finished, pictures_dir):
    codec = instantiate(OmegaConf.load(finished / "config.yaml").codec)
    originals = resize(smooth_images(3, 128), 32)
    rows = RunFolder(finished).rows
    for index, row in rows.iterrows():
        decoded = codec.decode([(finished / "blobs" / f"{row['name']}.gr").read_bytes()])[0]
        again = distortion(originals[index], decoded)
        for key in ("psnr", "mse", "ssim"):
            assert again[key] == pytest.approx(row[key], abs=1e-3)
        assert torch.equal(RunFolder(finished).decoded(row["name"]), decoded)


def test_summary(finished):
    summary, rows = RunFolder(finished).summary, RunFolder(finished).rows
    assert summary["num_images"] == 3
    assert summary["image_size"] == 32
    assert summary["images_failed"] == {}
    assert list(summary["images_skipped"]) == ["notes.txt"]
    assert summary["lanes"] == 6
    assert summary["lanes_diverged"] == 0
    for key in ("num_bytes", "paper_bytes", "psnr", "mse", "ssim", "decode_seconds"):
        assert summary["mean"][key] == pytest.approx(rows[key].mean())
        assert summary["ci95"][key] == pytest.approx(4.302653 * rows[key].sem(), rel=1e-5)
    assert summary["cr"] == pytest.approx(rows["png_paper_bytes"].mean() / rows["paper_bytes"].mean())


def test_provenance(finished):
    origin = json.loads((finished / "provenance.json").read_text())
    assert origin["weights"] == "0123456789abcdef" * 4
    assert origin["seed"] == 0
    assert len(origin["data"]) == 64
    assert origin["versions"]["torch"] == torch.__version__
    assert origin["hardware"]["cores"] == os.cpu_count()
    assert isinstance(origin["algorithm_version"], int)
    assert {"commit", "dirty", "python", "time"} <= set(origin)


def test_traces(finished):
    with np.load(finished / "traces.npz") as traces:
        assert traces["losses"].shape == (3, 2, 20)
        assert traces["diverged"].shape == (3, 2)
        assert traces["chosen"].shape == (3,)
        num_snapshots = len(traces["snapshot_steps"])
        assert traces["snapshots"].shape == (3, 2, num_snapshots, 16)
        kept = traces["losses"][np.arange(3), traces["chosen"]]
        assert (kept[:, -1] < kept[:, 0]).all()
        assert np.isnan(traces["losses"][..., -1]).sum() == 3  # the other restarts have left


def test_the_stored_config_is_whole_and_names_the_same_run(finished, decode_here):
    stored = OmegaConf.load(finished / "config.yaml")
    assert OmegaConf.missing_keys(stored) == set()
    assert run(stored) == finished


def test_the_description_has_every_figure(finished):
    text = describe(RunFolder(finished))
    for part in ("3 pictures of 32 x 32", "bytes, whole file", "PSNR", "SSIM", "notes.txt", str(finished)):
        assert part in text
    assert "diverged" not in text


# ---- once, and the same


def test_a_finished_run_is_not_repeated(finished, pictures_dir, monkeypatch):
    monkeypatch.setattr(runner, "_evaluate", lambda *arguments: pytest.fail("it ran again"))
    before = (finished / "summary.json").stat().st_mtime_ns
    assert run(compose_run(pictures_dir, finished.parent, "reversal.restarts=2", "batch_size=16")) == finished
    assert (finished / "summary.json").stat().st_mtime_ns == before


def test_force_repeats_it_with_the_same_bytes(finished, pictures_dir, tmp_path, decode_here):
    config = ["reversal.restarts=2", f"out={tmp_path}"]
    first = run(compose_run(pictures_dir, tmp_path, *config))
    assert first.name == finished.name
    (first / "left over").touch()
    again = run(compose_run(pictures_dir, tmp_path, *config, "force=true"))
    assert again == first
    assert not (first / "left over").exists()
    for path in (finished / "blobs").iterdir():
        assert (again / "blobs" / path.name).read_bytes() == path.read_bytes()


def test_two_at_once_make_one_run(pictures_dir, tmp_path, monkeypatch, decode_here):
    evaluated = []
    evaluate = runner._evaluate

    def counted(*arguments):
        evaluated.append(1)
        evaluate(*arguments)

    monkeypatch.setattr(runner, "_evaluate", counted)
    configs = [compose_run(pictures_dir, tmp_path, "codec=jpeg") for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        folders = set(threads.map(run, configs))
    assert len(folders) == 1
    assert len(evaluated) == 1


def test_seen_pictures_by_the_data_group(tmp_path, decode_here):
    config = compose_config(
        *OVERRIDES, "data=seen", "data.limit=2", "quant=none", "reversal.steps=150", f"out={tmp_path}"
    )
    assert config.latent_scale == 1
    assert config.reversal.clip == "hard"
    folder = run(config)
    rows = RunFolder(folder).rows
    assert rows["name"].tolist() == ["seen_000", "seen_001"]
    assert (rows["psnr"] > 30).all()


def test_lossless_baselines_have_infinite_psnr(pictures_dir, tmp_path, decode_here):
    folder = run(compose_run(pictures_dir, tmp_path, "codec=png"))
    assert RunFolder(folder).summary["mean"]["psnr"] == "inf"
    assert RunFolder(folder).summary["cr"] == 1
    assert RunFolder(folder).summary["lanes"] == 0
    assert np.isinf(RunFolder(folder).rows["psnr"]).all()
    assert not (folder / "traces.npz").exists()
    assert "inf" in describe(RunFolder(folder))
    assert (folder / "blobs" / "face0.png").read_bytes().startswith(b"\x89PNG")


# ---- the name of a run


def identify(*overrides, digest="d" * 64):
    config = compose_config(*OVERRIDES, *overrides)
    codec_config = OmegaConf.to_container(config.codec, resolve=True)
    return run_id(described(instantiate(config.codec)).identity(), codec_config, digest, config.seed)


def test_what_can_change_a_result_changes_the_name(monkeypatch):
    names = [
        identify(),
        identify(digest="e" * 64),
        identify("seed=1"),
        identify("loss=l1"),
        identify("loss=ssim_l1"),
        identify("loss=ssim_l1", "loss.weights.l1=0.1"),
        identify("quant=standard"),
        identify("quant.step=0.99"),
        identify("entropy=none"),
        identify("latent_scale=3"),
        identify("generator.unseen_scale=3.5"),
        identify("reversal.steps=21"),
        identify("reversal.lr=0.021"),
        identify("reversal.restarts=2"),
        identify("reversal=paper"),
        identify("device.dtype=bfloat16"),
        identify("+generator.digest=" + "ff" * 32),
        identify("codec=png"),
        identify("codec=jpeg"),
        identify("codec=jpeg", "codec.quality=11"),
        identify("codec=kmeans"),
    ]
    monkeypatch.setattr(run_identity, "ALGORITHM_VERSION", 0)
    names.append(identify())
    assert len(set(names)) == len(names)


def test_places_and_the_machine_do_not_change_the_name():
    assert identify().startswith("gancodec-")
    same = [
        identify("generator.path=/somewhere/else"),
        identify("out=elsewhere"),
        identify("force=true"),
        identify("batch_size=3"),
        identify("device.lanes=5"),
        identify("device=auto", "device.dtype=float32"),
        identify("data=seen", "latent_scale=null", "reversal.clip=none"),  # the data count by their digest
    ]
    assert set(same) == {identify()}


def test_a_model_card_that_changes_the_scale_changes_the_name(monkeypatch):
    before = identify()
    monkeypatch.setattr("tests.tiny.TinyGenerator.card_scale", 6.0)
    assert identify() != before


def test_another_picture_or_another_name_is_another_digest():
    images = smooth_images(2, 16)
    digests = {
        Pictures(images, ["a", "b"], [None, None]).digest,
        Pictures(images, ["a", "c"], [None, None]).digest,
        Pictures(images.flip(0), ["a", "b"], [None, None]).digest,
        Pictures(images[:1], ["a"], [None]).digest,
    }
    assert len(digests) == 4


# ---- something is wrong


def test_a_picture_that_the_codec_refuses_is_reported(tmp_path, decode_here, caplog):
    save_pictures(tmp_path / "pictures", 4, red=[1])
    folder = run(compose_run(tmp_path / "pictures", tmp_path / "runs", *RAW))
    summary = RunFolder(folder).summary
    assert summary["images_failed"] == {"face1": "a red corner"}
    assert summary["num_images"] == 3
    assert RunFolder(folder).rows["name"].tolist() == ["face0", "face2", "face3"]
    assert "face1 could not be encoded: a red corner" in caplog.text
    assert "failed: face1: a red corner" in describe(RunFolder(folder))


def test_a_run_of_refused_pictures_is_an_error_and_leaves_no_run(tmp_path):
    save_pictures(tmp_path / "pictures", 2, red=[0, 1])
    with pytest.raises(ValueError, match="not one of 2 pictures could be encoded; the first: a red corner"):
        run(compose_run(tmp_path / "pictures", tmp_path / "runs", *RAW))
    assert not list((tmp_path / "runs").glob("rawcodec-*"))


def test_diverged_lanes_are_counted(pictures_dir, tmp_path, decode_here):
    settings = ["reversal=paper", "reversal.lr=1e30", "reversal.steps=3"]
    folder = run(compose_run(pictures_dir, tmp_path, *settings))
    summary = RunFolder(folder).summary
    assert 0 < summary["lanes_diverged"] <= summary["lanes"] == 3
    assert f"{summary['lanes_diverged']} of 3 lanes diverged" in describe(RunFolder(folder))


def test_resizing_is_said(finished, pictures_dir, caplog, monkeypatch):
    with caplog.at_level(logging.WARNING):
        run(compose_run(pictures_dir, finished.parent, "reversal.restarts=2"))
    assert "resized from 128 to 32 pixels" in caplog.text


@pytest.mark.parametrize(
    ("overrides", "unused"),
    [
        (["codec=jpeg", "quant=extreme"], ["quant=extreme"]),
        (["codec=jpeg", "quant.step=0.5", "codec.quality=5"], ["quant.step=0.5"]),
        (["codec=png", "loss=mse", "seed=3", "latent_scale=2"], ["loss=mse", "seed=3", "latent_scale=2"]),
        (["codec=kmeans", "reversal.steps=7", "+reversal.foo=1"], ["reversal.steps=7", "+reversal.foo=1"]),
        (["codec=jpeg", "+lr=3"], ["+lr=3"]),
        (["codec=jpeg", "device=cpu", "entropy=none"], ["device=cpu", "entropy=none"]),
        (["codec=jpeg", "data=seen", "generator.unseen_scale=2"], []),
        (["codec=jpeg", "generator.unseen_scale=2"], ["generator.unseen_scale=2"]),
        (["codec=jpeg", "out=x", "force=true", "batch_size=4", "data.limit=3"], []),
        (["quant=extreme", "loss=mse", "seed=3", "device=cpu", "entropy=none", "reversal=paper"], []),
    ],
)
def test_overrides_that_nothing_reads(overrides, unused):
    # A key that the config does not have is added with +, and belongs to the group all the same.
    assert unused_overrides(compose_config(*overrides), overrides) == unused


def test_an_override_that_nothing_reads_is_warned_about(pictures_dir, tmp_path, decode_here, caplog):
    overrides = ["codec=jpeg", "quant=extreme"]
    run(compose_run(pictures_dir, tmp_path, *overrides), overrides)
    assert "quant=extreme has no effect: the codec baselines.JPEG does not read it" in caplog.text
    assert "codec=jpeg has no effect" not in caplog.text


# ---- run.py


def start(tmp_path, *overrides):
    environment = os.environ | {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "run.py"), *overrides]
    return subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_processes_make_one_run_together(tmp_path):
    overrides = ["codec=jpeg", "data=seen", "data.limit=2", *OVERRIDES, "quant=extreme", "out=runs"]
    both = [start(tmp_path, *overrides) for _ in range(2)]
    outputs = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    (folder,) = (tmp_path / "runs").glob("jpeg-*")
    assert RunFolder(folder).summary["num_images"] == 2
    assert not list((tmp_path / "runs").glob(".*.partial"))
    for printed, complained in outputs:
        assert "2 pictures of 32 x 32" in printed
        assert "quant=extreme has no effect" in printed + complained
        assert "Traceback" not in complained


def test_a_mistake_ends_with_one_line_and_status_2(tmp_path):
    process = start(tmp_path, *OVERRIDES, "quant.step=-1", "out=runs")
    printed, complained = process.communicate(timeout=600)
    assert process.returncode == 2
    assert complained.strip().splitlines() == [
        "error: quant.step must be a positive number, or null for float32 latents, got -1"
    ]
    assert printed == ""
    assert not (tmp_path / "runs").exists()
