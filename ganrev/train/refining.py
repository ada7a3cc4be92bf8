"""Trains the network that sees how far a frame is off its face: faces moved, turned and scaled by known amounts."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from ganrev.alignment.frame import FRAME_SIZE
from ganrev.alignment.refiner import INPUT_SIZE, RADIUS, WINDOW, FrameRefiner
from ganrev.data import load_corpus
from ganrev.files import to_json, write_whole
from ganrev.progress import ProgressBar
from ganrev.train.card import CELEBA_LICENCE

_BATCH_SIZE = 96
_SPREAD = torch.tensor([2.0, 2.0, 3.5, 4.0])  # pixels: moves right and down, growth, turn, as landmarks err
_WIDTHS = (0.1, 1.5)  # factors on it: a second pass has less to do than a first one
_NOISE = 6.0  # grey levels, at most
_BLUR = (0.2, 1.4)  # pixels, of every other batch
# Of the mean squared distance over a frame; growth and turn move a point RADIUS away from its middle, half a side.
_SHARES = torch.tensor([1.0, 1.0, 2 / 3, 2 / 3])


def train(
    faces: Sequence[str], valid: str, output: Path, *, num_steps: int, lr: float, start: Path | None, seed: int
) -> dict[str, float]:
    """Train the network and write it, with a card beside it that names its faces; returns its scores.

    Args:
        faces: tar shards or folders of pictures in CelebA's frame, 128 x 128.
        valid: the same, of other people, to score it on.
        output: a `.safetensors` file.
        num_steps: of Adam, at a rate that falls along a cosine.
        lr: the rate at the start.
        start: weights to go on from; None to begin anew.
        seed: of all that is random.

    Raises:
        ValueError: the faces cannot be read.
    """
    grey, held_out = (_grey(load_corpus(sources)[1]) for sources in (faces, [valid]))
    rng = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    refiner = FrameRefiner()
    if start is not None:
        refiner.load_state_dict({name: tensor.float() for name, tensor in load_file(start).items()})
    refiner = refiner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(refiner.parameters(), lr=lr, weight_decay=1e-4)
    for step in ProgressBar(range(num_steps), desc="training", unit="step"):
        optimiser.param_groups[0]["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / num_steps))
        pictures = _varied(grey[torch.randint(len(grey), (_BATCH_SIZE,), generator=rng)].float(), step % 2 == 1, rng)
        widths = torch.rand(_BATCH_SIZE, 1, generator=rng) * (_WIDTHS[1] - _WIDTHS[0]) + _WIDTHS[0]
        moves = torch.randn(_BATCH_SIZE, 4, generator=rng) * _SPREAD * widths
        seen = look(pictures, moves).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            told = refiner(seen)
        optimiser.zero_grad()
        distances(told.float() - inverse(moves)).mean().backward()
        optimiser.step()
    scores = score(refiner.eval(), held_out.float())
    weights = {name: tensor.half().contiguous() for name, tensor in refiner.state_dict().items()}
    save_file(weights, output)
    card: dict[str, object] = {
        "trained_on": f"{len(grey)} faces of {', '.join(Path(source).name for source in faces)}, mirrored at random"
    }
    card |= {"steps": num_steps, "lr": lr, "seed": seed, "start": start and start.name}
    write_whole(output.with_suffix(".json"), to_json(card | {"scores": scores, "licence": CELEBA_LICENCE}).encode())
    return scores


def _grey(images: Tensor) -> Tensor:
    """Return uint8 [N, 1, H, W] of uint8 RGB [N, 3, H, W], by the weights of ITU-R 601 as Pillow's."""
    red, green, blue = (images[:, i].int() for i in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).to(torch.uint8)[:, None]


def _varied(pictures: Tensor, blur: bool, rng: torch.Generator) -> Tensor:
    """Return pictures [N, 1, H, W] mirrored at random, with noise, and blurred where told to."""
    mirrored = torch.rand(len(pictures), 1, 1, 1, generator=rng) < 0.5
    pictures = torch.where(mirrored, pictures.flip(3), pictures)
    if blur:
        width = _BLUR[0] + float(torch.rand(1, generator=rng)) * (_BLUR[1] - _BLUR[0])
        bell = torch.exp(-(torch.arange(-3, 4.0) ** 2) / (2 * width**2))
        bell = bell / bell.sum()
        pictures = F.conv2d(
            F.conv2d(pictures, bell.view(1, 1, 1, 7), padding=(0, 3)), bell.view(1, 1, 7, 1), padding=(3, 0)
        )
    noise = torch.randn(pictures.shape, generator=rng) * torch.rand(len(pictures), 1, 1, 1, generator=rng)
    return pictures + _NOISE * noise


def look(pictures: Tensor, moves: Tensor) -> Tensor:
    """Return what the network sees of pictures in frames that are off, float32 [N, 1, 64, 64].

    Args:
        pictures: float32 [N, 1, 128, 128], 0 to 255.
        moves: of the frames, float32 [N, 4]: right, down, growth and turn, in pixels.
    """
    turn, growth = moves[:, 3] / RADIUS, torch.exp(moves[:, 2] / RADIUS)
    cosine, sine = growth * torch.cos(turn), growth * torch.sin(turn)
    right, down = (moves[:, i] / (FRAME_SIZE / 2) for i in (0, 1))
    rows = torch.stack((cosine, -sine, right, sine, cosine, down), dim=1).view(-1, 2, 3)
    places = ((torch.arange(INPUT_SIZE) + 0.5) / INPUT_SIZE * 2 - 1) * WINDOW
    y, x = torch.meshgrid(places, places, indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x)), dim=-1).view(-1, 3)
    grid = (points @ rows.transpose(1, 2)).view(len(pictures), INPUT_SIZE, INPUT_SIZE, 2)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def inverse(moves: Tensor) -> Tensor:
    """Return the moves that undo others, each in the directions of the frame that was moved."""
    turn, shrink = -moves[:, 3] / RADIUS, torch.exp(-moves[:, 2] / RADIUS)
    right = -shrink * (moves[:, 0] * torch.cos(turn) - moves[:, 1] * torch.sin(turn))
    down = -shrink * (moves[:, 0] * torch.sin(turn) + moves[:, 1] * torch.cos(turn))
    return torch.stack((right, down, -moves[:, 2], -moves[:, 3]), dim=1)


def distances(moves: Tensor) -> Tensor:
    """Return the root mean square distance, in pixels, that moves [N, 4] take the points of a frame."""
    return ((moves**2 * _SHARES).sum(dim=1) + 1e-3).sqrt()


@torch.no_grad()
def score(refiner: FrameRefiner, pictures: Tensor) -> dict[str, float]:
    """Return how far frames of pictures [N, 1, 128, 128] are off after one pass, having been off by a usual amount."""
    moves = torch.randn(len(pictures), 4, generator=torch.Generator().manual_seed(0)) * _SPREAD
    left = distances(refiner(look(pictures, moves)) - inverse(moves))
    return {
        "before, px": round(float(distances(moves).mean()), 2),
        "after, px": round(float(left.mean()), 2),
        "under 2 px": round(float((left < 2).float().mean()), 3),
    }
