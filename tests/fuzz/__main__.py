"""`make fuzz`: decode mutants of files of every format, and count what must not happen.

Prints a table; what was found is kept in results/fuzz, a file for each finding. Exits with status 1 where there is one:
an exception that is not documented, more than a second of processor time, or more than 1.5 times the memory that good
files take.
"""

import argparse
import hashlib
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ganrev.terminal import print_anything
from tests.fuzz.targets import Target, all_targets, mutant

SECONDS = 1.0  # of processor time, beyond which a decode counts as hanging
MEMORY = 1.5  # times the peak of good files
_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


@dataclass
class Tally:
    """What became of the mutants of one name of targets."""

    executions: int = 0
    decoded: int = 0
    undocumented: Counter[str] = field(default_factory=Counter)
    hangs: int = 0
    slowest: float = 0.0
    good_memory: int = 0
    memory: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.undocumented and not self.hangs and self.memory <= MEMORY * self.good_memory


def peak_memory() -> int:
    """Return the most memory that this process has held since `forget_peak`, in KiB; 0 where nothing tells."""
    try:
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def forget_peak() -> None:
    """Begin to measure the peak of memory anew, where the system can."""
    try:
        _CLEAR.write_text("5", encoding="utf-8")
    except OSError:
        return


def fuzz_one(target: Target, rng: np.random.Generator, tally: Tally, num: int, findings: Path) -> None:
    """Decode `num` mutants of a target."""
    forget_peak()
    for _ in range(2):
        for seed in target.seeds:
            target.decode(seed)
    tally.good_memory = max(tally.good_memory, peak_memory())
    forget_peak()
    for _ in range(num):
        blob = mutant(target, rng)
        began = time.process_time()
        fault = _decode(target, blob, tally)
        elapsed = time.process_time() - began
        if elapsed > SECONDS:
            tally.hangs += 1
            fault = fault or f"{elapsed:.1f} s"
        tally.slowest = max(tally.slowest, elapsed)
        peak = peak_memory()
        if tally.good_memory and peak > MEMORY * tally.good_memory and peak > tally.memory:
            fault = fault or f"{peak >> 10} MiB"
        tally.memory = max(tally.memory, peak)
        tally.executions += 1
        if fault:
            _keep(target, blob, fault, findings)


def _decode(target: Target, blob: bytes, tally: Tally) -> str:
    """Decode one mutant; returns what is wrong with that, empty for nothing."""
    try:
        target.decode(blob)
        tally.decoded += 1
    except target.documented:
        pass
    except BaseException as error:  # whatever it is, it is a finding
        if isinstance(error, KeyboardInterrupt):
            raise
        tally.undocumented[type(error).__name__] += 1
        return f"{type(error).__name__}: {error}"
    return ""


def _keep(target: Target, blob: bytes, fault: str, findings: Path) -> None:
    findings.mkdir(parents=True, exist_ok=True)
    name = f"{target.name.replace(' ', '-').lstrip('.')}-{hashlib.sha256(blob).hexdigest()[:12]}"
    (findings / name).write_bytes(blob)
    print(f"{findings / name}: {fault.splitlines()[0][:100]}", flush=True)


def rounds(targets: Sequence[Target], minutes: float) -> Iterator[Target]:
    """Yield the targets in turn until the time is over, each name as often as any other."""
    by_name: dict[str, list[Target]] = {}
    for target in targets:
        by_name.setdefault(target.name, []).append(target)
    end = time.monotonic() + 60 * minutes
    number = 0
    while time.monotonic() < end:
        for alike in by_name.values():
            yield alike[number % len(alike)]
        number += 1


def to_text(tallies: dict[str, Tally]) -> str:
    """Return the table of what was counted."""
    lines = [("format", "mutants", "decoded", "undocumented", "hangs", "slowest, s", "peak, MiB", "of good files")]
    for name, one in tallies.items():
        undocumented = ", ".join(f"{count} {kind}" for kind, count in one.undocumented.items()) or "0"
        share = f"{one.memory / one.good_memory:.2f}" if one.good_memory else "-"
        counts = (str(one.executions), str(one.decoded), undocumented, str(one.hangs))
        lines.append((name, *counts, f"{one.slowest:.3f}", f"{one.memory >> 10}", share))
    total = sum(one.executions for one in tallies.values())
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*table, f"{total} mutants, {sum(not one.is_clean for one in tallies.values())} formats at fault"])


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long  [default: 5]")
    parser.add_argument("--seed", type=int, default=0, help="of the mutants  [default: 0]")
    parser.add_argument("--findings", type=Path, default=Path("results/fuzz"), help="folder  [default: results/fuzz]")
    parser.add_argument("--only", default="", help="formats whose names contain this")
    options = parser.parse_args()
    print_anything()
    warnings.simplefilter("ignore")  # Pillow's, of damaged metadata
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        targets = [target for target in all_targets(folder) if options.only in target.name]
        tallies = {target.name: Tally() for target in targets}
        for target in rounds(targets, options.minutes):
            fuzz_one(target, rng, tallies[target.name], 500, options.findings)
    print(to_text(tallies))
    return int(not all(tally.is_clean for tally in tallies.values()))


if __name__ == "__main__":
    raise SystemExit(main())
