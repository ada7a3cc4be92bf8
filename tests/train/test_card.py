"""What training leaves beside its weights: the card, the hashes, the table of latents."""

import json
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from ganrev.contamination.card import read_card
from ganrev.contamination.hashes import (
    all_hashes_paths,
    hashes_path,
    load_hashes,
    write_hashes,
)
from ganrev.generator.embedded import EmbeddedNetwork, load_embedded, save, save_latents
from ganrev.train import card
from ganrev.train.card import known_faces
from tests.known_faces import FACES
from tests.tiny import smooth_images
from tests.train.miniature import NUM_FACES, Killed, configured


def test_training_leaves_numbers_and_hashes(tmp_path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("celeba_id,identity,split\n12,5,train-0\n3,5,train-0\n40,6,valid\n41,7,sealed\n")
    cfg = OmegaConf.create({"manifest": str(manifest), "start": None})
    assert known_faces(cfg, ["000012", "000003", "stranger"], ["000040"]) == {
        "celeba_ids": [3, 12],
        "celeba_identities": [5],
        "tuned_celeba_ids": [40],
        "tuned_celeba_identities": [6],
    }
    with pytest.raises(ValueError, match="lacks 1 of 2 faces, the first 000013"):
        known_faces(cfg, ["000012", "000013"], [])
    cfg.manifest = None
    assert known_faces(cfg, ["000012"], ["x"]) == {
        "celeba_ids": [12],
        "celeba_identities": [],
        "tuned_celeba_ids": [],
        "tuned_celeba_identities": [],
    }
    path = write_hashes(["000012", "000003"], FACES[:2], tmp_path / "own.safetensors")
    assert path == hashes_path(tmp_path / "own.json") == tmp_path / "own.hashes.npz"
    assert next(load_hashes(path).similarities(FACES[:1])).argmax() == 1  # in the order of the ids


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


HOURS = {"z": 1.5, "grid": 0.5}


def stored_z(folder):
    """Return stored weights of z with a table of latents beside them."""
    save_latents(torch.full((512,), 0.5), torch.full((512,), 5.0), folder / "z.safetensors")
    return save(EmbeddedNetwork(), folder / "z.safetensors")


def without_grid(place, out):
    cfg = configured(place, out)
    cfg.grid.steps = 0
    return cfg


def test_publishing_scores_its_own_weights_with_their_table(place, tmp_path, monkeypatch):
    weights, scored = tmp_path / "embedded.safetensors", []
    torch.manual_seed(0)
    save(EmbeddedNetwork(), weights)
    save_latents(torch.full((512,), 7.0), torch.full((512,), 7.0), weights)  # another run's
    z = stored_z(tmp_path)
    monkeypatch.setattr(card, "score", lambda stored, faces: (scored.append(stored) or 1.0, {}))
    cfg = without_grid(place, tmp_path)
    cfg.table_faces, cfg.nudged_faces = 3, 2
    faces = [str(number) for number in range(5)], smooth_images(5, 128)
    assert card.publish(cfg, load_embedded(z), z, faces, faces, HOURS) == weights
    assert [generator.digest for generator in scored] == [load_embedded(weights).digest]
    assert torch.equal(scored[0].latent_step_sizes, torch.full((512,), 5.0))
    content = json.loads((tmp_path / "embedded.json").read_text())
    assert content["latents_table"].startswith("measured on 3 of the training faces")
    assert content["hours"] == 1.5
    assert "grid" not in content


def test_what_the_start_was_trained_on_is_known_afterwards(undisturbed, place, monkeypatch):
    cfg = without_grid(place, place / "prolonged_card")
    cfg.start, cfg.manifest = str(undisturbed / "embedded.safetensors"), None
    Path(cfg.out).mkdir()
    names, images = ["500000"], smooth_images(1, 128, seed=2)
    monkeypatch.setattr(card, "score", lambda *_: (1.0, {}))
    weights = card.publish(cfg, EmbeddedNetwork(), stored_z(Path(cfg.out)), (names, images), (["mine"], images), HOURS)
    known = read_card(weights.with_suffix(".json")).known
    assert known.celeba_ids == {*range(NUM_FACES), 500000}
    assert known.celeba_identities == set(range(NUM_FACES // 2))
    assert known.tuned_celeba_ids == {900, 901}
    begun, own = hashes_path(undisturbed / "embedded.json"), hashes_path(weights)
    assert [path.name for path in all_hashes_paths(weights)] == [own.name, "embedded.hashes-1.npz"]
    assert all_hashes_paths(weights)[1].read_bytes() == begun.read_bytes()


def test_weights_never_lie_there_without_their_card(place, monkeypatch):
    cfg = without_grid(place, place / "cut_short")
    Path(cfg.out).mkdir()
    z = stored_z(Path(cfg.out))
    faces = ["000001"], smooth_images(1, 128)
    monkeypatch.setattr(card, "score", lambda *_: (1.0, {}))
    first = card.publish(cfg, EmbeddedNetwork(), z, faces, faces, HOURS)
    before = {path.name: path.read_bytes() for path in first.parent.iterdir()}

    def killed(*_):
        raise Killed

    monkeypatch.setattr(card, "score", killed)
    with pytest.raises(Killed):
        card.publish(cfg, EmbeddedNetwork(), z, faces, faces, HOURS)
    assert {path.name: path.read_bytes() for path in first.parent.iterdir() if path.is_file()} == before
    monkeypatch.setattr(card, "score", lambda *_: (2.0, {}))
    assert load_embedded(card.publish(cfg, EmbeddedNetwork(), z, faces, faces, HOURS)).unseen_scale == 2.0
    assert not (first.parent / "publishing").exists()
