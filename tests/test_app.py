"""run.py as a process."""

import os
import subprocess
import sys
from pathlib import Path

from ganrev.evaluation.run_folder import RunFolder
from tests.tiny import OVERRIDES

ROOT = Path(__file__).resolve().parents[1]


def start(tmp_path, *overrides):
    quick = {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "tests" / "quick")}
    command = [sys.executable, str(ROOT / "run.py"), *overrides]
    return subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | quick, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_processes_make_one_run_together(tmp_path):
    overrides = ["codec=jpeg", "data=seen", "data.limit=2", *OVERRIDES, "quant=extreme", "out=runs"]
    both = [start(tmp_path, *overrides) for _ in range(2)]
    outputs = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    (folder,) = (tmp_path / "runs").glob("jpeg-*")
    assert RunFolder(folder).summary["num_images"] == 2
    assert not list((tmp_path / "runs").glob(".*.partial"))
    for printed, complained in outputs:
        assert "2 pictures of 32 x 32" in printed
        assert "quant=extreme has no effect" in printed + complained
        assert "Traceback" not in complained


def test_a_mistake_ends_with_one_line_and_status_2(tmp_path):
    process = start(tmp_path, *OVERRIDES, "quant.step=-1", "out=runs")
    printed, complained = process.communicate(timeout=600)
    assert process.returncode == 2
    assert complained.strip().splitlines() == [
        "error: quant.step must be a positive number, or null for float32 latents, got -1"
    ]
    assert printed == ""
    assert not (tmp_path / "runs").exists()
