"""ST-LPIPS, a learned perceptual distance whose weights travel in a wheel (extra `perceptual`).

Source: Ghildyal and Liu, "Shift-tolerant perceptual similarity metric", ECCV 2022. The VGG variant scores, the
AlexNet variant may be optimised; a picture is never scored by the network that was optimised.
"""

from functools import cache
from importlib.util import find_spec
from typing import Literal

import torch
from torch import Tensor, nn

from ganrev.compat import import_torchvision
from ganrev.configuration.options import checked_options

SMALLEST = {"vgg": 18, "alex": 21}  # side in pixels that a network can still pad and shrink
INSTALL = "pip install 'ganrev[perceptual]'"


def is_available() -> bool:
    """Return whether the extra `perceptual` is installed."""
    return all(find_spec(name) for name in ("stlpips_pytorch", "IPython", "torchsummary"))


class STLPIPS(nn.Module):
    """Shift-tolerant LPIPS between pictures in [-1, 1]; forward returns [N].

    Raises:
        ValueError: the extra `perceptual` is not installed, there is no such network, or pictures are too small for it.
    """

    curvature = 0.25  # see ganrev.reversal.losses

    @checked_options("loss.")
    def __init__(self, net: Literal["alex", "vgg"] = "alex") -> None:
        super().__init__()
        if not is_available():
            raise ValueError(f"ST-LPIPS needs its extra: {INSTALL}")
        self.net = net
        import_torchvision()
        from stlpips_pytorch import stlpips

        self.metric = stlpips.LPIPS(net=net, variant="shift_tolerant", verbose=False)
        self.metric.eval().requires_grad_(False)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        if min(x.shape[-2:]) < SMALLEST[self.net]:
            raise ValueError(
                f"ST-LPIPS ({self.net}) needs pictures of at least {SMALLEST[self.net]} pixels a side, got "
                f"{x.shape[-2]} x {x.shape[-1]}; use loss=ssim, or loss=mse, for smaller ones"
            )
        # Reflection padding is very slow on channels_last bfloat16.
        return self.metric(x.contiguous(), target.contiguous()).flatten()


@cache
def _scorer() -> STLPIPS:
    """Return the VGG variant; reading its weights takes longer than scoring ten pictures."""
    return STLPIPS("vgg")


@torch.no_grad()
def perceptual_distances(x: Tensor, target: Tensor, batch_size: int = 25) -> Tensor:
    """Return the VGG distance of each pair, float32 [N]; x and target [N, 3, H, W] in [-1, 1]."""
    metric = _scorer()
    pairs = zip(x.split(batch_size), target.split(batch_size), strict=True)
    return torch.cat([metric(a, b) for a, b in pairs])
