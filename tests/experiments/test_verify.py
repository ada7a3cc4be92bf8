"""The command that scores a run again."""

import json

import pandas as pd
import pytest

from experiments import composition
from ganrev.evaluation import runner
from ganrev.evaluation.integrity import SUMS
from tests.calling import call

pytestmark = pytest.mark.usefixtures("quick_runs")


def test_verify_passes_a_sound_run_and_names_one_whose_scores_were_changed(common, tmp_path, caplog, capsys):
    run = runner.run(composition.compose_config([*common, f"out={tmp_path}"]))
    printed, status = call("verify", run, "--alone", "1")
    assert status == 0
    assert "CHANGED" not in printed
    assert "no list" not in caplog.text

    rows = pd.read_csv(run / "rows.csv")
    rows["ssim"] += 0.01
    rows.to_csv(run / "rows.csv", index=False)
    (run / SUMS).unlink()  # as in runs of older versions, whose scores alone tell
    assert call("verify", run)[1] == 2
    assert "summary.json: its mean of ssim is" in caplog.text + capsys.readouterr().err
    summary = json.loads((run / "summary.json").read_text())
    summary["mean"]["ssim"] += 0.01
    (run / "summary.json").write_text(json.dumps(summary))
    printed, status = call("verify", run, "--alone", "1")
    assert f"{run} has no list of sums (SHA256SUMS)" in caplog.text
    assert status == 1
    assert "CHANGED by more than 1e-3" in printed

    rows["ssim"] = float("nan")
    rows.to_csv(run / "rows.csv", index=False)
    printed, status = call("verify", run)
    assert status == 1
    assert "CHANGED by more than 1e-3" in printed


def test_a_decoded_picture_that_its_file_does_not_draw_is_noticed(common, tmp_path, capsys):
    run = runner.run(composition.compose_config([*common, f"out={tmp_path}"]))
    first, second = sorted((run / "decoded").iterdir())[:2]
    first.write_bytes(second.read_bytes())
    _, status = call("verify", run)
    assert status == 2
    assert f"decoded picture of {first.stem} is not what its file draws" in capsys.readouterr().err
    first.unlink()
    _, status = call("verify", run)
    assert status == 2
    assert f"decoded picture of {first.stem} cannot be read" in capsys.readouterr().err

    whole = runner.run(composition.compose_config([*common, "codec=png", f"out={tmp_path}"]))
    (run / "rows.csv").unlink()
    printed, status = call("verify", run, whole)
    assert status == 2
    assert f"{whole}: decoded again" in printed  # those after a damaged run are checked, too
