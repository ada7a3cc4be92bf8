"""A whole training in miniature, killed and resumed."""

import shutil

import pandas as pd
import pytest
import torch
from PIL import Image

from ganrev.data.corpus import load_corpus
from ganrev.generator.embedded import load_embedded
from ganrev.pixels import to_x
from ganrev.train import __main__ as app
from ganrev.train import checks
from tests.train.miniature import configured


def test_a_run_leaves_weights_card_log_grid_and_milestones(undisturbed):
    weights = {f"{name}.safetensors" for name in ("embedded", "pca", "reconstruction", "z")}
    others = {
        "run.json",
        "checkpoint.pt",
        "grid_start.pt",
        "grid_checkpoint.pt",
        "components.pt",
        "log.csv",
        "grid.png",
        "embedded.json",
        "embedded.hashes.npz",
    }
    others |= {"embedded.latents.safetensors", "z.latents.safetensors"}
    assert {path.name for path in undisturbed.iterdir()} >= weights | others
    assert not list(undisturbed.glob("*.partial"))
    assert not (undisturbed / "publishing").exists()
    with Image.open(undisturbed / "grid.png") as grid:
        assert grid.size == (2 * 128, 3 * 128)


def test_the_log_has_a_header_and_a_row_a_score(undisturbed):
    frame = pd.read_csv(undisturbed / "log.csv")
    assert frame["stage"].tolist() == ["z", "z", "grid", "grid"]
    assert frame["step"].tolist() == [2, 4, 2, 4]
    losses = {
        "z": ["mse", "ssim", "perceptual", "adversary", "samples", "discriminator"],
        "grid": ["proposed", "found", "grid_bytes"],
    }
    scores = ["valid_ssim", "valid_psnr", "valid_bytes"]
    assert frame.columns.tolist() == ["stage", "step", "seconds", *losses["z"], *losses["grid"], *scores]
    assert frame.loc[:1, [*losses["z"], *scores[:2]]].notna().all(axis=None)
    assert frame.loc[2:, ["found", "grid_bytes", *scores]].notna().all(axis=None)
    assert frame["valid_ssim"].between(-1, 1).all()
    assert frame.loc[:1, "seconds"].is_monotonic_increasing
    assert frame.loc[2:, "seconds"].is_monotonic_increasing


def test_the_second_milestone_is_what_the_adversary_met(undisturbed, averages):
    first, second, last = (
        load_embedded(undisturbed / f"{name}.safetensors", unseen_scale=1.0).to_rgb.weight.half()
        for name in ("pca", "reconstruction", "embedded")
    )
    assert len(averages) == 4
    assert not first.any()
    assert torch.equal(second, averages[0])
    assert torch.equal(last, averages[3])
    assert not torch.equal(second, last)


def test_a_killed_run_ends_as_if_nothing_had_happened(undisturbed, resumed):
    out, _ = resumed
    states = [torch.load(folder / "checkpoint.pt", weights_only=True, mmap=True) for folder in (undisturbed, out)]
    assert [state["step"] for state in states] == [4, 4]
    for name in ("network", "encoder", "discriminator", "average", "encoder_average"):
        for key, value in states[0][name].items():
            assert torch.equal(value, states[1][name][key]), f"{name}.{key}"
    logs = [pd.read_csv(folder / "log.csv").drop(columns="seconds") for folder in (undisturbed, out)]
    pd.testing.assert_frame_equal(*logs)


def test_a_resume_leaves_the_milestones_as_they_were(undisturbed, resumed):
    out, left = resumed
    for name in ("pca.safetensors", "reconstruction.safetensors"):
        assert (out / name).read_bytes() == left[name] == (undisturbed / name).read_bytes()
    assert left["log.csv"].splitlines() == (out / "log.csv").read_bytes().splitlines()[:2]


def test_a_fresh_run_in_the_same_folder_forgets_anothers_milestone(undisturbed, place):
    out = place / "fresh"
    out.mkdir()
    for name in ("reconstruction.safetensors", "components.pt", "log.csv"):
        (out / name).write_bytes(b"another run's")
    cfg = configured(place, out)
    assert checks.claim(cfg, out, torch.zeros(1, dtype=torch.uint8))["steps"] == 4
    assert not list(out.iterdir())
    shutil.copy(undisturbed / "components.pt", out)
    assert app.prepare(cfg, out, torch.empty(0)).step == 0
    assert sorted(path.name for path in out.iterdir()) == ["components.pt", "pca.safetensors"]


def test_losses_that_are_not_finite_end_the_run_and_spare_the_checkpoint(undisturbed, place, monkeypatch):
    out = place / "diverged"
    components = torch.load(undisturbed / "components.pt", weights_only=True)  # of the same faces
    monkeypatch.setattr(app, "principal_components", lambda *_: components)
    monkeypatch.setattr(app.Training, "advance", lambda training, images: _advance_to_nan(training))
    with pytest.raises(ValueError, match=r"no longer finite at step 2: .*nan.*The checkpoint before is kept"):
        app.train(configured(place, out))
    assert not (out / "checkpoint.pt").exists()


def _advance_to_nan(training):
    training.step += 1
    return {"mse": float("nan")}


def test_a_row_takes_the_place_of_those_from_before_a_kill(tmp_path):
    for step, mse in ((2, 0.5), (4, 0.4), (6, 0.3), (4, 0.2)):
        app.log_row(tmp_path / "log.csv", "z", {"step": step, "mse": mse})
    for step in (2, 4, 2):
        app.log_row(tmp_path / "log.csv", "grid", {"step": step, "found": 0.1})
    frame = pd.read_csv(tmp_path / "log.csv")
    assert frame.loc[:1, ["step", "mse"]].to_numpy().tolist() == [[2, 0.5], [4, 0.2]]
    assert frame[["stage", "step"]].to_numpy().tolist() == [["z", 2], ["z", 4], ["grid", 2]]


def test_training_goes_on_from_given_weights(undisturbed, place):
    out = place / "prolonged"
    out.mkdir()
    cfg = configured(place, out)
    cfg.start = str(undisturbed / "embedded.safetensors")
    given, training = load_embedded(cfg.start), app.prepare(cfg, out, torch.empty(0))
    for network in (training.network, training.average):
        assert all(torch.equal(value, given.state_dict()[key]) for key, value in network.state_dict().items())
    x = to_x(load_corpus([place / "valid"])[1])
    for encoder in (training.encoder, training.encoder_average):  # points where faces lie for these weights
        with torch.no_grad():
            assert torch.allclose(encoder(x), given.invert_linear_map(x), atol=0.01)
    assert not list(out.iterdir())
