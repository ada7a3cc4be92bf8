"""The trainer: its pictures, its principal components, and a whole run in miniature, killed and resumed."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from PIL import Image

from ganrev.data.known import read_known
from ganrev.generator.embedded import load
from ganrev.overlap import hashes_path
from ganrev.paths import checkout, config_dir
from ganrev.perceptual import is_available
from ganrev.pixels import to_pillow, to_x
from ganrev.realism import laplacian_pyramid
from ganrev.reversal import Reversal
from ganrev.train import __main__ as app
from ganrev.train import card
from ganrev.train.corpus import batch_at, deblur, load_corpus
from ganrev.train.networks import Encoder, principal_components
from tests.tiny import smooth_images

NUM_FACES = 258  # 512 components need 257


def png(image):
    buffer = io.BytesIO()
    to_pillow(image).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def write_folder(folder, images, first=0):
    """Write pictures named by numbers, as CelebA's are."""
    folder.mkdir(parents=True)
    for number, image in enumerate(images, start=first):
        (folder / f"{number:06d}.png").write_bytes(png(image))
    return folder


def write_tar(path, files):
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


# ---- pictures


def test_faces_come_from_tar_shards_and_folders_in_their_order(tmp_path):
    images = smooth_images(5, 128)
    members = {f"faces/{name}.PNG": png(image) for name, image in zip("dcb", images, strict=False)}
    shard = write_tar(tmp_path / "shard.tar", members | {"faces/notes.txt": b"no picture"})
    folder = write_folder(tmp_path / "folder", images[3:])
    (folder / "notes.txt").write_text("no picture")
    names, read = load_corpus([shard, str(folder)])
    assert names == ["d", "c", "b", "000000", "000001"]
    assert read.dtype == torch.uint8
    assert torch.equal(read, images)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda place: place / "nowhere", "there are no faces at .*nowhere: give tar shards or folders"),
        (lambda place: write_folder(place / "empty", []), "empty holds no picture"),
        (lambda place: write_tar(place / "empty.tar", {"a.txt": b"a"}), "empty.tar holds no picture"),
        (lambda place: write_folder(place / "small", smooth_images(1, 64)), "000000 is 64 x 64.*must be 128 x 128"),
        (lambda place: write_tar(place / "bad.tar", {"a.png": b"\x89PNG"}), "bad.tar: a is damaged or no picture"),
        (lambda place: shutil.copy(__file__, place / "faces.tar"), "faces.tar is no whole tar file"),
    ],
)
def test_faces_that_cannot_be_used_are_named(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load_corpus([make(tmp_path)])


def test_no_source_is_no_corpus():
    with pytest.raises(ValueError, match="there are no faces"):
        load_corpus([])


def test_a_damaged_picture_is_named(tmp_path):
    folder = write_folder(tmp_path / "faces", smooth_images(2, 128))
    path = folder / "000001.png"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="000001 is damaged"):
        load_corpus([folder])


def test_an_epoch_shows_every_face_once_and_the_next_one_in_another_order():
    epochs = [[batch_at(12, 4, 3 * epoch + step, seed=0) for step in range(3)] for epoch in range(2)]
    orders = [torch.cat([chosen for chosen, _ in epoch]).tolist() for epoch in epochs]
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert orders[0] != orders[1]
    assert batch_at(12, 4, 4, seed=0)[0].tolist() == orders[1][4:8]
    assert batch_at(12, 4, 0, seed=1)[0].tolist() != orders[0][:4]
    flips = torch.cat([flips for epoch in epochs for _, flips in epoch])
    assert flips.dtype == torch.bool
    assert 4 <= flips.sum() <= 20


def test_faces_that_fill_no_last_batch_wait_for_the_next_epoch():
    chosen = [batch_at(11, 4, step, seed=0)[0] for step in range(4)]
    assert [len(indices) for indices in chosen] == [4, 4, 4, 4]
    assert len(set(torch.cat(chosen[:2]).tolist())) == 8
    with pytest.raises(ValueError, match="batch_size=4 needs at least so many faces, got 3"):
        batch_at(3, 4, 0, seed=0)


# ---- sharpening


def fine_energy(x):
    return laplacian_pyramid(x)[0].square().mean(dim=(1, 2, 3))


def test_a_strength_of_0_leaves_a_picture_as_it_is():
    x = to_x(smooth_images(2, 64))
    assert torch.equal(deblur(x, torch.zeros(2)), x)


def test_sharpening_raises_fine_detail_and_leaves_the_rest():
    x = to_x(smooth_images(2, 64)) / 2
    weak, strong = (deblur(x, torch.full((2,), strength)) for strength in (0.5, 1.2))
    assert (fine_energy(x) < fine_energy(weak)).all()
    assert (fine_energy(weak) < fine_energy(strong)).all()
    assert (F.avg_pool2d(strong, 16) - F.avg_pool2d(x, 16)).abs().max() < 0.01


@pytest.mark.parametrize(("period", "gain"), [(2, 1.0), (4, 0.25), (8, ((1 - 0.5**0.5) / 2) ** 2)])
def test_waves_gain_by_what_the_blur_takes_away_squared(period, gain):
    # [1 2 1] / 4 leaves (1 + cos) / 2 of a wave.
    wave = 0.3 * torch.cos(2 * torch.pi * torch.arange(64.0) / period)
    x = wave.expand(1, 3, 64, 64)
    for picture in (x, x.mT):
        sharp = deblur(picture, torch.tensor([0.8]))
        inside = (..., slice(4, -4), slice(4, -4))
        assert torch.allclose(sharp[inside], (1 + 0.8 * gain) * picture[inside], atol=1e-5)


def test_sharpened_pictures_stay_in_range():
    noise = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    sharp = deblur(noise, torch.tensor([3.0, 0.5]))
    assert sharp.min() == -1
    assert sharp.max() == 1


def test_each_picture_has_its_own_strength():
    x = to_x(smooth_images(3, 32))
    together = deblur(x, torch.tensor([0.0, 0.4, 1.2]))
    for i, strength in enumerate((0.0, 0.4, 1.2)):
        assert torch.equal(together[i : i + 1], deblur(x[i : i + 1], torch.tensor([strength])))
    assert not torch.equal(together[1], x[1])


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
    """A folder with two faces."""
    return write_folder(tmp_path_factory.mktemp("few") / "faces", smooth_images(2, 128))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.valid={few}"], "train.faces not set: give train.faces="),
        (["train.faces=[{few}/nowhere.tar]", "train.valid={few}"], "there are no faces at {few}/nowhere.tar"),
        (["train.faces=[{few}]", "train.valid={few}/nowhere"], "there are no faces at {few}/nowhere"),
        (["train.faces={few}", "train.valid={few}"], "need at least 257 faces, got 2"),
        (["train.faces=[{few}]", "train.valid={few}", "train.score_every=0"], "train.score_every must be a whole"),
        (["train.faces=[{few}]", "train.valid={few}", "train.manifest={few}/ids.csv"], "ids.csv is no file"),
    ],
)
def test_a_mistake_ends_with_one_line(overrides, message, few, tmp_path, capsys):
    cfg = compose_training(*(o.format(few=few) for o in overrides), f"train.out={tmp_path / 'out'}", "train.device=cpu")
    with pytest.raises(SystemExit) as stopped:
        app.main(cfg)
    assert stopped.value.code == 2
    complaint = capsys.readouterr().err.strip()
    assert complaint.startswith("error: ")
    assert message.format(few=few) in complaint
    assert len(complaint.splitlines()) == 1
    assert not list(tmp_path.glob("out/*"))


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


STEPS = ["train.steps=4", "train.adversary_from=0.25", "train.score_every=2"]
SIZES = ["train.batch_size=2", "train.prior_batch=2", "train.perceptual_batch=1", "train.card_faces=1"]


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


@pytest.fixture(scope="module")
def undisturbed(place, averages):
    """The folder of a run from beginning to end; its card's reversals take two steps instead of hundreds."""
    if not is_available():
        pytest.skip("the extra `perceptual` is not installed")
    advance = app.Training.advance

    def watched(training, images):
        terms = advance(training, images)
        averages.append(training.average.to_rgb.weight.half())
        return terms

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(card, "Reversal", lambda: Reversal(steps=2))
        patch.setattr(app.Training, "advance", watched)
        app.train(configured(place, place / "undisturbed"))
    return place / "undisturbed"


@pytest.fixture(scope="module")
def resumed(place, undisturbed):
    """The folder of the same run, killed during its last step and begun again; and what it had left when killed."""
    out = place / "resumed"
    out.mkdir()
    shutil.copy(undisturbed / "components.pt", out)  # seconds saved: they are a function of faces and seed
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
    others = {"checkpoint.pt", "components.pt", "log.csv", "grid.png", "embedded.json", "embedded.hashes.npz"}
    assert {path.name for path in undisturbed.iterdir()} >= weights | others
    assert not list(undisturbed.glob("*.partial"))
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
    generator = load(undisturbed / "embedded.safetensors")
    assert generator.unseen_scale == content["unseen_scale"] > 0
    assert generator.card == undisturbed / "embedded.json"
    known = read_known(generator.card)
    assert known.celeba_ids == set(range(NUM_FACES))
    assert known.celeba_identities == set(range(NUM_FACES // 2))
    assert known.tuned_celeba_ids == {900, 901}
    assert hashes_path(generator.card).exists()
    assert content["recipe"]["steps"] == 4
    scores = content["scores"]["loss=ssim quant=none"]
    assert set(scores) >= {"ssim", "psnr", "paper_bytes"}


def test_the_first_milestone_draws_principal_components(undisturbed, place):
    mean, basis, std = torch.load(undisturbed / "components.pt", weights_only=True)
    generator = load(undisturbed / "pca.safetensors")
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
        load(undisturbed / f"{name}.safetensors", unseen_scale=1.0).to_rgb.weight.half()
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
    shutil.copy(undisturbed / "components.pt", out)
    (out / "reconstruction.safetensors").write_bytes(b"another run's")
    training = app.prepare(configured(place, out), out, torch.empty(0))
    assert training.step == 0
    assert sorted(path.name for path in out.iterdir()) == ["components.pt", "pca.safetensors"]
