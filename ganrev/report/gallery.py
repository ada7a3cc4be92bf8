"""The report's pictures: codecs side by side for each, and the worst of each run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ganrev.report.matching import Matched
from ganrev.report.pictures import PixelStore
from ganrev.report.reported import MEASURES, ReportedRun
from ganrev.report.scores import write_number

_NUM_WORST = 5


@dataclass(frozen=True)
class Shown:
    """What one codec makes of one picture.

    Attributes:
        run: of the codec.
        name: of the picture.
        anchor: address within the page.
        pixels: key of the decoded picture.
        num_bytes: of its file.
        scores: name and value of each measure.
    """

    run: ReportedRun
    name: str
    anchor: str
    pixels: str
    num_bytes: int
    scores: list[tuple[str, str]]


@dataclass(frozen=True)
class Pairing:
    """Two files of nearly equal size, to be shown in the slider.

    Attributes:
        left, right: the files of two codecs.
        num_bytes: the size that was asked for.
        apart: how far their sizes differ, in words.
    """

    left: Shown
    right: Shown
    num_bytes: int
    apart: str


@dataclass(frozen=True)
class Picture:
    """One picture and what the codecs make of it.

    Attributes:
        anchor: address within the page; its name, unless another set of pictures has that name.
        side: of the picture, in pixels.
        original: key of the original; empty where it is not at hand.
        shown: one for each codec that has it.
        pairings: files of nearly equal size.
    """

    anchor: str
    side: int
    original: str
    shown: list[Shown]
    pairings: list[Pairing] = field(default_factory=list)


@dataclass(frozen=True)
class Worst:
    """The worst pictures of a run by one measure: each with its value."""

    run: ReportedRun
    shown: list[tuple[Shown, str]]


def make_pictures(
    runs: Sequence[ReportedRun],
    originals: Mapping[str, Tensor],
    matched: Sequence[Matched],
    store: PixelStore,
    suffix: str = "",
) -> list[Picture]:
    """Return the pictures of runs on the same ones.

    Args:
        runs: of the codecs.
        originals: uint8 [3, H, W] by name, those that are at hand.
        matched: files of the sizes that are asked for.
        store: keeps the pixels.
        suffix: is added to names in anchors, where another set of pictures has the same.
    """
    pictures = []
    for name in dict.fromkeys(name for run in runs for name in run.rows.index):
        anchor = f"{name}{suffix}"
        shown = [_show(run, name, anchor, store) for run in runs if name in run.rows.index]
        original = store.add(originals[name]) if name in originals else ""
        pairings = [pairing for sizes in matched for pairing in _pair(sizes, name, shown)]
        pictures.append(Picture(anchor, shown[0].run.summary["image_size"], original, shown, pairings))
    return pictures


def _show(run: ReportedRun, name: str, anchor: str, store: PixelStore) -> Shown:
    row = run.rows.loc[name]
    scores = [
        (MEASURES[key][0], f"{write_number(float(row[key]), MEASURES[key][2])} {MEASURES[key][1]}".strip())
        for key in run.measures
        if key != "num_bytes"
    ]
    pixels = store.add(run.folder.decoded(name))
    return Shown(run, name, f"{anchor}/{run.anchor}", pixels, int(row["num_bytes"]), scores)


def _pair(sizes: Matched, name: str, shown: Sequence[Shown]) -> list[Pairing]:
    """Pair the first codec's file with those of each other codec at a size."""
    by_run = {one.run.name: one for one in shown}
    found = [by_run[file.run.name] for file in sizes.files.get(name, {}).values()]
    return [
        Pairing(found[0], other, sizes.num_bytes, f"{100 * (other.num_bytes / found[0].num_bytes - 1):+.1f} %")
        for other in found[1:]
    ]


def find_worst(runs: Sequence[ReportedRun], pictures: Sequence[Picture]) -> dict[str, list[Worst]]:
    """Return, for each measure, the worst five pictures of each run; none of a run that is lossless."""
    by_run = {(one.run.name, one.name): one for picture in pictures for one in picture.shown}
    worst: dict[str, list[Worst]] = {}
    for measure, (_, _, digits, more_is_better) in MEASURES.items():
        for run in (run for run in runs if measure in run.measures):
            if measure != "num_bytes" and bool((run.rows["mse"] == 0).all()):
                continue
            ordered = run.rows[measure].sort_values(ascending=more_is_better, kind="stable")
            ordered = ordered[ordered < math.inf].head(_NUM_WORST)
            chosen = [
                (by_run[run.name, str(name)], write_number(float(value), digits if measure != "num_bytes" else 0))
                for name, value in ordered.items()
            ]
            worst.setdefault(measure, []).append(Worst(run, chosen))
    return worst
