"""The network that refines frames learns from faces moved by known amounts."""

import json

import pytest
import torch

from ganrev.alignment.refiner import FrameRefiner, weights_path
from ganrev.train.refining import distances, inverse, look, score, train
from tests.faces import write_folder
from tests.tiny import smooth_images


def test_moves_and_their_inverses_cancel():
    pictures = smooth_images(4, 128).float()[:, :1]
    moves = torch.tensor([[2.0, 1, 3, 4], [-3, 0, 0, 0], [0, 0, -4, 2], [1, -2, 0, 5]])
    again = inverse(inverse(moves))
    assert torch.allclose(again, moves, atol=1e-5)
    assert look(pictures, moves).shape == (4, 1, 64, 64)
    still = look(pictures, torch.zeros(4, 4))
    assert (look(pictures, moves) - still).abs().mean() > 1


def test_distances_are_pixels():
    moves = torch.tensor([[3.0, 4, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0]])
    assert distances(moves).tolist() == pytest.approx([5, 3 * (2 / 3) ** 0.5, 0.03], abs=0.01)


def test_the_network_tells_four_numbers_whatever_the_light():
    refiner = FrameRefiner().eval()
    grey = smooth_images(3, 64).float()[:, :1]
    told = refiner(grey)
    assert (told.shape, told.dtype) == ((3, 4), torch.float32)
    assert torch.allclose(refiner(grey * 0.5 + 60), told, atol=0.05)


def test_training_writes_weights_and_their_card(tmp_path):
    faces = write_folder(tmp_path / "faces", smooth_images(6, 128))
    valid = write_folder(tmp_path / "valid", smooth_images(3, 128, seed=1))
    output = tmp_path / "frame.safetensors"
    scores = train([str(faces)], str(valid), output, num_steps=3, lr=1e-3, start=None, seed=0)
    card = json.loads(output.with_suffix(".json").read_text())
    assert card["scores"] == scores
    assert card["trained_on"] == "6 faces of faces, mirrored at random"
    train([str(faces)], str(valid), tmp_path / "more.safetensors", num_steps=1, lr=1e-3, start=output, seed=0)
    assert output.stat().st_size == (tmp_path / "more.safetensors").stat().st_size


def test_the_shipped_weights_have_a_card():
    card = json.loads(weights_path().with_suffix(".json").read_text())
    assert card["scores"]["under 2 px"] > 0.75
    assert "non-commercial" in card["licence"]


def test_a_refiner_that_says_nothing_leaves_frames_as_they_are():
    refiner = FrameRefiner()
    torch.nn.init.zeros_(refiner.layers[-1].weight)
    torch.nn.init.zeros_(refiner.layers[-1].bias)
    scores = score(refiner, smooth_images(8, 128).float()[:, :1])
    assert scores["after, px"] == pytest.approx(scores["before, px"], abs=0.5)
