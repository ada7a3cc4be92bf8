"""How widely the symbols of a hyperprior's latents spread, told by those decoded before them, in whole numbers.

A range decoder must come to the encoder's very scale codes, on any machine. So the network that predicts them is
trained in floats and used in whole numbers (int64), where the order of a sum does not matter.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.learned.rates import NUM_KNOTS, Knots, whole_between_knots
from ganrev.coding.range_coder import CODES_PER_OCTAVE, HIGHEST, LOWEST

_UNIT = 1 << 10  # a whole number of this size stands for one
_SYMBOL_CAP = 255  # larger symbols of the hyper-latents tell what this one tells
_HIDDEN = 64


class PredictedScales(nn.Module):
    """Logarithms of deviations [C, 2 S, 2 S] from hyper-latents [H, S, S]: two layers, and what is usual at each place.

    Args:
        channels: C.
        hyper_channels: H.
        side: 2 S.
        start: log2 of the deviations before training, float32 [C, 2 S, 2 S].
        log2_gains: log2 of the gains at the knots before training, float32 [NUM_KNOTS, C].
    """

    def __init__(self, channels: int, hyper_channels: int, side: int, start: Tensor, log2_gains: Tensor) -> None:
        super().__init__()
        self.hyper_channels, self.small = hyper_channels, side // 2
        self.look = nn.Conv2d(hyper_channels, _HIDDEN, 3, padding=1)
        self.out = nn.Conv2d(_HIDDEN, 4 * channels, 1, bias=False)
        self.hidden_told = Knots(torch.zeros(NUM_KNOTS, _HIDDEN))
        self.told = Knots(log2_gains)
        self.place = nn.Parameter(start.clone())
        nn.init.zeros_(self.out.weight)

    def forward(self, hyper: Tensor, quality: Tensor) -> Tensor:
        """Return log2 of deviations in symbols, float32 [N, C, 2 S, 2 S], at qualities [N]."""
        h = F.relu(self.look(hyper.clamp(-_SYMBOL_CAP, _SYMBOL_CAP)) + self.hidden_told(quality)[:, :, None, None])
        return F.pixel_shuffle(self.out(h), 2) + self.told(quality)[:, :, None, None] + self.place

    def codes(self, hyper: np.ndarray, quality: int) -> np.ndarray:
        """Return scale codes int64 [C * 2 S * 2 S] given symbols int32 [H * S * S], the same on every machine."""
        whole = {name: _whole(value) for name, value in self.state_dict().items()}
        symbols = np.clip(hyper.astype(np.int64), -_SYMBOL_CAP, _SYMBOL_CAP)
        padded = np.pad(symbols.reshape(-1, self.small, self.small), ((0, 0), (1, 1), (1, 1)))
        patches = np.stack(  # [H, 9, S, S], in the order of the convolution's weights
            [padded[:, i : i + self.small, j : j + self.small] for i in range(3) for j in range(3)], axis=1
        ).reshape(self.hyper_channels * 9, -1)
        h = whole["look.weight"].reshape(_HIDDEN, -1) @ patches + whole["look.bias"][:, None]
        h = np.maximum(h + whole_between_knots(whole["hidden_told.values"], quality)[:, None], 0)
        out = (whole["out.weight"].reshape(-1, _HIDDEN) @ h) // _UNIT
        log2 = _pixel_shuffled(out.reshape(-1, self.small, self.small))
        log2 = log2 + whole_between_knots(whole["told.values"], quality)[:, None, None] + whole["place"]
        codes = (log2 * CODES_PER_OCTAVE + _UNIT // 2) // _UNIT
        return np.clip(codes, LOWEST, HIGHEST).ravel()


def _whole(value: Tensor) -> np.ndarray:
    return (value.detach().cpu().double() * _UNIT).round().long().numpy()


def _pixel_shuffled(values: np.ndarray) -> np.ndarray:
    """Do in whole numbers what `F.pixel_shuffle` by 2 does: [4 C, S, S] to [C, 2 S, 2 S]."""
    side = values.shape[-1]
    return values.reshape(-1, 2, 2, side, side).transpose(0, 3, 1, 4, 2).reshape(-1, 2 * side, 2 * side)
