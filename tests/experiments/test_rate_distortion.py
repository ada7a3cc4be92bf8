"""Curves of rate and distortion in miniature."""

import pandas as pd
import pytest
import yaml

from experiments import rate_distortion
from tests.calling import call
from tests.experiments.tables import load

pytestmark = pytest.mark.usefixtures("quick_runs")


def test_the_curves_of_rate_and_distortion(place, common):
    experiment = load("rd")
    gan, jpeg = experiment["curves"][0], experiment["curves"][-1]
    gan["points"] = [[*point, "quant.steps=3", "quant.rounds=3"] for point in gan["points"][::5]]
    path = place / "few.yaml"
    path.write_text(yaml.safe_dump(experiment | {"curves": [gan, jpeg]}))
    printed, status = call("rd", f"experiment={path}", *common, "reversal.steps=5", "--results", place / "rd")
    assert status == 0
    frame = pd.read_csv(place / "rd" / "few.csv")
    assert frame["curve"].tolist() == [gan["label"]] * 2 + [jpeg["label"]] * 3
    assert (frame["num_images"] == 2).all()
    assert frame["num_bytes"][0] > frame["num_bytes"][1]  # dearer bytes are fewer
    assert printed.count(f"| {jpeg['label']} |") == 3
    assert (place / "rd" / "few.png").stat().st_size > 10_000
    assert (place / "rd" / "few.md").read_text().startswith("**Rate and distortion")


def test_pca_without_faces_is_left_out_of_the_curves(place, common):
    experiment = load("rd")
    path = place / "faceless.yaml"
    curves = [curve for curve in experiment["curves"] if curve["label"] in ("PCA", "JPEG")]
    path.write_text(yaml.safe_dump(experiment | {"curves": curves}))
    printed, status = call("rd", f"experiment={path}", *common, "--results", place / "rd")
    assert status == 0
    assert pd.read_csv(place / "rd" / "faceless.csv")["curve"].unique().tolist() == ["JPEG"]
    assert "PCA: left out: principal components are fitted" in printed
    assert "PCA: left out" in (place / "rd" / "faceless.md").read_text()
    path.write_text(yaml.safe_dump(experiment | {"curves": curves[:1]}))
    assert call("rd", f"experiment={path}", *common, "--results", place / "rd")[1] == 2


def test_curves_are_compared_at_equal_sizes_within_their_points():
    points = [("a", 100, 20.0, 0.5), ("a", 300, 30.0, 0.9), ("b", 150, 10.0, 0.1), ("b", 140, 9.0, 0.0)]
    frame = pd.DataFrame(points, columns=["curve", "num_bytes", "psnr", "ssim"])
    found = rate_distortion.at_sizes(frame, [90, 145, 200])
    expected = [("a", 145, 22.25, 0.59), ("a", 200, 25.0, 0.7), ("b", 145, 9.5, 0.05)]
    pd.testing.assert_frame_equal(
        found.reset_index(drop=True), pd.DataFrame(expected, columns=["curve", "num_bytes", "psnr", "ssim"])
    )


@pytest.mark.parametrize("content", [{"label": "no points"}, {"label": "x", "points": [["codec"]]}, "nothing"])
def test_a_curve_must_be_one(content):
    with pytest.raises(ValueError, match=r"curve"):
        rate_distortion.read_curves({"curves": [content]})
