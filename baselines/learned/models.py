"""The models of the family. Each turns a picture into parts of whole numbers, says how widely they spread, and draws.

Later parts may spread as earlier ones say; a decoder reads them in that order.
"""

from abc import ABC, abstractmethod
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.learned.rates import (
    NUM_KNOTS,
    SPACING,
    Knots,
    lambda_of,
    laplace_bits,
    rounded_straight_through,
    whole_between_knots,
    with_noise,
)
from baselines.learned.scales import PredictedScales
from baselines.learned.transforms import IMAGE_SIZE, SIDE, Analysis, Features, Stage, Synthesis, block_components
from ganrev.coding.quantiser import SYMBOL_LIMIT
from ganrev.generator.base import Generator

CHANNELS = 128
HYPER_CHANNELS = 16
_BOTTLENECK = 16  # channels of the features that an encoder in front of a generator reads its correction from

Kind = Literal["autoencoder", "hyperprior", "encoder", "adversarial"]


class LearnedModel(nn.Module, ABC):
    """What training and coding ask of each model.

    Attributes:
        num_parts: of the symbols of one picture.
    """

    num_parts = 1

    @abstractmethod
    def forward(self, x: Tensor, quality: Tensor, rng: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return redrawn pictures and estimated bits, for training.

        Args:
            x: pictures, float [N, 3, 128, 128] in [-1, 1].
            quality: of each, float [N] from 0 to 100.
            rng: of the noise in the estimate.

        Returns:
            float32 [N, 3, 128, 128], not clamped, and float32 [N].
        """

    @abstractmethod
    def symbols(self, x: Tensor, quality: int, rounding: float = 0.5) -> list[np.ndarray]:
        """Return the parts of one picture, each int32 [D].

        Args:
            x: the picture, float32 [1, 3, 128, 128] in [-1, 1].
            quality: from 0 to 100.
            rounding: what is added to a magnitude before its fraction is dropped; below 0.5 it rounds towards zero.
        """

    @abstractmethod
    def codes(self, quality: int, before: list[np.ndarray]) -> np.ndarray:
        """Return the scale codes, int64 [D], of the part after those before: the same on every machine."""

    @abstractmethod
    def draw(self, parts: list[np.ndarray], quality: int) -> Tensor:
        """Return one picture, float32 [1, 3, 128, 128] in [-1, 1] and not clamped, of all its parts."""

    def fast_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that training moves in larger steps."""
        return []


class FixedCodes(nn.Module):
    """Scale codes of symbols that nothing decoded before tells of, measured after the training.

    Args:
        num_symbols: D.
    """

    def __init__(self, num_symbols: int) -> None:
        super().__init__()
        self.table: Tensor
        self.register_buffer("table", torch.zeros(NUM_KNOTS, num_symbols))  # whole, so exact in float16, too

    def at(self, quality: int) -> np.ndarray:
        """Return int64 [D]."""
        return whole_between_knots(self.table.round().long().cpu().numpy(), quality)


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
        return [_to_symbols(self._gained(x, _tensor(quality))[0], rounding)]

    def codes(self, quality: int, before: list[np.ndarray]) -> np.ndarray:
        return self.fixed_codes.at(quality)

    @torch.no_grad()
    def draw(self, parts: list[np.ndarray], quality: int) -> Tensor:
        latents = torch.from_numpy(parts[0]).float().view(1, CHANNELS, SIDE, SIDE)
        return self._synthesise(latents, quality)

    def _synthesise(self, latents: Tensor, quality: int) -> Tensor:
        at = _tensor(quality)
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
        latents, gains = self._gained(x, _tensor(quality))
        hyper = _to_symbols(self._hyper(latents, _tensor(quality)), 0.5)
        return [hyper, _to_symbols(latents - self._expected(hyper, quality, gains), rounding)]

    def _expected(self, hyper: np.ndarray, quality: int, gains: Tensor) -> Tensor:
        values = torch.from_numpy(hyper).float().view(1, HYPER_CHANNELS, SIDE // 2, SIDE // 2)
        return self._means(values, _tensor(quality)) * gains

    def codes(self, quality: int, before: list[np.ndarray]) -> np.ndarray:
        return self.scales.codes(before[0], quality) if before else self.fixed_codes.at(quality)

    @torch.no_grad()
    def draw(self, parts: list[np.ndarray], quality: int) -> Tensor:
        hyper, rest = parts
        gains = torch.exp2(self.log2_gains(_tensor(quality)))[:, :, None, None]
        latents = torch.from_numpy(rest).float().view(1, CHANNELS, SIDE, SIDE)
        return self._synthesise(latents + self._expected(hyper, quality, gains), quality)


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
        at = _tensor(quality)
        values = self.propose(x, self.generator.invert_linear_map(x), at) * torch.exp2(self.log2_gains(at))
        return [_to_symbols(values, rounding)]

    def codes(self, quality: int, before: list[np.ndarray]) -> np.ndarray:
        return self.fixed_codes.at(quality)

    @torch.no_grad()
    def draw(self, parts: list[np.ndarray], quality: int) -> Tensor:
        gains = torch.exp2(self.log2_gains(_tensor(quality)))
        return self.generator(torch.from_numpy(parts[0]).float()[None] / gains).float()


def _tensor(quality: int) -> Tensor:
    return torch.tensor([float(quality)])


def _to_symbols(values: Tensor, rounding: float) -> np.ndarray:
    """Round float [1, ...] to int32 [D], within 16 bits."""
    whole = values.sign() * (values.abs() + rounding).floor()
    return whole.clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT).flatten().to(torch.int32).numpy()


def _knot_qualities() -> Tensor:
    return torch.arange(NUM_KNOTS, dtype=torch.float32) * SPACING


def _first_log2_gains() -> Tensor:
    """Return gains of a block transform that suit each knot, [NUM_KNOTS, 1]: at 2.5e-4 a byte, steps of 0.47."""
    return 0.5 * torch.log2(2.5e-4 / lambda_of(_knot_qualities()))[:, None] - float(np.log2(0.47))


def _first_log2_steps() -> Tensor:
    """Return what multiplies `Generator.latent_step_sizes` at each knot, [NUM_KNOTS].

    As `ganrev.coding.quantiser.step_size_for` says, of a loss of 2.35 times the curvature of SSIM's.
    """
    return 0.5 * torch.log2(12 / (8 * np.log(2) * 2.35) * lambda_of(_knot_qualities()))
