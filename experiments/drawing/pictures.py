"""Pictures side by side with the size of their files, and the loss of a reversal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from torch import Tensor

from experiments.drawing.style import PAGE, STYLE

_LOSSES = {"SSIM": "1 - SSIM", "MSSSIM": "1 - MS-SSIM", "MSE": "mean squared error", "L1": "mean absolute error"}


@dataclass(frozen=True)
class Panel:
    """One picture of a figure.

    Attributes:
        label: its title.
        image: uint8 [3, H, W].
        num_bytes: of its file, the whole of it; None for a picture that has none.
        psnr: in dB against the original, infinite if they are equal; None for the original itself.
        ssim: likewise.
    """

    label: str
    image: Tensor
    num_bytes: int | None = None
    psnr: float | None = None
    ssim: float | None = None

    @property
    def caption(self) -> str:
        """Bytes and scores, a line each."""
        lines = [] if self.num_bytes is None else [f"{self.num_bytes:,} bytes"]
        if self.psnr is not None and math.isinf(self.psnr):
            lines.append("lossless")
        elif self.psnr is not None:
            lines += [f"SSIM {self.ssim:.3f}", f"PSNR {self.psnr:.2f} dB"]
        return "\n".join(lines)


@dataclass(frozen=True)
class ReversalUnderWay:
    """What Figure 1 shows.

    Attributes:
        original: the picture at the generator's size.
        steps: of the pictures under way.
        under_way: their pictures, in the order of `steps`.
        decoded: the picture that the file draws.
        losses: float32 [R, num_steps], of each restart.
        chosen: the restart that was kept.
        loss_name: of the loss that was descended.
    """

    original: Panel
    steps: list[int]
    under_way: list[Panel]
    decoded: Panel
    losses: np.ndarray
    chosen: int
    loss_name: str


def _show(ax: Axes, panel: Panel) -> None:
    # Pixels stay pixels, in the PDF too.
    ax.imshow(panel.image.permute(1, 2, 0).numpy(), interpolation="none")
    ax.set_title(panel.label, pad=3)
    ax.set_xlabel(panel.caption, labelpad=3, linespacing=1.3)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def draw_comparison(panels: Sequence[Panel]) -> Figure:
    """Draw pictures in a row; one of another size than the first says so."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, PAGE / len(panels) + 0.75), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, panel in zip(axes, panels, strict=True):
            _show(ax, panel)
            height, width = panel.image.shape[-2:]
            if (height, width) != tuple(panels[0].image.shape[-2:]):
                ax.set_xlabel(f"{panel.caption}\n{width} x {height} pixels")
    return figure


def draw_reversal(shown: ReversalUnderWay) -> Figure:
    """Draw the pictures under way, between the original and the decoded file, over the curve of the loss."""
    panels = [shown.original, *shown.under_way, shown.decoded]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, PAGE / len(panels) + 2.4), layout="constrained")
        grid = figure.add_gridspec(2, len(panels), height_ratios=[PAGE / len(panels) + 0.5, 1.9])
        for i, panel in enumerate(panels):
            _show(figure.add_subplot(grid[0, i]), panel)
        _draw_losses(figure.add_subplot(grid[1, :]), shown)
    return figure


def _draw_losses(ax: Axes, shown: ReversalUnderWay) -> None:
    num_steps = shown.losses.shape[1]
    for restart, losses in enumerate(shown.losses):
        if restart != shown.chosen:
            ax.plot(losses, color="0.75", linewidth=0.8)
    kept = shown.losses[shown.chosen]
    ax.plot(kept, color="black", linewidth=1)
    at = np.minimum(shown.steps, num_steps - 1)
    ax.plot(shown.steps, kept[at], "o", color="black", markersize=3.5, clip_on=False)
    ax.set_xscale("symlog", linthresh=1, linscale=0.4)  # logarithmic, with room for step 0
    ax.set_xlim(0, num_steps)
    ax.set_xticks(shown.steps, minor=False)
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    ax.set_xlabel("step")
    name = _LOSSES.get(shown.loss_name, shown.loss_name)
    others = "; grey: the other restarts" if len(shown.losses) > 1 else ""
    ax.set_ylabel(f"loss, {name}")
    ax.set_title(f"loss of the picture under way{others}", loc="left", pad=3)
