"""Training the learned opponents in miniature: resumed as if never stopped, published whole, mistakes named."""

import dataclasses
import json

import pytest
import torch

from baselines.learned.model import Kind
from experiments.opponents import command, training
from experiments.opponents.command import train_all, train_one
from ganrev.contamination.card import read_card
from ganrev.pixels import to_pillow
from tests.tiny import TinyGenerator, smooth_images

SMALL = {kind: dataclasses.replace(recipe, steps=2, batch_size=2) for kind, recipe in training.RECIPES.items()}


@pytest.fixture(scope="module")
def faces():
    return smooth_images(8, 128)


@pytest.fixture
def folders(tmp_path, monkeypatch, faces):
    """Eight training faces, two others, and a tiny generator and recipes in place of the real ones."""
    for name, images, first in (("faces", faces, 200_000), ("valid", smooth_images(2, 128, seed=9), 1)):
        (tmp_path / name).mkdir()
        for number, image in enumerate(images, start=first):
            to_pillow(image).save(tmp_path / name / f"{number:06}.png")
    monkeypatch.setattr(command, "load_embedded", lambda: TinyGenerator(size=128))
    monkeypatch.setattr(command, "RECIPES", SMALL)
    monkeypatch.setattr(command, "_MEASURED", 2)
    return tmp_path


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("kind", ["autoencoder", "hyperprior", "encoder"])
def test_a_resumed_training_is_the_same(tmp_path, monkeypatch, faces, kind: Kind):
    monkeypatch.setattr(command, "_SAVE_EVERY", 1)
    generator, recipe = TinyGenerator(size=128), SMALL[kind]
    whole = train_one(kind, recipe, faces, generator, tmp_path / "whole")
    advance = training.Training.advance

    def killed(self, images):
        if self.step == 1:
            raise KeyboardInterrupt
        return advance(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(training.Training, "advance", killed)
        with pytest.raises(KeyboardInterrupt):
            train_one(kind, recipe, faces, generator, tmp_path / "cut")
    resumed = train_one(kind, recipe, faces, generator, tmp_path / "cut")
    assert torch.equal(weights(resumed.average), weights(whole.average))
    log = (tmp_path / "cut" / kind / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in log] == ["step", "1", "2"]


def test_another_recipe_does_not_go_on(tmp_path, faces):
    generator = TinyGenerator(size=128)
    train_one("autoencoder", SMALL["autoencoder"], faces, generator, tmp_path)
    with pytest.raises(ValueError, match="a training of another recipe"):
        train_one("autoencoder", dataclasses.replace(SMALL["autoencoder"], lr=1.0), faces, generator, tmp_path)


def test_the_adversarial_one_needs_the_encoder(tmp_path, faces):
    with pytest.raises(ValueError, match="goes on from encoder"):
        train_one("adversarial", SMALL["adversarial"], faces, TinyGenerator(size=128), tmp_path)


def test_all_are_trained_and_published(folders, capsys):
    out = folders / "out"
    train_all([str(folders / "faces")], str(folders / "valid"), None, out, ["encoder", "adversarial"])
    assert "adversarial.safetensors and its card" in capsys.readouterr().out
    for kind in ("encoder", "adversarial"):
        card = json.loads((out / f"{kind}.json").read_text())
        assert card["scores"]["quality=100"]["bytes"] > 7
        assert card["recipe"]["steps"] == 2
    known = read_card(out / "faces.json").known
    assert known.celeba_ids == frozenset(range(200_000, 200_008))
    assert known.tuned_celeba_ids == {1, 2}
    assert (out / "faces.hashes.npz").is_file()


def test_mistakes(folders):
    faces, valid = str(folders / "faces"), str(folders / "valid")
    with pytest.raises(ValueError, match="no learned opponent 'vae'; choose among autoencoder"):
        train_all([faces], valid, None, folders / "out", ["vae"])
    with pytest.raises(ValueError, match="--steps must be a whole number of at least 1, got 0"):
        train_all([faces], valid, None, folders / "out", [], 0)
    with pytest.raises(ValueError, match="scores on them would flatter"):
        train_all([faces], faces, None, folders / "out")
