"""What curves show of a run: its measures, their names on axes and in tables."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One measure of decoded pictures.

    Attributes:
        key: column of a run's rows.
        name: at the head of a table.
        axis: on an axis, with its unit.
        digits: that are shown.
        more_is_better: whether it grows with quality.
    """

    key: str
    name: str
    axis: str
    digits: int
    more_is_better: bool = True


MEASURES = (
    Measure("psnr", "PSNR, dB", "PSNR, dB", 2),
    Measure("ssim", "SSIM", "SSIM", 3),
    Measure("ms_ssim", "MS-SSIM", "MS-SSIM, four scales", 3),
    Measure("ssimulacra2", "SSIMULACRA2", "SSIMULACRA2", 1),
    Measure("stlpips", "ST-LPIPS", "ST-LPIPS (VGG), less is better", 3, more_is_better=False),
    Measure("delta_e", "ΔE", "ΔE2000, less is better", 2, more_is_better=False),
    Measure("identity", "identity", "identity, less is better", 3, more_is_better=False),
)
