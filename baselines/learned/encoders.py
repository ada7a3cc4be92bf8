"""Models that learn an encoder alone: a frozen generator draws."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.learned.model import FixedCodes, LearnedModel, knot_qualities, quality_tensor, to_symbols
from baselines.learned.rates import Knots, lambda_of, rounded_straight_through, with_noise
from baselines.learned.transforms import SIDE, Features
from ganrev.generator.base import Generator
from ganrev.generator.grid_prior import laplace_bits

_BOTTLENECK = 16  # channels of the features that the correction is read from


class GeneratorEncoder(LearnedModel):
    """An encoder in front of a frozen generator, whose latents are rounded: no reversal (Santurkar et al. 2017).

    It proposes what inverts the generator's linear map, plus a learned correction.

    Args:
        generator: that draws, with a linear map; not a part of the weights.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self._generator = [generator]  # in a list, so that its weights are not taken for this model's
        dim = generator.latent_dim
        self.features = Features()
        self.narrow = nn.Conv2d(Features.channels, _BOTTLENECK, 1)
        self.correction = nn.Linear(_BOTTLENECK * SIDE**2, dim)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)
        steps, wider = generator.latent_step_sizes.log2(), -_first_log2_steps()[:, None]
        self.log2_gains = Knots(wider - steps)
        self.log2_deviations = nn.Parameter(generator.latent_deviations.log2() - steps)
        self.log2_told = Knots(wider.expand(-1, dim))
        self.fixed_codes = FixedCodes(dim)

    @property
    def generator(self) -> Generator:
        """What draws."""
        return self._generator[0]

    def fast_parameters(self) -> list[nn.Parameter]:
        return [*self.log2_gains.parameters(), *self.log2_told.parameters(), self.log2_deviations]

    def propose(self, x: Tensor, guess: Tensor, quality: Tensor) -> Tensor:
        """Return latents float32 [N, D] of pictures, of which the linear map's inverse guesses float32 [N, D]."""
        h = F.leaky_relu(self.narrow(self.features(x, quality)), 0.2)
        return guess + self.correction(h.flatten(1)).float()

    def forward(self, x: Tensor, quality: Tensor, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, enabled=False):
            guess = self.guess(x)
        gains = torch.exp2(self.log2_gains(quality))
        values = self.propose(x, guess, quality) * gains
        deviations = self.log2_deviations + self.log2_told(quality)
        bits = laplace_bits(with_noise(values, rng), deviations).sum(1)
        return self.generator(rounded_straight_through(values) / gains).float(), bits

    def guess(self, x: Tensor) -> Tensor:
        """Return the inverse of the linear map, float32 [N, D]; training replaces it by something faster."""
        return self.generator.invert_linear_map(x)

    @torch.no_grad()
    def symbols(self, x: Tensor, quality: int, rounding: float = 0.5) -> list[np.ndarray]:
        at = quality_tensor(quality)
        values = self.propose(x, self.generator.invert_linear_map(x), at) * torch.exp2(self.log2_gains(at))
        return [to_symbols(values, rounding)]

    def codes(self, quality: int, before: list[np.ndarray]) -> np.ndarray:
        return self.fixed_codes.at(quality)

    @torch.no_grad()
    def draw(self, parts: list[np.ndarray], quality: int) -> Tensor:
        gains = torch.exp2(self.log2_gains(quality_tensor(quality)))
        return self.generator(torch.from_numpy(parts[0]).float()[None] / gains).float()


def _first_log2_steps() -> Tensor:
    """Return what multiplies `Generator.latent_step_sizes` at each knot, [NUM_KNOTS].

    As `ganrev.coding.quantiser.step_size_for` says, of a loss of 2.35 times the curvature of SSIM's.
    """
    return 0.5 * torch.log2(12 / (8 * np.log(2) * 2.35) * lambda_of(knot_qualities()))
