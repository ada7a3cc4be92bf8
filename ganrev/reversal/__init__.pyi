from .descent import Descent
from .device import Device
from .losses import L1, MSE, MSSSIM, SSIM, WeightedSum
from .perceptual import STLPIPS
from .reversing import ReversalResult, lane_rng, reverse
from .settings import Reversal
from .trace import Trace

__all__ = [
    "L1",
    "MSE",
    "MSSSIM",
    "SSIM",
    "STLPIPS",
    "Descent",
    "Device",
    "Reversal",
    "ReversalResult",
    "Trace",
    "WeightedSum",
    "lane_rng",
    "reverse",
]
