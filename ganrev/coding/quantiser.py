"""From latents to integer symbols and back."""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ganrev.configuration.options import CountOrZero, Positive, checked_options

_COARSER = 1.6  # factor on the step size of high-rate theory; chosen on validation faces
SYMBOL_LIMIT = 32767  # symbols fit int16, even where a lane diverged

StepOrFloats = Annotated[Positive | None, Field(description="a positive number, or null for float32 latents")]
Step = Annotated[Positive, Field(description="a positive number (quant=none keeps float32 latents)")]


@dataclass(frozen=True)
class Effort:
    """How long to search for symbols.

    Attributes:
        num_steps: of gradient descent through rounding.
        lr: of that descent, in units of symbols, so that it suits every step size.
        num_rounds: of the changes of single symbols that follow (`ganrev.codecs.symbol_search.polish`).
    """

    num_steps: int
    lr: float
    num_rounds: int


class Quantiser:
    """Rounds latents to multiples of one step size.

    Args:
        step: distance between neighbouring values after `latent_scale`, or None to keep float32 latents. The
            paper's `standard` is 0.1, its `extreme` 1.

    Raises:
        ValueError: the step is not a positive number.
    """

    scaled = False
    effort: Effort | None = None
    lmbda = 0.0

    @checked_options("quant.")
    def __init__(self, step: StepOrFloats) -> None:
        self.step = step

    def stored_step_size(self, latent_scale: float, curvature: float) -> float:
        """Return the step size in units of z, as the file stores it (float32); 0 for no quantisation.

        Args:
            latent_scale: factor on z before rounding.
            curvature: of the loss, relative to SSIM's; only `quant=rd` needs it.

        Raises:
            ValueError: a step size so small or so large that float32 does not hold it.
        """
        if self.step is None:
            return 0.0
        step_size = self.step / latent_scale
        limits = np.finfo(np.float32)
        if not float(limits.tiny) <= step_size <= float(limits.max):
            raise ValueError(f"quant.step / latent_scale = {step_size} cannot be stored as float32; give another step")
        return float(np.float32(step_size))


class ScaledQuantiser(Quantiser):
    """Rounds each latent to multiples of a step size of its own; all of them are equally visible in the picture.

    The generator ships how far each latent must move for that (`Generator.latent_step_sizes`); latents
    that are hardly visible get step sizes so wide that they round to zero and cost nothing.

    Args:
        step: multiplies them all: the one number that sets the rate. `latent_scale` has no effect.

    Raises:
        ValueError: the step is not a positive number.
    """

    scaled = True

    @checked_options("quant.")
    def __init__(self, step: Step) -> None:
        super().__init__(step)

    def stored_step_size(self, latent_scale: float, curvature: float) -> float:
        """Return the step size as the file stores it: bfloat16, a float32 of 16 bits; arguments as for `Quantiser`.

        Raises:
            ValueError: a step size so small or so large that it cannot be stored.
        """
        return _sixteen_bits(super().stored_step_size(1.0, curvature))


class RateDistortion(ScaledQuantiser):
    """Chooses symbols for the picture that the decoder will draw and for what they cost: minimises D + lambda R.

    D is the loss, R the bytes of the file. Needs `entropy=range` with the model `fitted` or `prior`, whose code
    lengths are known before anything is written.

    Args:
        lmbda: what a byte may cost, in units of the loss: the one number that sets the rate.
        step: as in `quant=scaled`; None for what suits `lmbda` and the loss (`step_size_for`).
        steps: of gradient descent through rounding.
        lr: of that descent, in units of z.
        rounds: of the search over symbols that follows.

    Raises:
        ValueError: a number out of range.
    """

    @checked_options("quant.")
    def __init__(
        self,
        lmbda: Positive,
        step: Positive | None = None,
        steps: CountOrZero = 80,
        lr: Positive = 0.05,
        rounds: CountOrZero = 30,
    ) -> None:
        super().__init__(1.0 if step is None else step)
        self.follows_lmbda = step is None
        self.lmbda, self.effort = lmbda, Effort(steps, lr, rounds)

    def stored_step_size(self, latent_scale: float, curvature: float) -> float:
        """Return the step size as the file stores it; arguments and errors as for `ScaledQuantiser`."""
        if self.follows_lmbda:
            return step_size_for(self.lmbda, curvature)
        return super().stored_step_size(latent_scale, curvature)


def step_size_for(lmbda: float, curvature: float) -> float:
    """Return the step size of `quant=scaled` that suits a loss of `lmbda` per byte, as a file stores it.

    Take step sizes that each change D equally. Multiplied by s they raise the loss by c s^2 / 24 per latent, c its
    curvature, and halving s costs a bit: the two balance where c s^2 = 12 (lambda / 8) / ln 2 (high-rate theory; Gersho
    and Gray 1992, chapter 5).
    """
    return _sixteen_bits(_COARSER * math.sqrt(12 * lmbda / (8 * math.log(2) * curvature)))


def _sixteen_bits(step_size: float) -> float:
    return float(torch.tensor(step_size).bfloat16())


def quantise(z: Tensor, step_size: float | Tensor) -> Tensor:
    """Round latents to symbols.

    Args:
        z: float [..., D].
        step_size: in units of z, of all latents or of each [D]; the number 0 keeps the latents.

    Returns:
        int32 symbols of the same shape, clamped to what int16 holds, or float32 latents where it is 0.
    """
    if isinstance(step_size, float) and step_size == 0:
        return z.float()
    return (z / step_size).round().clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT).to(torch.int32)


def dequantise(symbols: Tensor, step_size: float | Tensor) -> Tensor:
    """Return float32 latents for int32 symbols; float32 latents pass through where the step size is the number 0."""
    keep = isinstance(step_size, float) and step_size == 0
    return symbols.float() if keep else symbols.float() * step_size
