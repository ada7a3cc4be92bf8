"""The sweep in miniature."""

from pathlib import Path

import pandas as pd
import pytest

from experiments import sweep
from tests.calling import call
from tests.experiments.tables import METRICS, load
from tests.tiny import OVERRIDES

QUICK = str(Path(__file__).resolve().parents[1] / "quick")

pytestmark = pytest.mark.usefixtures("quick_runs")


def sweep_in_miniature(folder, *overrides):
    small = ["data=seen", "data.limit=1", *OVERRIDES, "quant=standard,extreme", "reversal.restarts=1"]
    logs = f"hydra.sweep.dir={folder / 'logs'}"
    return call("sweep", *small, *overrides, f"out={folder / 'runs'}", logs, "--results", folder / "sweeps")


def test_a_sweep_writes_one_tidy_csv_and_fails_if_a_job_fails(tmp_path, capfd, monkeypatch):
    monkeypatch.syspath_prepend(QUICK)  # its processes leave ST-LPIPS out
    printed, status = sweep_in_miniature(tmp_path, "reversal.lr=-1,0.1")
    assert status == 1
    assert "2 runs, 2 failed" in printed
    complaint = capfd.readouterr().err
    assert f"2 jobs failed, see {tmp_path / 'sweeps' / 'sweep-jobs'}:" in complaint
    assert complaint.count("\n    ValueError: reversal.lr must be a positive number") == 2
    frame = pd.read_csv(tmp_path / "sweeps" / "sweep.csv")
    assert frame["quant"].tolist() == ["standard", "extreme"]
    assert frame["reversal.lr"].tolist() == [0.1, 0.1]
    assert set(frame.columns) >= METRICS | {"loss", "reversal.restarts", "run", "cr", "ssim_ci95", "lanes_diverged"}
    assert frame["num_images"].tolist() == [1, 1]
    assert {p.name for p in (tmp_path / "sweeps").iterdir()} == {"sweep.csv", "sweep-jobs"}

    # What is there is not run again: the same command without the bad rate finds everything done.
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").glob("*/summary.json")}
    assert sweep_in_miniature(tmp_path, "reversal.lr=0.1")[1] == 0
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").glob("*/summary.json")} == stamps
    assert len(stamps) == 2
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "sweeps" / "sweep.csv"), frame)


def test_a_sweep_of_which_nothing_is_left_is_an_error(tmp_path, monkeypatch, capsys):
    def killed(overrides, records):
        records.mkdir()
        (records / "0.json").write_text('{"job": 0, "overrides": ["seed=1"], "error": "it was cut off"}')
        return 0

    monkeypatch.setattr(sweep, "launch", killed)
    assert call("sweep", "--results", tmp_path)[1] == 2
    assert "no run of the sweep was finished" in capsys.readouterr().err


def test_a_grid_of_ones_own_has_nothing_added(tmp_path, monkeypatch, capsys):
    given = ["loss=ssim,mse", "data.limit=4"]
    launched = []
    monkeypatch.setattr(sweep, "launch", lambda overrides, records: launched.append(overrides) or 0)
    assert call("sweep", "grid", *given, "--results", tmp_path)[1] == 2  # for nothing ran
    assert launched == [given]


def test_the_default_sweep_covers_what_the_issue_asks():
    keys = [o.split("=")[0] for o in load("sweep")["overrides"] if "," in o]
    assert keys == ["loss", "reversal.lr", "quant", "reversal.restarts"]
