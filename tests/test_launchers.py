"""Sweeps under the launchers of the extras: every job is done or recorded, and the status tells."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ganrev.jobs import read_failed, read_records
from ganrev.pixels import to_pillow
from ganrev.runner import load_summary
from tests.tiny import RawCodec, smooth_images

ROOT = Path(__file__).resolve().parent.parent
LAUNCHERS = {
    "basic": [],
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra/launcher=submitit_local"],
    # Without its dashboard; a job that is killed is otherwise tried three times more.
    "ray": ["hydra/launcher=ray", "+hydra.launcher.ray.init={num_cpus:2,include_dashboard:false}"],
}


class KilledCodec(RawCodec):
    """Ends its process as a machine out of memory does."""

    def encode(self, images):
        os.kill(os.getpid(), signal.SIGKILL)


def sweep(launcher, folder, *overrides):
    """Run a sweep over one picture; returns its exit status, what it complained of, and the records of its jobs."""
    if launcher != "basic" and not find_spec(f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher"):
        pytest.skip(f"needs the extra {launcher.split('_')[0]}")
    (folder / "pictures").mkdir()
    to_pillow(smooth_images(1, 128)[0]).save(folder / "pictures" / "face.png")
    command = [sys.executable, str(ROOT / "run.py"), "-m", *LAUNCHERS[launcher], *overrides]
    command += ["data=folder", "data.root=pictures", "out=runs", "hydra.sweep.dir=logs"]
    path = os.pathsep.join([str(ROOT / "tests" / "quick"), str(ROOT)])
    environment = os.environ | {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    environment |= {"RAY_AUTH_MODE": "disabled"}  # else ray leaves a token in the user's home
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr, read_records(folder / "logs" / "jobs")


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_job_that_fails_does_not_stop_the_others(launcher, tmp_path):
    status, complaint, records = sweep(launcher, tmp_path, "codec=jpeg", "codec.quality=-1,10,20")
    assert status == 1, complaint
    failed, *done = records
    assert failed["error"] == "ValueError: codec.quality must be a whole number between 1 and 95, got -1"
    assert "Traceback" in failed["traceback"]
    assert f"1 job failed, see {tmp_path / 'logs' / 'jobs'}:" in complaint
    assert complaint.rstrip().endswith(f"{' '.join(failed['overrides'])}\n    {failed['error']}")
    assert [load_summary(Path(record["run"]))["num_images"] for record in done] == [1, 1]
    assert {Path(record["run"]).parent for record in done} == {tmp_path / "runs"}
    assert [("codec.quality=10" in r["overrides"], "codec.quality=20" in r["overrides"]) for r in done] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_job_that_is_killed_is_recorded(launcher, tmp_path):
    targets = "tests.test_launchers.KilledCodec,tests.tiny.RawCodec"
    raw = ["codec=png", "+codec.size=128", f"codec._target_={targets}"]
    status, complaint, records = sweep(launcher, tmp_path, *raw)
    assert status == 1, complaint
    assert records[0]["error"] == "no end was recorded: it was killed, or is still running"
    assert "failed, see" in complaint
    assert records[0] in read_failed(tmp_path / "logs" / "jobs")
