"""From latents to integer symbols and back."""

import numpy as np
import torch
from torch import Tensor

from ganrev.options import is_number

SYMBOL_LIMIT = 32767  # symbols fit int16, even where a lane diverged


class Quantiser:
    """Rounds latents to multiples of one step.

    Args:
        step: distance between neighbouring values after `latent_scale`, or None to keep float32 latents. The
            paper's `standard` is 0.1, its `extreme` 1.

    Raises:
        ValueError: the step is not a positive number.
    """

    def __init__(self, step: float | None) -> None:
        if step is not None and not (is_number(step) and step > 0):
            raise ValueError(f"quant.step must be a positive number, or null for float32 latents, got {step!r}")
        self.step = step

    def step_in_z(self, latent_scale: float) -> float:
        """Return the step in units of z, as the file stores it (float32); 0 for no quantisation.

        Raises:
            ValueError: a step so small or so large that float32 does not hold it.
        """
        if self.step is None:
            return 0.0
        step = self.step / latent_scale
        limits = np.finfo(np.float32)
        if not float(limits.tiny) <= step <= float(limits.max):
            raise ValueError(f"quant.step / latent_scale = {step} cannot be stored as float32; give another step")
        return float(np.float32(step))


def quantise(z: Tensor, step: float) -> Tensor:
    """Round latents to symbols.

    Args:
        z: float [..., D].
        step: in units of z; 0 keeps the latents.

    Returns:
        int32 symbols of the same shape, clamped to what int16 holds, or float32 latents where step is 0.
    """
    if step == 0:
        return z.float()
    return (z / step).round().clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT).to(torch.int32)


def dequantise(symbols: Tensor, step: float) -> Tensor:
    """Return float32 latents for int32 symbols; float32 latents pass through where step is 0."""
    return symbols.float() if step == 0 else symbols.float() * step
