"""Automatic mode against the best of a grid, in miniature."""

import pandas as pd
import pytest
import yaml

from experiments import automatic as automatic_mode
from tests.calling import call
from tests.experiments.tables import load

pytestmark = pytest.mark.usefixtures("quick_runs")


def test_automatic_mode_is_compared_with_the_best_of_the_grid():
    grid = pd.DataFrame(
        {
            "name": ["x", "x", "x", "x", "y", "y"],
            "reversal": [1, 1, 2, 2, 1, 2],
            "num_bytes": [240, 260, 250, 200, 100, 100],
            "ssim": [0.7, 0.99, 0.8, 0.6, 0.5, 0.4],
            "reversal_seconds": [4.0, 4.0, 6.0, 6.0, 2.0, 3.0],
            "recode_seconds": 0.5,
        }
    )
    automatic = pd.DataFrame(
        {"name": ["y", "x"], "num_bytes": [245, 240], "ssim": [0.6, 0.9], "encode_seconds": [1.0, 2.0]}
    )
    means = {key: mean for key, (mean, _) in automatic_mode.compare(grid, automatic, 250).items()}
    assert means["SSIM, grid"] == pytest.approx((0.8 + 0.5) / 2)
    assert means["SSIM, automatic - grid"] == pytest.approx(0.1)
    assert means["seconds, grid"] == pytest.approx((4 + 6 + 4 * 0.5 + 2 + 3 + 2 * 0.5) / 2)
    assert means["seconds, automatic"] == pytest.approx(1.5)
    assert means["share of sizes within 2 % from below"] == 0.5
    with pytest.raises(ValueError, match="no step of the grid gives y at most 90 bytes"):
        automatic_mode.compare(grid[grid["name"] == "y"], automatic[:1], 90)


def test_the_command_of_automatic_mode(place, common):
    experiment = load("automatic") | {"target_bytes": 60}
    experiment["automatic"] += ["reversal.steps=20"]
    experiment["grid"] = {"reversal.lr": [0.1], "reversal.restarts": [1, 2], "quant.step": [0.2, 1.0]}
    path = place / "auto.yaml"
    path.write_text(yaml.safe_dump(experiment))
    printed, status = call(
        "automatic", f"experiment={path}", *common, "reversal.steps=5", "--results", place / "automatic"
    )
    assert status == 0
    assert "Automatic mode takes" in printed
    assert len(pd.read_csv(place / "automatic" / "auto.csv")) == 2 * 2 * 2  # restarts, steps, pictures
