"""Sweeps in processes of their own, to be killed, and what they leave compared."""

import os
import signal
import subprocess
import sys
from glob import glob
from pathlib import Path

import numpy as np
import pandas as pd

from experiments import sweep
from ganrev.evaluation.jobs import read_records
from ganrev.evaluation.run_folder import RunFolder
from tests.tiny import OVERRIDES

ROOT = Path(__file__).resolve().parent.parent
SECONDS = ["encode_seconds", "decode_seconds"]


def assert_same_run(one, other):
    """Compare everything but times."""
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in other.iterdir())
    for kind in ("blobs", "decoded"):
        files = sorted(path.name for path in (one / kind).iterdir())
        assert files == sorted(path.name for path in (other / kind).iterdir())
        assert all((one / kind / file).read_bytes() == (other / kind / file).read_bytes() for file in files)
    frames = [RunFolder(folder).rows.drop(columns=SECONDS) for folder in (one, other)]
    pd.testing.assert_frame_equal(*frames, check_exact=True)
    if (one / "traces.npz").exists():
        with np.load(one / "traces.npz") as a, np.load(other / "traces.npz") as b:
            assert set(a) == set(b)
            assert all(np.array_equal(a[name], b[name]) for name in a)


class Sweep:
    """A sweep in a process of its own.

    Args:
        folder: where it writes: `runs`, `logs`, and `encoded`, a line a batch that was begun.
        overrides: its grid.
    """

    def __init__(self, folder, pictures_dir, *overrides):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.command = [sys.executable, str(ROOT / "run.py"), "-m", *OVERRIDES]
        self.command += ["codec._target_=tests.tiny.LoggedCodec", "data=folder", f"data.root={pictures_dir}"]
        self.command += ["batch_size=1", f"out={folder / 'runs'}", f"hydra.sweep.dir={folder / 'logs'}", *overrides]

    def start(self):
        quick = {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "tests" / "quick")}
        environment = os.environ | quick | {"ENCODED": str(self.folder / "encoded")}
        with (self.folder / "output").open("a") as output:
            return subprocess.Popen(
                self.command, env=environment, stdout=output, stderr=output, cwd=self.folder, start_new_session=True
            )

    def finish(self):
        """Run it to its end, which must be good; returns its table without times."""
        assert self.start().wait() == 0, (self.folder / "output").read_text()
        assert not list((self.folder / "runs").glob(".*.partial"))
        frame = sweep.collect(read_records(self.folder / "logs" / "jobs"))
        return frame.drop(columns=[f"{key}{suffix}" for key in SECONDS for suffix in ("", "_ci95")] + ["out"])

    @property
    def num_done(self):
        """Batches that were encoded, decoded or scored; three times five in each finished run."""
        runs = self.folder / "runs"
        # glob.glob and not Path.glob: a folder may go while it is looked at.
        summaries = [Path(p) for kind in (".*.partial", "*") for p in glob(str(runs / kind / "summary.json"))]
        finished = {summary.parent.name.removesuffix(".partial").lstrip(".") for summary in summaries}
        journals = [Path(p).parts for p in glob(str(runs / ".*.partial" / "journal" / "*" / "*.npz"))]
        return 15 * len(finished) + sum(p[-4].removesuffix(".partial").lstrip(".") not in finished for p in journals)

    @property
    def num_encoded(self):
        log = self.folder / "encoded"
        return len(log.read_text().splitlines()) if log.exists() else 0


def kill(process, whole_group):
    """Kill a live process, and perhaps what it has started, so that it has no chance to tidy up."""
    assert process.poll() is None, "it has ended by itself"
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
