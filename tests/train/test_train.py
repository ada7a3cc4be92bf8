"""The trainer: its principal components, and a whole run in miniature, killed and resumed."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from PIL import Image

from ganrev.cli import main
from ganrev.contamination.card import read_card
from ganrev.contamination.hashes import all_hashes_paths, hashes_path
from ganrev.data.corpus import load_corpus
from ganrev.generator.embedded import EmbeddedNetwork, latents_path, load_embedded, save, save_latents
from ganrev.paths import checkout, config_dir, weights_dir
from ganrev.pixels import to_x
from ganrev.reversal.perceptual import is_available
from ganrev.reversal.settings import Reversal
from ganrev.train import __main__ as app
from ganrev.train import card, checks, latents
from ganrev.train.networks import Encoder, principal_components
from ganrev.train.training import Training
from tests.data.test_corpus import png, write_folder, write_tar
from tests.tiny import smooth_images

NUM_FACES = 258  # 512 components need 257


# ---- principal components


def test_principal_components_are_orthonormal_and_explain_the_faces():
    images = smooth_images(40, 32)
    mean, basis, std = principal_components(images, 20, 16, seed=0)
    assert (mean.shape, basis.shape, std.shape) == ((768,), (768, 20), (20,))
    assert torch.allclose(basis.T @ basis, torch.eye(20), atol=1e-4)
    rows = F.interpolate(to_x(images), size=16, mode="area")
    rows = torch.cat((rows, rows.flip(-1))).flatten(1) - mean
    assert rows.mean(dim=0).abs().max() < 1e-5
    assert torch.allclose((rows @ basis).square().mean(dim=0).sqrt(), std, rtol=1e-2)
    assert (std.diff() <= 0).all()
    exact = torch.linalg.svdvals(rows)[:20] / len(rows) ** 0.5
    assert torch.allclose(std, exact, rtol=1e-2)


def test_too_few_faces_have_no_components():
    assert principal_components(smooth_images(5, 32), 8, 16, seed=0)[1].shape == (768, 8)
    with pytest.raises(ValueError, match="512 principal components need at least 257 faces, got 12"):
        principal_components(smooth_images(12, 32), 512, 16, seed=0)


# ---- mistakes


def compose_training(*overrides):
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose("train", overrides=list(overrides))


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A folder with two faces; beside it `other` with another, and three manifests that are none."""
    folder = tmp_path_factory.mktemp("few")
    write_folder(folder / "other", smooth_images(1, 128, seed=1), first=900)
    (folder / "columns.csv").write_text("id,person\n1,2\n")
    (folder / "words.csv").write_text("celeba_id,identity\n1,somebody\n")
    (folder / "short.csv").write_text("celeba_id,identity\n1,2\n")
    shutil.copy(weights_dir() / "embedded.safetensors", folder / "cardless.safetensors")
    return write_folder(folder / "faces", smooth_images(2, 128))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.valid={few}"], "train.faces not set: give train.faces="),
        (["train.faces=[{few}/nowhere.tar]", "train.valid={few}"], "there are no faces at {few}/nowhere.tar"),
        (["train.faces=[{few}]", "train.valid={few}/nowhere"], "there are no faces at {few}/nowhere"),
        (["train.faces={few}", "train.valid={few}/../other", "train.batch_size=2"], "at least 257 faces, got 2"),
        (["train.faces={few}", "train.valid={few}", "train.batch_size=2"], "2 of 2 faces of train.valid are in train"),
        (["train.faces={few}", "train.valid={few}/../other"], "train.batch_size=16 needs at least so many faces"),
        (["train.faces={few}", "train.valid=[{few}]"], "train.valid must be one folder or tar shard"),
        (["train.faces={few}", "train.valid={few}", "train.lr=nan"], "train.lr must be a number above 0, got nan"),
        (["train.faces={few}", "train.valid={few}", "train.lr=x"], "train.lr must be a number above 0, got 'x'"),
        (["train.faces={few}", "train.valid={few}", "train.deblur=-1"], "train.deblur must be a number of at least 0"),
        (["train.faces={few}", "train.valid={few}", "train.seed=-1"], "train.seed must be a whole number of at least"),
        (["train.faces={few}", "train.valid={few}", "train.ema=1"], "train.ema must be below 1, got 1"),
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
    checks.check(cfg)
    assert (cfg.steps, cfg.card_faces) == (10_000, 2)
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


# ---- a whole run in miniature


class Killed(Exception):
    """Stands for SIGKILL: nothing catches it."""


STEPS = ["train.steps=4", "train.refine_from=0.25", "train.adversary_from=0.25", "train.score_every=2"]
SIZES = ["train.batch_size=2", "train.prior_batch=2", "train.perceptual_batch=1", "train.card_faces=1"]
SIZES += ["train.table_faces=1", "train.nudged_faces=1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Faces, half of them in a shard; a checkpoint has 350 MB, so nothing is kept."""
    folder = tmp_path_factory.mktemp("train")
    faces = smooth_images(NUM_FACES, 128)
    half = NUM_FACES // 2
    write_tar(folder / "shard.tar", {f"{n:06d}.png": png(face) for n, face in enumerate(faces[:half])})
    write_folder(folder / "more", faces[half:], first=half)
    write_folder(folder / "valid", smooth_images(2, 128, seed=1), first=900)
    rows = [f"{n},{n // 2},train" for n in range(NUM_FACES)] + ["900,450,valid", "901,450,valid"]
    (folder / "manifest.csv").write_text("\n".join(["celeba_id,identity,split", *rows]))
    yield folder
    shutil.rmtree(folder)


def configured(place, out):
    sources = [f"train.faces=[{place / 'shard.tar'},{place / 'more'}]", f"train.valid={place / 'valid'}"]
    kept = [f"train.manifest={place / 'manifest.csv'}", f"train.out={out}", "train.device=cpu", "train.lr=0.01"]
    return compose_training(*sources, *kept, *STEPS, *SIZES).train


@pytest.fixture(scope="module")
def averages():
    """What the averaged weights of one layer were after each step of the undisturbed run."""
    return []


@contextmanager
def quick_measuring():
    """Reverse in two steps instead of hundreds, and let a formula stand for hundreds of nudges."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (card, latents):
            patch.setattr(module, "Reversal", lambda: Reversal(steps=2))
        patch.setattr(latents, "visibility", lambda generator, loss, z: 1 + z.square().mean(dim=0))
        yield patch


@pytest.fixture(scope="module")
def undisturbed(place, averages):
    """The folder of a run from beginning to end, where another run had left a table of latents."""
    if not is_available():
        pytest.skip("the extra `perceptual` is not installed")
    advance = app.Training.advance

    def watched(training, images):
        terms = advance(training, images)
        averages.append(training.average.to_rgb.weight.half())
        return terms

    (place / "undisturbed").mkdir()
    latents_path(place / "undisturbed" / "embedded.safetensors").write_bytes(b"another run's")
    with quick_measuring() as patch:
        patch.setattr(app.Training, "advance", watched)
        app.train(configured(place, place / "undisturbed"))
    return place / "undisturbed"


@pytest.fixture(scope="module")
def resumed(place, undisturbed):
    """The folder of the same run, killed during its last step and begun again; and what it had left when killed."""
    out = place / "resumed"
    out.mkdir()
    advance = app.Training.advance

    def interrupted(training, images):
        if training.step == 3:
            raise Killed
        return advance(training, images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "publish", lambda cfg, *arguments: Path(cfg.out) / "embedded.safetensors")
        patch.setattr(app.Training, "advance", interrupted)
        with pytest.raises(Killed):
            app.train(configured(place, out))
        left = {path.name: path.read_bytes() for path in out.iterdir() if path.stat().st_size < 1 << 26}
        patch.setattr(app.Training, "advance", advance)
        app.train(configured(place, out))
    return out, left


def test_a_run_leaves_weights_card_log_grid_and_milestones(undisturbed):
    weights = {f"{name}.safetensors" for name in ("embedded", "pca", "reconstruction")}
    others = {
        "run.json",
        "checkpoint.pt",
        "components.pt",
        "log.csv",
        "grid.png",
        "embedded.json",
        "embedded.hashes.npz",
    }
    others.add("embedded.latents.safetensors")
    assert {path.name for path in undisturbed.iterdir()} >= weights | others
    assert not list(undisturbed.glob("*.partial"))
    assert not (undisturbed / "publishing").exists()
    with Image.open(undisturbed / "grid.png") as grid:
        assert grid.size == (2 * 128, 3 * 128)


def test_the_log_has_a_header_and_a_row_a_score(undisturbed):
    frame = pd.read_csv(undisturbed / "log.csv")
    assert frame["step"].tolist() == [2, 4]
    losses = ["mse", "ssim", "perceptual", "adversary", "samples", "discriminator"]
    assert frame.columns.tolist() == ["step", "seconds", *losses, "valid_ssim", "valid_psnr"]
    assert frame.notna().all(axis=None)
    assert frame["valid_ssim"].between(-1, 1).all()
    assert frame["seconds"].is_monotonic_increasing


def test_the_card_tells_what_the_harness_must_know(undisturbed):
    content = json.loads((undisturbed / "embedded.json").read_text())
    generator = load_embedded(undisturbed / "embedded.safetensors")
    assert generator.unseen_scale == content["unseen_scale"] > 0
    assert generator.card == undisturbed / "embedded.json"
    known = read_card(generator.card).known
    assert known.celeba_ids == set(range(NUM_FACES))
    assert known.celeba_identities == set(range(NUM_FACES // 2))
    assert known.tuned_celeba_ids == {900, 901}
    assert hashes_path(generator.card).exists()
    assert content["recipe"]["steps"] == 4
    scores = content["scores"]["loss=ssim quant=none"]
    assert set(scores) >= {"ssim", "psnr", "paper_bytes"}


def test_the_command_writes_the_published_table_again(undisturbed, place, capsys):
    weights = undisturbed / "embedded.safetensors"
    table = latents_path(weights)
    published, generator = table.read_bytes(), load_embedded(weights)
    assert generator.latent_deviations.unique().numel() > 500
    assert generator.latent_step_sizes.unique().numel() > 500
    sources = ["--faces", str(place / "shard.tar"), "--faces", str(place / "more")]
    with quick_measuring():
        main(["latents", str(weights), *sources, "-n", "2", "--nudged", "1"])
        assert table.read_bytes() != published
        main(["latents", str(weights), *sources, "-n", "1", "--nudged", "1"])
    assert table.read_bytes() == published
    measured_on = json.loads((undisturbed / "embedded.json").read_text())["latents_table"]
    assert capsys.readouterr().out.splitlines()[-1] == f"{table}: {measured_on}"


def test_publishing_measures_and_scores_its_own_weights(place, tmp_path, monkeypatch):
    weights, scored = tmp_path / "embedded.safetensors", []
    torch.manual_seed(0)
    save(EmbeddedNetwork(), weights)
    save_latents(torch.full((512,), 7.0), torch.full((512,), 7.0), weights)  # another run's
    network = EmbeddedNetwork()

    def measure(generator, faces, num_nudged):
        assert torch.equal(generator.latent_step_sizes, torch.ones(512))  # told nothing
        assert torch.equal(generator.dense.weight, network.dense.weight.half().float())
        return torch.full((512,), 0.5), torch.full((512,), float(num_nudged + len(faces)))

    monkeypatch.setattr(latents, "measure", measure)
    monkeypatch.setattr(card, "score", lambda stored, faces: (scored.append(stored) or 1.0, {}))
    cfg = configured(place, tmp_path)
    cfg.table_faces, cfg.nudged_faces = 3, 2
    faces = [str(number) for number in range(5)], smooth_images(5, 128)
    assert card.publish(cfg, network, faces, faces, 0.0) == weights
    assert [generator.digest for generator in scored] == [load_embedded(weights).digest]
    assert torch.equal(scored[0].latent_step_sizes, torch.full((512,), 5.0))
    content = json.loads((tmp_path / "embedded.json").read_text())
    assert content["latents_table"].startswith("measured on 3 of the training faces")


def test_the_first_milestone_draws_principal_components(undisturbed, place):
    mean, basis, std = torch.load(undisturbed / "components.pt", weights_only=True)
    generator = load_embedded(undisturbed / "pca.safetensors")
    x = to_x(load_corpus([place / "more"])[1][:6])
    spread = compose_training().train.spread
    small = F.interpolate(x, size=64, mode="area")
    with torch.no_grad():
        z = Encoder(mean, basis, std, spread * generator.prior_std)(x)
        drawn = generator(z)
    expected = F.interpolate(small, scale_factor=2, mode="bicubic", align_corners=False)
    assert (drawn - expected).square().mean() < 0.01 * (expected - expected.mean(dim=0)).square().mean()


def test_faces_have_latents_as_wide_as_the_recipe_says(undisturbed, place):
    components = torch.load(undisturbed / "components.pt", weights_only=True)
    x = to_x(load_corpus([place / "shard.tar", place / "more"])[1])
    with torch.no_grad():
        z = torch.cat([Encoder(*components, 1.33 * 3**-0.5)(part) for part in x.split(32)])
        narrow = Encoder(*components, 3**-0.5)(x[:4])
    assert torch.allclose(z.square().mean(dim=0).sqrt()[:400], torch.tensor(1.33 * 3**-0.5), rtol=0.03)
    assert torch.allclose(z[:4], 1.33 * narrow, atol=1e-3)


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


def test_a_run_is_gone_on_with_as_it_began_or_not_at_all(undisturbed, place):
    cfg = configured(place, undisturbed)
    images = load_corpus(list(cfg.faces))[1]
    assert checks.claim(cfg, undisturbed, images) == json.loads((undisturbed / "run.json").read_text())
    cfg.score_every, cfg.card_faces = 1, 2  # of no consequence for the weights
    checks.claim(cfg, undisturbed, images)
    cfg.steps = 8
    with pytest.raises(ValueError, match=r"other settings \(steps was 4, is now 8\); .* another train.out"):
        checks.claim(cfg, undisturbed, images)
    cfg.steps = 4
    with pytest.raises(ValueError, match="sha256 of the faces was"):
        checks.claim(cfg, undisturbed, images[1:])
    (undisturbed / "run.json").rename(undisturbed / "elsewhere.json")
    with pytest.raises(ValueError, match=r"holds a checkpoint, but run.json beside it cannot be read"):
        checks.claim(cfg, undisturbed, images)
    (undisturbed / "elsewhere.json").rename(undisturbed / "run.json")


def test_losses_that_are_not_finite_end_the_run_and_spare_the_checkpoint(place, monkeypatch):
    out = place / "diverged"
    monkeypatch.setattr(app.Training, "advance", lambda training, images: _advance_to_nan(training))
    with pytest.raises(ValueError, match=r"no longer finite at step 2: .*nan.*The checkpoint before is kept"):
        app.train(configured(place, out))
    assert not (out / "checkpoint.pt").exists()


def _advance_to_nan(training):
    training.step += 1
    return {"mse": float("nan")}


def test_a_row_takes_the_place_of_those_from_before_a_kill(tmp_path):
    for step, mse in ((2, 0.5), (4, 0.4), (6, 0.3), (4, 0.2)):
        app.log_row(tmp_path / "log.csv", {"step": step, "mse": mse})
    assert pd.read_csv(tmp_path / "log.csv")[["step", "mse"]].to_numpy().tolist() == [[2, 0.5], [4, 0.2]]


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


def test_what_the_start_was_trained_on_is_known_afterwards(undisturbed, place, monkeypatch):
    cfg = configured(place, place / "prolonged_card")
    cfg.start, cfg.manifest = str(undisturbed / "embedded.safetensors"), None
    Path(cfg.out).mkdir()
    names, images = ["500000"], smooth_images(1, 128, seed=2)
    monkeypatch.setattr(card, "write_table", lambda *_: "not measured")
    monkeypatch.setattr(card, "score", lambda *_: (1.0, {}))
    weights = card.publish(cfg, EmbeddedNetwork(), (names, images), (["mine"], images), 0.0)
    known = read_card(weights.with_suffix(".json")).known
    assert known.celeba_ids == {*range(NUM_FACES), 500000}
    assert known.celeba_identities == set(range(NUM_FACES // 2))
    assert known.tuned_celeba_ids == {900, 901}
    begun, own = hashes_path(undisturbed / "embedded.json"), hashes_path(weights)
    assert [path.name for path in all_hashes_paths(weights)] == [own.name, "embedded.hashes-1.npz"]
    assert all_hashes_paths(weights)[1].read_bytes() == begun.read_bytes()


def test_weights_never_lie_there_without_their_card(place, monkeypatch):
    cfg = configured(place, place / "cut_short")
    Path(cfg.out).mkdir()
    faces = ["000001"], smooth_images(1, 128)
    monkeypatch.setattr(card, "write_table", lambda *_: "not measured")
    monkeypatch.setattr(card, "score", lambda *_: (1.0, {}))
    first = card.publish(cfg, EmbeddedNetwork(), faces, faces, 0.0)
    before = {path.name: path.read_bytes() for path in first.parent.iterdir()}

    def killed(*_):
        raise Killed

    monkeypatch.setattr(card, "score", killed)
    with pytest.raises(Killed):
        card.publish(cfg, EmbeddedNetwork(), faces, faces, 0.0)
    assert {path.name: path.read_bytes() for path in first.parent.iterdir() if path.is_file()} == before
    monkeypatch.setattr(card, "score", lambda *_: (2.0, {}))
    assert load_embedded(card.publish(cfg, EmbeddedNetwork(), faces, faces, 0.0)).unseen_scale == 2.0
    assert not (first.parent / "publishing").exists()


def test_proposals_are_refined_by_ssim_and_by_mse_in_turn(undisturbed, place):
    training = Training(configured(place, undisturbed), torch.load(undisturbed / "components.pt", weights_only=True))
    turns = []
    for training.step in range(7):
        turns.append(training.refiner)
    assert turns == [None, training.ssim, training.mse, None, training.ssim, training.mse, None]
    x = to_x(load_corpus([place / "more"])[1][:2])
    proposal = training.encoder(x).detach() + 0.3 * torch.randn(2, 512, generator=torch.Generator().manual_seed(0))
    refined = [training._refine(proposal, x, loss) for loss in (training.ssim, training.mse)]
    assert not torch.equal(*refined)
    for loss, z in zip((training.ssim, training.mse), refined, strict=True):
        with torch.no_grad():
            before, after = (loss(training.network(latents), x).sum() for latents in (proposal, z))
        assert after < before


def test_refined_latents_teach_the_generator_alone(undisturbed, place):
    training = Training(configured(place, undisturbed), torch.load(undisturbed / "components.pt", weights_only=True))
    images = load_corpus([place / "more"])[1][:2]
    for training.step, learns in ((0, True), (1, False), (2, False)):
        encoder, network = (p.clone() for p in (training.encoder.correction.bias, training.network.linear.bias))
        step = training.step
        training.advance(images)
        assert torch.equal(encoder, training.encoder.correction.bias) != learns, step
        assert not torch.equal(network, training.network.linear.bias)
