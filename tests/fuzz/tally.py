"""What became of mutants, counted over any number of runs."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from scipy.stats import poisson

from ganrev.files import write_whole

MEMORY = 1.5  # times the peak of good files
_MISSED = 2.0**-16  # the share of altered files that a checksum of 16 bits lets in by chance
_CHANCE = 1e-4  # that as many are let in by chance alone; fewer would be a finding


@dataclass
class Tally:
    """What became of the mutants of one name of targets.

    Attributes:
        executions: mutants tried.
        decoded: of these, how many decoded.
        altered: how many had a checksum that was not made to fit.
        let_in: of these, how many decoded.
        undocumented: exceptions that are not documented, by their type.
        hangs: decodes that took too much processor time.
        slowest: the longest decode, in seconds of processor time.
        good_memory: peak of good files, in KiB.
        memory: peak of mutants, in KiB.
        excess: the largest ratio of these two within one process.
    """

    executions: int = 0
    decoded: int = 0
    altered: int = 0
    let_in: int = 0
    undocumented: Counter[str] = field(default_factory=Counter)
    hangs: int = 0
    slowest: float = 0.0
    good_memory: int = 0
    memory: int = 0
    excess: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        too_many = self.let_in > poisson.ppf(1 - _CHANCE, self.altered * _MISSED)
        return not self.undocumented and not self.hangs and self.excess <= MEMORY and not too_many

    def add(self, other: "Tally") -> None:
        """Add what another run counted."""
        for name in ("executions", "decoded", "altered", "let_in", "hangs"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("slowest", "good_memory", "memory", "excess"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        self.undocumented += other.undocumented


def read_tallies(path: Path) -> dict[str, Tally]:
    """Return what earlier runs counted, by the targets' names; nothing where there is no such file."""
    if not path.exists():
        return {}
    stored = json.loads(path.read_text(encoding="utf-8"))
    return {name: Tally(**one | {"undocumented": Counter(one["undocumented"])}) for name, one in stored.items()}


def write_tallies(tallies: dict[str, Tally], path: Path) -> None:
    """Store what was counted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = {name: vars(one) for name, one in tallies.items()}
    write_whole(path, json.dumps(counts, indent=1).encode())


def num_mutants(tallies: dict[str, Tally]) -> int:
    """Return how many mutants were tried in all."""
    return sum(one.executions for one in tallies.values())


_HEAD = ("format", "mutants", "decoded", "altered", "let in", "undocumented", "hangs", "slowest, s", "peak, MiB")


def to_text(tallies: dict[str, Tally]) -> str:
    """Return the table of what was counted, in Markdown, and a line of sums under it."""
    lines = [(*_HEAD, "of good files")]
    lines.append(tuple(":--" if name == "format" else "--:" for name in lines[0]))
    for name, one in sorted(tallies.items()):
        undocumented = ", ".join(f"{count} {kind}" for kind, count in one.undocumented.items()) or "0"
        checked = (str(one.altered), str(one.let_in)) if one.altered else ("", "")
        counts = (str(one.executions), str(one.decoded), *checked, undocumented, str(one.hangs))
        lines.append((name, *counts, f"{one.slowest:.3f}", f"{one.memory >> 10}", f"{one.excess:.2f}"))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines]
    at_fault = sum(not one.is_clean for one in tallies.values())
    return "\n".join([*table, "", f"{num_mutants(tallies)} mutants, {at_fault} formats at fault"])
