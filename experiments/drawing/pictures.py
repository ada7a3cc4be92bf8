"""Pictures side by side with the size of their files, and the loss of a reversal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from torch import Tensor

from experiments.drawing.style import PAGE, STYLE, line_style

_LOSSES = {
    "SSIM": "1 - SSIM",
    "MSSSIM": "1 - MS-SSIM",
    "MSE": "mean squared error",
    "L1": "mean absolute error",
    "WeightedSum": "a weighted sum",
}


@dataclass(frozen=True)
class Panel:
    """One picture of a figure.

    Attributes:
        label: its title.
        image: uint8 [3, H, W].
        num_bytes: of its file, the whole of it; None for a picture that has none.
        psnr: in dB against the original, infinite if they are equal; None where it is not shown.
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
        elif self.ssim is not None:
            lines.append(f"SSIM {self.ssim:.3f}")
            lines += [] if self.psnr is None else [f"PSNR {self.psnr:.2f} dB"]
        return "\n".join(lines)


@dataclass(frozen=True)
class UnderWay:
    """A reversal under way.

    Attributes:
        original: the picture at the generator's size.
        steps: of the pictures under way.
        under_way: their pictures, in the order of `steps`, of each restart that is shown.
        decoded: the picture that the file draws.
        losses: float32 [R, num_steps], of each restart; NaN once it has left.
        chosen: the restart that was kept.
        loss_name: of the loss that was descended.
    """

    original: Panel
    steps: list[int]
    under_way: dict[int, list[Panel]]
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


def draw_reversal(shown: UnderWay) -> Figure:
    """Draw the pictures under way, between the original and the decoded file, over the curve of the loss.

    Where several restarts are shown, each has a row of its own, and a line.
    """
    if len(shown.under_way) == 1:
        strips = [[shown.original, *panels, shown.decoded] for panels in shown.under_way.values()]
        names, room = [""], 0.5
    else:
        strips = [_bare(panels, first=number == 0) for number, panels in enumerate(shown.under_way.values())]
        names, room = [_name_of(restart, shown) for restart in shown.under_way], 0.2
    side = PAGE / len(strips[0])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, (side + room) * len(strips) + 1.9), layout="constrained")
        ratios = [side + room] * len(strips) + [1.9]
        grid = figure.add_gridspec(len(strips) + 1, len(strips[0]), height_ratios=ratios)
        for row, (name, panels) in enumerate(zip(names, strips, strict=True)):
            for column, panel in enumerate(panels):
                ax = figure.add_subplot(grid[row, column])
                _show(ax, panel)
                if column == 0:
                    ax.set_ylabel(name)
        _draw_losses(figure.add_subplot(grid[-1, :]), shown)
    return figure


def _bare(panels: Sequence[Panel], first: bool) -> list[Panel]:
    """Return panels with an SSIM alone below them, and the step above those of the first row alone."""
    return [replace(panel, label=panel.label if first else "", psnr=None) for panel in panels]


def _name_of(restart: int, shown: UnderWay) -> str:
    return f"restart {restart}, kept" if restart == shown.chosen else f"restart {restart}"


def _draw_losses(ax: Axes, shown: UnderWay) -> None:
    """Draw the loss of each restart, that of the kept one last and black."""
    num_steps = shown.losses.shape[1]
    named = len(shown.under_way) > 1
    others = [restart for restart in range(len(shown.losses)) if restart != shown.chosen]
    for number, restart in enumerate(others, start=1):
        style = line_style(number) if named else {"color": "0.75"}
        ax.plot(shown.losses[restart], **style | {"marker": "", "linewidth": 0.9}, label=f"restart {restart}")
    kept = shown.losses[shown.chosen]
    ax.plot(kept, color="black", linewidth=1.1, label=_name_of(shown.chosen, shown))
    at = np.minimum(shown.steps, num_steps - 1)
    ax.plot(shown.steps, kept[at], "o", color="black", markersize=3.5, clip_on=False)
    ax.set_xscale("symlog", linthresh=1, linscale=0.4)  # logarithmic, with room for step 0
    ax.set_xlim(0, num_steps)
    ax.set_xticks(shown.steps, minor=False)
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    ax.set_xlabel("step")
    ax.set_ylabel(f"loss, {_LOSSES.get(shown.loss_name, shown.loss_name)}")
    if named:
        ax.legend(ncols=2)
        return
    grey = "; grey: the other restarts" if others else ""
    ax.set_title(f"loss of the picture under way{grey}", loc="left", pad=3)


def draw_failures(pairs: Sequence[tuple[Panel, Panel]]) -> Figure:
    """Draw originals above what their files draw, the worst first."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 2 * PAGE / len(pairs) + 0.75), layout="constrained")
        for axes, (original, decoded) in zip(figure.subplots(2, len(pairs), squeeze=False).T, pairs, strict=True):
            _show(axes[0], original)
            _show(axes[1], decoded)
    return figure
