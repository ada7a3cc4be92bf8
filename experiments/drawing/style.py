"""The style of all figures, the lines of their curves, and the files that figures are written to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from ganrev.evaluation.provenance import current_commit

STYLE: dict[Any, Any] = dict(
    mpl.rc_params_from_file(Path(__file__).with_name("figures.mplstyle"), use_default_template=False)
)
COLUMN = 3.5  # inches, one column of a page
PAGE = 7.2  # both

# Lines that are told apart without colour: by marker, dashes, and how dark they are (colours of Okabe and Ito).
_COLOURS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#a07000", "#56b4e9", "#777777")
_MARKERS = "os^Dv<>P"
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1.2, 1.2)), (0, (6, 2, 1, 2, 1, 2)))


@dataclass(frozen=True)
class Origin:
    """What a figure's metadata says of it.

    Attributes:
        command: that draws it.
        commit: of the code; None where it is unknown.
    """

    command: str
    commit: str | None

    def __str__(self) -> str:
        return f"{self.command}; commit {self.commit or 'unknown'}"


def origin_of(command: str) -> Origin:
    """Return what the metadata of a figure says that a command draws now."""
    return Origin(command, current_commit())


def line_style(number: int) -> dict[str, Any]:
    """Return matplotlib's keywords of the curve of a number, from 0."""
    turn, place = divmod(number, len(_MARKERS))
    return {
        "color": _COLOURS[place],
        "marker": _MARKERS[place],
        "markerfacecolor": "white" if turn % 2 else _COLOURS[place],
        "linestyle": _DASHES[number % len(_DASHES)],
    }


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, in the style of all; its parts keep clear of each other."""
    with mpl.rc_context(STYLE):
        return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, folder: Path, name: str, origin: Origin) -> list[Path]:
    """Write `<name>.png` and `<name>.pdf`; returns their paths. The same figure gives the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png", folder / f"{name}.pdf"]
    with mpl.rc_context(STYLE):
        figure.savefig(paths[0], metadata={"Title": name, "Source": str(origin), "Software": "ganrev"})
        figure.savefig(
            paths[1], metadata={"Title": name, "Subject": str(origin), "Creator": "ganrev", "CreationDate": None}
        )
    return paths
