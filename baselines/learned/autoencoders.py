"""Two models that learn their decoder: a compressive autoencoder, and one with a mean-scale hyperprior."""

import numpy as np
import torch
from torch import Tensor, nn

from baselines.learned.model import FixedCodes, LearnedModel, knot_qualities, quality_tensor, to_symbols
from baselines.learned.rates import (
    NUM_KNOTS,
    Knots,
    lambda_of,
    rounded_straight_through,
    with_noise,
)
from baselines.learned.scales import PredictedScales
from baselines.learned.transforms import IMAGE_SIZE, SIDE, Analysis, Stage, Synthesis, block_components
from ganrev.generator.grid_prior import laplace_bits

CHANNELS = 128
HYPER_CHANNELS = 16


class Autoencoder(LearnedModel):
    """A compressive autoencoder: latents at 8 x 8 places, each with a spread of its own (Theis et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(3, IMAGE_SIZE, IMAGE_SIZE))
        self.analysis, self.synthesis = Analysis(CHANNELS), Synthesis(CHANNELS)
        self.log2_gains = Knots(_first_log2_gains().expand(-1, CHANNELS))
        self.make_priors(torch.zeros(CHANNELS))

    def make_priors(self, log2_deviations: Tensor) -> None:
        """Make what says how widely the symbols spread; of latents that spread as float32 [CHANNELS] says."""
        self.log2_deviations = nn.Parameter(log2_deviations.view(-1, 1, 1).expand(-1, SIDE, SIDE).clone())
        self.log2_told = Knots(_first_log2_gains().expand(-1, CHANNELS))
        self.fixed_codes = FixedCodes(CHANNELS * SIDE**2)

    def start_from(self, x: Tensor) -> None:
        """Begin at a block transform of some training faces, float [N, 3, 128, 128] in [-1, 1]."""
        with torch.no_grad():
            self.mean.copy_(x.mean(0))
            rows, deviations = block_components(x - self.mean, CHANNELS)
            self.analysis.blocks.weight.copy_(rows[:, :, None, None])
            self.synthesis.blocks.weight.copy_(rows.T[:, :, None, None])
        self.make_priors(deviations.log2())

    def fast_parameters(self) -> list[nn.Parameter]:
        return [*self.log2_gains.parameters(), *self.log2_told.parameters(), self.log2_deviations]

    def _gained(self, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents [N, C, 8, 8] in symbols, and their gains [N, C, 1, 1]."""
        gains = torch.exp2(self.log2_gains(quality))[:, :, None, None]
        return self.analysis(x - self.mean, quality) * gains, gains

    def forward(self, x: Tensor, quality: Tensor, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        latents, gains = self._gained(x, quality)
        deviations = self.log2_deviations + self.log2_told(quality)[:, :, None, None]
        bits = laplace_bits(with_noise(latents, rng), deviations).flatten(1).sum(1)
        drawn = self.synthesis(rounded_straight_through(latents) / gains, quality) + self.mean
        return drawn, bits

    @torch.no_grad()
    def symbols(self, x: Tensor, quality: int, rounding: float = 0.5) -> list[np.ndarray]:
        return [to_symbols(self._gained(x, quality_tensor(quality))[0], rounding)]

    def codes(self, quality: int, before: list[np.ndarray]) -> np.ndarray:
        return self.fixed_codes.at(quality)

    @torch.no_grad()
    def draw(self, parts: list[np.ndarray], quality: int) -> Tensor:
        latents = torch.from_numpy(parts[0]).float().view(1, CHANNELS, SIDE, SIDE)
        return self._synthesise(latents, quality)

    def _synthesise(self, latents: Tensor, quality: int) -> Tensor:
        at = quality_tensor(quality)
        return self.synthesis(latents / torch.exp2(self.log2_gains(at))[:, :, None, None], at) + self.mean


class Hyperprior(Autoencoder):
    """The autoencoder with a mean-scale hyperprior: hyper-latents say what to expect (Minnen et al. 2018)."""

    num_parts = 2

    def make_priors(self, log2_deviations: Tensor) -> None:
        start = log2_deviations.view(-1, 1, 1).expand(-1, SIDE, SIDE)
        gains = _first_log2_gains().expand(-1, CHANNELS)
        half = SIDE // 2
        self.scales = PredictedScales(CHANNELS, HYPER_CHANNELS, SIDE, start, gains)
        self.hyper_analysis = Stage(nn.Conv2d(CHANNELS, 64, 2, stride=2), 64, half)
        self.hyper_out = nn.Conv2d(64, HYPER_CHANNELS, 3, padding=1)
        self.hyper_synthesis = Stage(nn.ConvTranspose2d(HYPER_CHANNELS, 96, 2, stride=2), 96, SIDE)
        self.mean_out = nn.Conv2d(96, CHANNELS, 1)
        nn.init.zeros_(self.mean_out.weight)
        nn.init.zeros_(self.mean_out.get_parameter("bias"))
        self.hyper_deviations = nn.Parameter(torch.zeros(HYPER_CHANNELS, half, half))
        self.hyper_told = Knots(torch.zeros(NUM_KNOTS, HYPER_CHANNELS))
        self.fixed_codes = FixedCodes(HYPER_CHANNELS * half**2)

    def fast_parameters(self) -> list[nn.Parameter]:
        scales = [self.scales.place, *self.scales.told.parameters()]
        return [*self.log2_gains.parameters(), *scales, self.hyper_deviations, *self.hyper_told.parameters()]

    def _hyper(self, latents: Tensor, quality: Tensor) -> Tensor:
        """Return hyper-latents [N, H, 4, 4] of latents in symbols."""
        return 4 * self.hyper_out(self.hyper_analysis(torch.asinh(latents), quality)).float()

    def _means(self, hyper: Tensor, quality: Tensor) -> Tensor:
        """Return what is expected of latents, in symbols at a gain of one, [N, C, 8, 8]."""
        return self.mean_out(self.hyper_synthesis(hyper / 4, quality)).float()

    def forward(self, x: Tensor, quality: Tensor, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        latents, gains = self._gained(x, quality)
        hyper = self._hyper(latents, quality)
        spread = self.hyper_deviations + self.hyper_told(quality)[:, :, None, None]
        bits = laplace_bits(with_noise(hyper, rng), spread).flatten(1).sum(1)
        rounded = rounded_straight_through(hyper)
        with torch.autocast(x.device.type, enabled=False):
            deviations = self.scales(rounded, quality)
        rest = latents - self._means(rounded, quality) * gains
        bits = bits + laplace_bits(with_noise(rest, rng), deviations).flatten(1).sum(1)
        drawn = self.synthesis((rounded_straight_through(rest) + latents - rest) / gains, quality) + self.mean
        return drawn, bits

    @torch.no_grad()
    def symbols(self, x: Tensor, quality: int, rounding: float = 0.5) -> list[np.ndarray]:
        latents, gains = self._gained(x, quality_tensor(quality))
        hyper = to_symbols(self._hyper(latents, quality_tensor(quality)), 0.5)
        return [hyper, to_symbols(latents - self._expected(hyper, quality, gains), rounding)]

    def _expected(self, hyper: np.ndarray, quality: int, gains: Tensor) -> Tensor:
        values = torch.from_numpy(hyper).float().view(1, HYPER_CHANNELS, SIDE // 2, SIDE // 2)
        return self._means(values, quality_tensor(quality)) * gains

    def codes(self, quality: int, before: list[np.ndarray]) -> np.ndarray:
        return self.scales.codes(before[0], quality) if before else self.fixed_codes.at(quality)

    @torch.no_grad()
    def draw(self, parts: list[np.ndarray], quality: int) -> Tensor:
        hyper, rest = parts
        gains = torch.exp2(self.log2_gains(quality_tensor(quality)))[:, :, None, None]
        latents = torch.from_numpy(rest).float().view(1, CHANNELS, SIDE, SIDE)
        return self._synthesise(latents + self._expected(hyper, quality, gains), quality)


def _first_log2_gains() -> Tensor:
    """Return gains of a block transform that suit each knot, [NUM_KNOTS, 1]: at 2.5e-4 a byte, steps of 0.47."""
    return 0.5 * torch.log2(2.5e-4 / lambda_of(knot_qualities()))[:, None] - float(np.log2(0.47))
