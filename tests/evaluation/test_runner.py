"""One run from end to end in miniature: what it leaves, what it does when something is wrong."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from ganrev.evaluation import runner, stages
from ganrev.evaluation.decoding import decode_folder
from ganrev.evaluation.metrics import distortion
from ganrev.evaluation.record import COLUMNS
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.runner import NothingEncodedError, run, unused_overrides
from ganrev.evaluation.summary_text import describe
from ganrev.pixels import resize
from ganrev.reversal import perceptual
from tests.picture_files import save_pictures
from tests.tiny import OVERRIDES, compose_config, compose_run, smooth_images

RAW = ["codec=png", "codec._target_=tests.tiny.RawCodec", "+codec.size=128", "+codec.picky=true"]


@pytest.fixture(scope="module", autouse=True)
def no_learned_metric():
    """Its network takes seconds to load; tests/evaluation/test_metrics.py has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perceptual, "is_available", lambda: False)
        yield


@pytest.fixture
def decode_here(monkeypatch):
    """Decode in this process where the other one is not what is tested: it takes seconds to start."""
    monkeypatch.setattr(stages, "decode_all", decode_folder)


# ---- what a run leaves


def test_every_file_of_a_run(finished):
    assert sorted(path.name for path in finished.iterdir()) == [
        "SHA256SUMS",
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


# ---- something is wrong


def test_pictures_too_small_to_be_scored_are_refused_before_they_are_encoded(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "encode_all", None)
    tiny = [*OVERRIDES, "+generator.size=8", "data=seen", f"out={tmp_path}"]
    with pytest.raises(ValueError, match="pictures of 8 x 8 pixels cannot be scored"):
        run(compose_config(*tiny))
    assert not list(tmp_path.iterdir())


def test_a_measure_that_takes_no_such_small_pictures_is_left_out_and_said_so(
    tmp_path, decode_here, monkeypatch, caplog
):
    monkeypatch.setattr(perceptual, "is_available", lambda: True)
    tiny = [*OVERRIDES, "+generator.size=16", "data=seen", "data.limit=1", f"out={tmp_path}"]
    folder = RunFolder(run(compose_config(*tiny)))
    assert "ST-LPIPS is left out: it takes no pictures as small as 16 x 16" in caplog.text
    assert "stlpips" not in folder.summary["mean"]
    assert "ST-LPIPS" not in describe(folder)


def test_a_run_that_was_finished_before_the_extra_came_says_so(pictures_dir, tmp_path, decode_here, monkeypatch):
    config = compose_run(pictures_dir, tmp_path, "codec=jpeg", "codec.quality=10")
    assert "ST-LPIPS" not in describe(RunFolder(run(config)))
    monkeypatch.setattr(perceptual, "is_available", lambda: True)  # installed since
    (line,) = [line for line in describe(RunFolder(run(config))).splitlines() if "ST-LPIPS" in line]
    assert line == (
        "  no ST-LPIPS: the run was finished without the extra `perceptual`, installed now; force=true repeats it"
    )


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


def test_floors_are_looked_for_once(pictures_dir, tmp_path, monkeypatch):
    config = compose_run(pictures_dir, tmp_path / "runs", "codec=jpeg", "codec.target_bytes=40")
    with pytest.raises(NothingEncodedError, match="floor for it is") as first:
        run(config)
    assert not list((tmp_path / "runs").glob("jpeg*"))
    monkeypatch.setattr(stages, "_encode", lambda *_: pytest.fail("a picture is encoded again"))
    with pytest.raises(NothingEncodedError) as second:
        run(config)
    assert second.value.failed == first.value.failed


def test_diverged_lanes_are_counted(pictures_dir, tmp_path, decode_here):
    settings = ["generator._target_=tests.tiny.FragileGenerator", "reversal.restarts=6", "reversal.lr=0.01"]
    folder = run(compose_run(pictures_dir, tmp_path, *settings))
    summary = RunFolder(folder).summary
    assert summary["num_images"] == 3
    assert 0 < summary["lanes_diverged"] < summary["lanes"] == 18
    assert f"{summary['lanes_diverged']} of 18 lanes diverged" in describe(RunFolder(folder))


def test_where_all_lanes_diverge_the_error_names_the_learning_rate(pictures_dir, tmp_path, caplog):
    settings = ["reversal=paper", "reversal.lr=1e30", "reversal.steps=3"]
    with pytest.raises(ValueError, match=r"not one of 3 pictures could be encoded.* diverged at reversal\.lr=1e\+30"):
        run(compose_run(pictures_dir, tmp_path, *settings))


def test_a_picture_whose_lanes_all_diverge_fails_alone(pictures_dir, tmp_path, decode_here):
    settings = ["generator._target_=tests.tiny.FragileGenerator", "reversal.lr=0.01", "seed=2"]
    folder = RunFolder(run(compose_run(pictures_dir, tmp_path, *settings)))
    failed = folder.summary["images_failed"]
    assert 0 < len(failed) < 3
    assert all("the lane of the picture diverged at reversal.lr=0.01" in reason for reason in failed.values())
    assert len(folder.rows) == 3 - len(failed)


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
    assert "quant=extreme has no effect: baselines.JPEG does not read it" in caplog.text
    assert "codec=jpeg has no effect" not in caplog.text
