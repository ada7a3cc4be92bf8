"""`make fuzz`: decode mutants of files of every format, and count what must not happen.

Prints a table of all runs so far (they add up in results/fuzz/counts.json, and each makes other mutants); what was
found is kept in results/fuzz, a file for each finding. Exits with status 1 where there is one: an exception that is not
documented, more than a second of processor time, more than 1.5 times the memory that good files take, or more altered
files let in than a checksum of 16 bits misses by chance.
"""

import argparse
import hashlib
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import numpy as np
import torch

from ganrev.terminal import print_anything
from tests.fuzz.file_targets import all_targets
from tests.fuzz.mutating import mutant
from tests.fuzz.tally import MEMORY, Tally, num_mutants, read_tallies, to_text, write_tallies
from tests.fuzz.targets import Target

SECONDS = 1.0  # of processor time, beyond which a decode counts as hanging
_GIVEN_UP = 20.0  # seconds of processor time after which a decode is broken off
_AT_ONCE = 500  # mutants of one target
_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class Endless(BaseException):
    """A decode was broken off; no decoder can catch this by mistake."""


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


def fuzz_one(target: Target, rng: np.random.Generator, num: int, findings: Path) -> Tally:
    """Decode `num` mutants of a target; what is found goes into a folder."""
    forget_peak()
    for _ in range(2):
        for seed in target.seeds:
            target.decode(seed)
    tally = Tally(good_memory=peak_memory())
    forget_peak()
    for _ in range(num):
        blob, fits = mutant(target, rng)
        decoded = tally.decoded
        began = time.process_time()
        fault = _decode(target, blob, tally)
        elapsed = time.process_time() - began
        if elapsed > SECONDS:
            tally.hangs += 1
            fault = fault or f"{elapsed:.1f} s"
        tally.slowest = max(tally.slowest, elapsed)
        peak = peak_memory()
        if peak > tally.memory:  # this one took more than all before
            tally.memory = peak
            allowed = tally.good_memory + (target.allowance(blob) if peak > MEMORY * tally.good_memory else 0)
            tally.excess = max(tally.excess, peak / allowed if allowed else 0.0)
            if tally.excess > MEMORY:
                fault = fault or f"{peak >> 10} MiB"
        tally.executions += 1
        if target.header and not fits and blob not in target.seeds:
            tally.altered += 1
            tally.let_in += tally.decoded - decoded
        if fault:
            _keep(target, blob, fault, findings)
    return tally


def _decode(target: Target, blob: bytes, tally: Tally) -> str:
    """Decode one mutant; returns what is wrong with that, empty for nothing."""
    signal.setitimer(signal.ITIMER_VIRTUAL, _GIVEN_UP)
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
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return ""


def _give_up(number: int, frame: FrameType | None) -> None:
    raise Endless


def _keep(target: Target, blob: bytes, fault: str, findings: Path) -> None:
    findings.mkdir(parents=True, exist_ok=True)
    name = f"{target.name.replace(' ', '-').lstrip('.')}-{hashlib.sha256(blob).hexdigest()[:12]}"
    (findings / name).write_bytes(blob)
    print(f"{findings / name}: {fault.splitlines()[0][:100]}", flush=True)


def in_turn(targets: Sequence[Target], minutes: float, num: int | None) -> Iterator[Target]:
    """Yield the targets in turn, each name as often as any other, until the time is over or `num` have been yielded."""
    by_name: dict[str, list[Target]] = {}
    for target in targets:
        by_name.setdefault(target.name, []).append(target)
    end = time.monotonic() + 60 * minutes
    given = 0
    while True:
        for alike in by_name.values():
            if time.monotonic() > end or given == num:
                return
            yield alike[given // len(by_name) % len(alike)]
            given += 1


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="at most  [default: 5]")
    parser.add_argument("--mutants", type=int, help=f"at most, in parts of {_AT_ONCE}  [default: any number]")
    parser.add_argument("--seed", type=int, default=0, help="of the mutants  [default: 0]")
    parser.add_argument("--findings", type=Path, default=Path("results/fuzz"), help="folder  [default: results/fuzz]")
    parser.add_argument("--only", default="", help="formats whose names contain this")
    options = parser.parse_args()
    print_anything()
    warnings.simplefilter("ignore")  # Pillow's, of damaged metadata
    signal.signal(signal.SIGVTALRM, _give_up)
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    counts = options.findings / "counts.json"
    tallies = read_tallies(counts)
    rng = np.random.default_rng([options.seed, num_mutants(tallies)])
    parts = None if options.mutants is None else -(-options.mutants // _AT_ONCE)
    with tempfile.TemporaryDirectory() as folder:
        targets = [target for target in all_targets(folder) if options.only in target.name]
        for target in in_turn(targets, options.minutes, parts):
            found = fuzz_one(target, rng, _AT_ONCE, options.findings)
            tallies.setdefault(target.name, Tally()).add(found)
            write_tallies(tallies, counts)
    print(to_text(tallies))
    return int(not all(tally.is_clean for tally in tallies.values()))


if __name__ == "__main__":
    raise SystemExit(main())
