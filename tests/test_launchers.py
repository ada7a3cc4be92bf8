"""Sweeps under the launchers of the extras: every job is done or recorded, and the status tells."""

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from ganrev.evaluation.fair_share import THREADS, num_cores
from ganrev.evaluation.jobs import read_failed, read_records
from ganrev.evaluation.run_folder import RunFolder
from ganrev.pixels import to_pillow
from tests.tiny import RawCodec, smooth_images

ROOT = Path(__file__).resolve().parent.parent
LAUNCHERS = {
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra/launcher=submitit_local"],
    "ray": ["hydra/launcher=ray", "+hydra.launcher.ray.init={num_cpus:2,include_dashboard:false}"],
}


class KilledCodec(RawCodec):
    """Ends its process as a machine out of memory does."""

    def encode(self, images):
        os.kill(os.getpid(), signal.SIGKILL)


def sweep(launcher, folder, *overrides):
    """Run a sweep over one picture; returns its exit status, what it complained of, and the records of its jobs."""
    if not find_spec(f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher"):
        pytest.skip(f"needs the extra {launcher.split('_')[0]}")
    (folder / "pictures").mkdir()
    to_pillow(smooth_images(1, 128)[0]).save(folder / "pictures" / "face.png")
    command = [sys.executable, str(ROOT / "run.py"), "-m", *LAUNCHERS[launcher], *overrides]
    command += ["data=folder", "data.root=pictures", "out=runs", "hydra.sweep.dir=logs"]
    path = os.pathsep.join([str(ROOT / "tests" / "quick"), str(ROOT)])
    environment = {key: value for key, value in os.environ.items() if key != THREADS}
    environment |= {"TQDM_DISABLE": "1", "PYTHONPATH": path}
    environment |= {"RAY_AUTH_MODE": "disabled"}  # else ray leaves a token in the user's home
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr, read_records(folder / "logs" / "jobs")


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_job_that_fails_does_not_stop_the_others(launcher, tmp_path):
    status, complaint, records = sweep(launcher, tmp_path, "codec=jpeg", "codec.quality=-1,10")
    assert status == 1, complaint
    failed, done = records
    assert failed["error"] == "ValueError: codec.quality must be a whole number between 1 and 95, got -1"
    assert "Traceback" in failed["traceback"]
    assert f"1 job failed, see {tmp_path / 'logs' / 'jobs'}:" in complaint
    assert f"{' '.join(failed['overrides'])}\n    {failed['error']}" in complaint
    assert "codec.quality=10" in done["overrides"]
    assert Path(done["run"]).parent == tmp_path / "runs"
    run = RunFolder(Path(done["run"]))
    assert run.summary["num_images"] == 1
    assert run.provenance["hardware"]["threads"] == max(1, num_cores() // 2)  # a fair share


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_job_that_is_killed_is_recorded(launcher, tmp_path):
    targets = "tests.test_launchers.KilledCodec,tests.tiny.RawCodec"
    raw = ["codec=png", "+codec.size=128", f"codec._target_={targets}"]
    status, complaint, records = sweep(launcher, tmp_path, *raw)
    assert status == 1, complaint
    assert records[0]["error"] == "no end was recorded: it was killed, or is still running"
    assert "failed, see" in complaint
    assert read_failed(tmp_path / "logs" / "jobs")[0] == records[0]
    if launcher == "submitit_local":  # where each job is a process that goes on by itself; joblib gives up
        deadline = time.monotonic() + 300
        while not list((tmp_path / "runs").glob("rawcodec-*")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
