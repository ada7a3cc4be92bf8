"""`make kills`: kill a running sweep again and again, fill its disk, and count what is lost and what is let in.

A record is a finished run or a finished batch. It is lost where it was there before a kill and is not there after it;
it is corrupt where a finished run is other than the one that nobody disturbed (times apart). Exits with status 1 where
there is any. The full disks are small tmpfs where the user may mount one, and else a limit on the size of files.
"""

import argparse
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from ganrev.evaluation.run_folder import RunFolder
from ganrev.pixels import to_pillow
from tests.sweeping import Sweep, assert_same_run, kill
from tests.tiny import smooth_images

GRID = ["loss=mse,l1", "quant=extreme,none"]  # two pictures each
_PAGE = 4096


def finished(sweep):
    """Return the folders of the runs of a sweep that are finished, by name."""
    return {path.name: path for path in (sweep.folder / "runs").glob("*-*") if RunFolder(path).is_finished}


def records(sweep):
    """Return names of all records: finished runs, and finished batches of those under way."""
    batches = (sweep.folder / "runs").glob(".*.partial/journal/*/*.npz")
    return finished(sweep).keys() | {str(path.relative_to(sweep.folder)) for path in batches}


def num_lost(before, sweep):
    """Return how many records are gone; those of the batches of a run that has finished since are not."""
    done = finished(sweep)
    gone = before - records(sweep)
    return sum(not any(f".{name}.partial" in record for name in done) for record in gone)


def num_corrupt(sweep, whole):
    """Return how many finished runs are other than those that nobody disturbed."""
    expected, count = finished(whole), 0
    for name, path in finished(sweep).items():
        try:
            assert_same_run(path, expected[name])
            assert not RunFolder(path).find_damage()
        except (AssertionError, KeyError, OSError, ValueError) as error:
            print(f"{path}: {error}", flush=True)
            count += 1
    return count


def completed(sweep, whole):
    """Run a sweep to its end; returns how many of its runs are missing or wrong then."""
    if sweep.start().wait():
        print((sweep.folder / "output").read_text()[-2000:], flush=True)
    return len(finished(whole).keys() - finished(sweep).keys()) + num_corrupt(sweep, whole)


def kill_often(folder, pictures, whole, seconds, num_kills, rng):
    """Kill sweeps at random times; returns how many were killed, records lost, and corrupt ones."""
    killed = lost = corrupt = number = 0
    sweep = Sweep(folder / "0", pictures, *GRID)
    while killed < num_kills:
        before = records(sweep)
        process = sweep.start()
        time.sleep(rng.uniform(0.2, 1) * seconds)
        if process.poll() is None:
            kill(process, whole_group=rng.random() < 0.7)
            killed += 1
            lost += num_lost(before, sweep)
            corrupt += num_corrupt(sweep, whole)
        if len(finished(sweep)) == len(finished(whole)):
            corrupt += completed(sweep, whole)
            shutil.rmtree(sweep.folder)
            number += 1
            sweep = Sweep(folder / str(number), pictures, *GRID)
    return killed, lost, corrupt + completed(sweep, whole)


@contextmanager
def small_disk(folder, num_bytes):
    """Make a folder a file system of its own of that size; yields what makes it large, or None without the right to."""
    folder.mkdir()
    options = f"size={max(_PAGE, num_bytes)}"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, check=False)
    if done.returncode:
        yield None
        return
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,size=256m", folder], check=True)
    finally:
        subprocess.run(["umount", folder], check=True)


def fill_disk(folder, pictures, whole, rng):
    """Run a sweep on a disk that may be too small for it, then on one large enough.

    Returns:
        How many records are lost, how many are corrupt, whether it was a disk of its own, and whether it was full.
    """
    sweep = Sweep(folder, pictures, *GRID)
    needed = sum(-(-path.stat().st_size // _PAGE) * _PAGE for path in (whole.folder / "runs").rglob("*"))
    with small_disk(folder / "runs", int(rng.uniform(0.05, 0.7) * needed)) as enlarge:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        if enlarge is None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (rng.randrange(100, 20_000), limit[1]))
        status = sweep.start().wait()
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        said = (folder / "output").read_text()
        full = status != 0
        if full and not ("No space left" in said or "File too large" in said):
            print(f"{folder}: it failed, and said nothing about the disk", flush=True)
        before, corrupt = records(sweep), num_corrupt(sweep, whole)
        if enlarge is not None:
            enlarge()
        corrupt += completed(sweep, whole)
        return num_lost(before, sweep), corrupt, enlarge is not None, full


def main():
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="[default: 50]")
    parser.add_argument("--disks", type=int, default=10, help="[default: 10]")
    parser.add_argument("--seed", type=int, default=0, help="of the times and sizes  [default: 0]")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder, pictures = Path(name), Path(name) / "pictures"
        pictures.mkdir()
        for i, image in enumerate(smooth_images(2, 128)):
            to_pillow(image).save(pictures / f"face{i}.png")
        os.environ["OMP_NUM_THREADS"] = "1"
        whole = Sweep(folder / "whole", pictures, *GRID)
        began = time.monotonic()
        whole.finish()
        seconds = time.monotonic() - began
        print(f"a sweep of {len(finished(whole))} runs takes {seconds:.1f} s", flush=True)
        killed, lost, corrupt = kill_often(folder / "killed", pictures, whole, seconds, options.kills, rng)
        print(f"{killed} SIGKILLs: {lost} records lost, {corrupt} corrupt records accepted", flush=True)
        disks = []
        while sum(disk[3] for disk in disks) < options.disks:
            disks.append(fill_disk(folder / f"disk{len(disks)}", pictures, whole, rng))
    num_full = sum(disk[3] for disk in disks)
    mounted = sum(disk[2] for disk in disks)
    print(f"{num_full} full disks ({mounted} of {len(disks)} tmpfs): {sum(d[0] for d in disks)} records lost, ", end="")
    print(f"{sum(d[1] for d in disks)} corrupt records accepted")
    return int(lost + corrupt + sum(d[0] + d[1] for d in disks) > 0)


if __name__ == "__main__":
    raise SystemExit(main())
