"""A small network that sees where a frame should lie, once landmarks have put it there roughly.

Landmarks err by a pixel or two each. The network has learned from faces of CelebA, moved, turned and scaled by known
amounts, how far a frame is off (`ganrev.train.refining`).
"""

import math
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from ganrev.alignment.frame import FRAME_SIZE, Frame
from ganrev.paths import weights_dir

INPUT_SIZE = 64
WINDOW = 108 / FRAME_SIZE  # of the frame that is looked at, so that what lies beyond it counts little
RADIUS = 64.0  # pixels: growth and turn are told as the way that a point at this distance goes
_NUM_PASSES = 3
_MOST = 24.0  # pixels that one pass may move the frame


class FrameRefiner(nn.Module):
    """Tells how far a frame is off, from a grey picture of its inner part."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for num_in, num_out, kernel, stride in (
            (1, 24, 5, 2),
            (24, 32, 3, 2),
            (32, 32, 3, 1),
            (32, 64, 3, 2),
            (64, 64, 3, 1),
            (64, 16, 1, 1),
        ):
            layers += [nn.Conv2d(num_in, num_out, kernel, stride, kernel // 2), nn.LeakyReLU(0.1)]
        num_places = (INPUT_SIZE // 8) ** 2
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(16 * num_places, 64), nn.LeakyReLU(0.1), nn.Linear(64, 4)
        )

    def forward(self, grey: Tensor) -> Tensor:
        """Return how to move each frame, float32 [N, 4]: right, down, growth and turn, in pixels of the frame.

        Args:
            grey: float32 [N, 1, 64, 64], 0 to 255.
        """
        spread = grey.std((2, 3), keepdim=True)
        return self.layers((grey - grey.mean((2, 3), keepdim=True)) / (spread + 1))


def refine(photo: Image.Image, frame: Frame) -> Frame:
    """Return a frame that lies better on the face.

    Args:
        photo: mode RGB.
        frame: off by no more than some ten pixels of the frame.
    """
    for _ in range(_NUM_PASSES):
        seen = frame.moved(growth=WINDOW).cut(photo, INPUT_SIZE).convert("L")
        grey = torch.from_numpy(np.asarray(seen, np.float32).copy())[None, None]
        with torch.no_grad():
            plain, mirrored = _shipped()(torch.cat((grey, grey.flip(3))))
        move = (plain + mirrored * torch.tensor([-1.0, 1.0, 1.0, -1.0])) / 2
        right, down, growth, turn = move.clamp(-_MOST, _MOST).tolist()
        frame = frame.moved(right, down, math.exp(growth / RADIUS), math.degrees(turn / RADIUS))
    return frame


@cache
def _shipped() -> FrameRefiner:
    refiner = FrameRefiner()
    weights = load_file(weights_path())
    refiner.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return refiner.eval().requires_grad_(False)


def weights_path() -> Path:
    """Return the file of the weights that ship with the package; what they were trained on lies beside it, as JSON."""
    return weights_dir() / "frame.safetensors"
