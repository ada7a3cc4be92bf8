"""Files of nearly equal size, so that what is compared costs the same."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ganrev.report.reported import ReportedRun

TOLERANCE = 0.1  # of the size asked for
_WITHIN = f"{100 * TOLERANCE:.0f} %"


@dataclass(frozen=True)
class File:
    """The file of one codec for one picture.

    Attributes:
        run: that has it.
        num_bytes: its size.
    """

    run: ReportedRun
    num_bytes: int


@dataclass(frozen=True)
class Matched:
    """Files of about one size.

    Attributes:
        num_bytes: the size that was asked for.
        files: by picture, then by kind of codec: the file that comes nearest, if that is near enough.
        missing: by kind of codec, the nearest size that it has of the first picture it misses; kinds without any file
            near enough among them.
    """

    num_bytes: int
    files: dict[str, dict[str, File]]
    missing: dict[str, int]

    @property
    def kinds(self) -> list[str]:
        """Codecs that have a file for some picture."""
        return list(dict.fromkeys(kind for files in self.files.values() for kind in files))

    @property
    def spreads(self) -> list[float]:
        """How far sizes differ, largest over smallest less 1, of each picture with two files or more."""
        sizes = [[file.num_bytes for file in files.values()] for files in self.files.values() if len(files) > 1]
        return [max(one) / min(one) - 1 for one in sizes]

    @property
    def notes(self) -> list[str]:
        """What must be known: how far sizes differ, and which codec has no such file."""
        spreads = self.spreads
        lines = []
        if spreads:
            mean, worst = 100 * sum(spreads) / len(spreads), 100 * max(spreads)
            lines.append(
                f"{len(spreads)} pictures have a file of {self.num_bytes} bytes, within {_WITHIN}, by two codecs or "
                f"more; the sizes of a picture's files differ by {mean:.1f} % on average and {worst:.1f} % at most."
            )
        else:
            lines.append(f"No picture has files of {self.num_bytes} bytes, within {_WITHIN}, by two codecs.")
        for kind, nearest in self.missing.items():
            lines.append(
                f"{kind} has such a file for {self.count(kind)} of {len(self.files)} pictures; of the first "
                f"without, its nearest has {nearest} bytes ({100 * (nearest / self.num_bytes - 1):+.0f} %)."
            )
        return lines

    def count(self, kind: str) -> int:
        """Return the number of pictures that a codec has a file for."""
        return sum(kind in files for files in self.files.values())

    def means(self, kind: str, measure: str) -> float:
        """Return a codec's mean of a measure over its files here; NaN where it was not measured."""
        found = [(file.run, name) for name, files in self.files.items() for one, file in files.items() if one == kind]
        values = [float(run.rows.loc[name, measure]) for run, name in found if measure in run.rows]
        return sum(values) / len(values) if values else math.nan


def match_sizes(runs: Sequence[ReportedRun], num_bytes: int) -> Matched:
    """Find, for each picture and kind of codec, the file nearest to a size.

    Args:
        runs: on the same pictures.
        num_bytes: the size, at least 1.

    Raises:
        ValueError: a size below 1.
    """
    if num_bytes < 1:
        raise ValueError(f"--at takes sizes in bytes of at least 1, such as 250,445; got {num_bytes}")
    names = list(dict.fromkeys(name for run in runs for name in run.rows.index))
    files: dict[str, dict[str, File]] = {}
    missing: dict[str, int] = {}
    for name in names:
        files[name] = {}
        for kind in dict.fromkeys(run.kind for run in runs):
            offered = [
                File(run, int(run.rows.loc[name, "num_bytes"]))
                for run in runs
                if run.kind == kind and name in run.rows.index
            ]
            if not offered:
                continue
            nearest = min(offered, key=lambda file: abs(file.num_bytes - num_bytes))
            if abs(nearest.num_bytes - num_bytes) <= TOLERANCE * num_bytes:
                files[name][kind] = nearest
            else:
                missing.setdefault(kind, nearest.num_bytes)
    return Matched(num_bytes, files, missing)
