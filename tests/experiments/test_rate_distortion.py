"""Curves of rate and distortion in miniature."""

import logging

import pandas as pd
import pytest
import yaml
from PIL import Image

from experiments import composition, curves, rate_distortion
from experiments.composition import compose_row
from experiments.shared_curve import SharedCurve
from ganrev.codecs import AutoCodec
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.runner import NothingEncodedError, run
from tests.calling import call
from tests.experiments.tables import load
from tests.tiny import smooth_images

pytestmark = pytest.mark.usefixtures("quick_runs")

POINTS = [["codec=jpeg", "codec.quality=1"], ["codec=jpeg", "codec.quality=5"]]


def run_curves(place, name, content, *overrides):
    path = place / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    printed, status = call("rd", path, *overrides, "--results", place / "rd")
    return printed, status


def test_curves_by_size_by_points_and_of_one_reversal(place, common):
    rounding = ["quant=rd", "entropy=range", "entropy.model=fitted", "quant.steps=3", "quant.rounds=3"]
    content = {
        "title": "Three curves",
        "sizes": [300, 2500, 1500, 3000, 2000],
        "at": [2200],
        "anchors": ["JPEG"],
        "curves": [
            {
                "label": "reversal",
                "reversal": ["loss=ssim", "quant=none", "entropy=none"],
                "points": [[*rounding, f"quant.lmbda={lmbda}"] for lmbda in (3e-6, 4e-3)],
            },
            {"label": "WebP", "overrides": ["codec=webp"]},
            {"label": "JPEG", "overrides": ["codec=jpeg"], "sizes": [1200, 1500, 2000, 2500, 3000, 4000]},
        ],
    }
    printed, status = run_curves(place, "three", content, *common, "reversal.steps=5")
    assert status == 0
    frame = pd.read_csv(place / "rd" / "three.csv")
    mine, webp, jpeg = (frame[frame["curve"] == label] for label in ("reversal", "WebP", "JPEG"))
    assert mine["num_bytes"].is_monotonic_decreasing  # dearer bytes are fewer
    assert (webp["num_bytes"] <= webp["target_bytes"]).all()
    assert webp["target_bytes"].tolist() == [3000, 2500, 2000, 1500, 300][: len(webp)]
    assert jpeg["psnr"].is_monotonic_decreasing
    assert (frame["num_images"] == 2).all()
    deltas = pd.read_csv(place / "rd" / "three_deltas.csv")
    assert set(deltas["anchor"]) == {"JPEG"}
    better = deltas[(deltas["curve"] == "WebP") & (deltas["measure"] == "psnr")].iloc[0]
    assert better["bd_rate"] < -10 or better["quality_overlap"] < 0.5
    text = (place / "rd" / "three.md").read_text()
    assert text.startswith("**Three curves**")
    assert text in printed
    with Image.open(place / "rd" / "three.png") as picture:
        assert "ganrev rd" in picture.info["Source"]
    assert (place / "rd" / "three.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"anchors": ["JPEG", "PNGG"]}, "anchors PNGG are no curve; JPEG are"),
        ({"sizez": [700]}, "has sizez; curves have anchors, at, common, curves, name, sizes, title"),
    ],
)
def test_mistyped_keys_and_anchors_are_told_before_hours_of_measuring(place, common, capsys, wrong, message):
    content = {"sizes": [2000], "curves": [{"label": "JPEG", "overrides": ["codec=jpeg"]}]} | wrong
    assert run_curves(place, "mistyped", content, *common)[1] == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (place / "rd" / "mistyped.csv").exists()


def test_a_curve_ends_at_its_floor(place, common, tmp_path):
    content = {"sizes": [200, 100, 5000, 4000], "curves": [{"label": "JPEG", "overrides": ["codec=jpeg"]}]}
    printed, status = run_curves(place, "floor", content, *common)
    assert status == 0
    frame = pd.read_csv(place / "rd" / "floor.csv")
    assert frame["target_bytes"].tolist() == [5000, 4000]
    floor = frame["floor_bytes"].iloc[0]
    assert 200 < floor < 4000
    assert f"JPEG: its floor is {floor:.0f} bytes" in printed
    assert "point 3 of 4" in printed  # the size at which no picture has a file
    assert "point 4 of 4" not in printed
    last_lines = (place / "rd" / "floor.md").read_text().splitlines()[-1]
    assert "; commit " in last_lines


def test_a_floor_is_a_bound_where_not_all_pictures_have_told_theirs(place, common):
    point = {"label": "JPEG", "overrides": ["codec=jpeg"], "sizes": [5000, 100]}
    assert run_curves(place, "told", {"curves": [point]}, *common)[1] == 0
    rows = pd.read_csv(place / "rd" / "told.csv")
    config = compose_row(["codec=jpeg", "codec.target_bytes=100"], common)
    with pytest.raises(NothingEncodedError) as error:
        run(config)
    floors = composition.floors(error.value.failed)
    assert rows["floor_bytes"].iloc[0] == sum(floors) / 2
    between = {"label": "JPEG", "overrides": ["codec=jpeg"], "sizes": [5000, floors[0]]}
    printed, status = run_curves(place, "bound", {"curves": [between]}, *common)
    assert status == 0
    assert floors[0] < floors[1]
    assert f"its floor is at most {sum(floors) / 2:.0f} bytes" in printed
    assert pd.read_csv(place / "rd" / "bound.csv")["floor_bytes"].isna().all()


def test_missing_faces_are_told_before_anything_is_measured(place, common, capsys):
    content = {
        "sizes": [4000],
        "curves": [{"label": "JPEG", "points": POINTS}, {"label": "PCA", "overrides": ["codec=pca"]}],
    }
    printed, status = run_curves(place, "early", content, *common, "codec.faces=[nowhere.tar]")
    assert status == 2
    assert "point" not in printed
    assert "no training faces at nowhere.tar" in capsys.readouterr().err
    assert run_curves(place, "early", content, *common, "codec.faces=nowhere.tar")[1] == 2
    assert "codec.faces must be a list of tar shards" in capsys.readouterr().err


def test_shares_of_the_same_person_are_shown_where_they_were_measured():
    points = [("a", 100, 0.5, 0.75), ("a", 300, 0.4, 1.0), ("b", 100, float("nan"), float("nan"))]
    frame = pd.DataFrame(points, columns=["curve", "num_bytes", "identity", "identity_share"])
    frame = frame.assign(target_bytes=frame["num_bytes"], num_images=4, identity_ci95=0.1)
    lines = rate_distortion.to_markdown(frame, "shares").splitlines()
    assert [line.split(" | ")[-1] for line in lines if line.startswith("| ")] == [
        "same person |",
        "---: |",
        "75% |",
        "100% |",
        " |",
    ]


def test_no_file_of_any_size_leaves_a_curve_out(place, common):
    content = {
        "sizes": [20],
        "curves": [{"label": "JPEG", "overrides": ["codec=jpeg"]}, {"label": "JPEG, points", "points": POINTS}],
    }
    printed, status = run_curves(place, "none", content, *common)
    assert status == 0
    assert "JPEG: left out: no picture has a file of 20 bytes or less" in printed
    assert set(pd.read_csv(place / "rd" / "none.csv")["curve"]) == {"JPEG, points"}


def test_what_cannot_be_measured_here_is_left_out(place, common, monkeypatch):
    monkeypatch.setattr("baselines.newer.find_spec", lambda name: None)
    content = {
        "sizes": [4000],
        "curves": [
            {"label": "PCA", "overrides": ["codec=pca"]},
            {"label": "JPEG XL", "overrides": ["codec=jxl"]},
            {"label": "JPEG", "points": POINTS},
        ],
    }
    _, status = run_curves(place, "missing", content, *common)
    assert status == 0
    assert pd.read_csv(place / "rd" / "missing.csv")["curve"].unique().tolist() == ["JPEG"]
    text = (place / "rd" / "missing.md").read_text()
    assert "PCA: left out: principal components are fitted" in text
    assert "JPEG XL: left out: codec=jxl needs its extra" in text
    _, status = run_curves(place, "missing", content | {"curves": content["curves"][:2]}, *common)
    assert status == 2


def test_files_of_all_sizes_are_made_at_once(place, common, monkeypatch):
    calls = []

    def encode_curve(self, images, sizes):
        calls.append((len(images), list(sizes)))
        return original(self, images, sizes)

    original = AutoCodec.encode_curve
    monkeypatch.setattr(AutoCodec, "encode_curve", encode_curve)
    budget = "{_target_: ganrev.codecs.rate_control.RateBudget, num_searches: 2}"
    own = ["codec=gan_auto", f"+codec.budget={budget}", "reversal.steps=20"]
    curve = {"label": "GAN", "overrides": own, "at_once": True, "sizes": [30, 60, 40]}
    _, status = run_curves(place, "at_once", {"curves": [curve]}, *common, "batch_size=1")
    assert status == 0
    assert calls == [(1, [30, 40, 60])] * 2  # once for each batch, not for each size
    frame = pd.read_csv(place / "rd" / "at_once.csv")
    assert frame["target_bytes"].tolist() == [60, 40, 30]
    assert (frame["num_bytes"] <= frame["target_bytes"]).all()
    assert frame["psnr"].is_monotonic_decreasing
    assert "of 4 pairs of single pictures' files" in (place / "rd" / "at_once.md").read_text()
    assert not list((place / "runs").glob(".*.curve"))
    # A point is what a run by itself would give.
    user = [*common, "batch_size=1", "force=true"]
    point = curves.read_curves({"curves": [curve]})[0].points[1]
    alone = RunFolder(run(compose_row(point, user)))
    assert alone.rows["num_bytes"].mean() == frame["num_bytes"][1]
    assert alone.rows["psnr"].mean() == pytest.approx(frame["psnr"][1])
    assert len(calls) == 4


def test_only_automatic_mode_makes_curves_at_once(place, common, capsys):
    curve = {"label": "JPEG", "overrides": ["codec=jpeg"], "at_once": True, "sizes": [3000]}
    assert run_curves(place, "wrong", {"curves": [curve]}, *common)[1] == 2
    assert "curve" in capsys.readouterr().err


def test_a_killed_curve_goes_on_where_it_stopped(place, common, monkeypatch, tmp_path):
    own = ["codec=gan_auto", "codec.target_bytes=40", "codec.curve=[16,40]", "reversal.steps=5"]
    shared = SharedCurve.of(own, [*common, f"out={tmp_path}"])
    images = smooth_images(1)
    found = shared.report(images, 40)
    monkeypatch.setattr(AutoCodec, "encode_curve", None)
    again = SharedCurve.of(own, [*common, f"out={tmp_path}"])
    assert again.report(images, 40) == found
    assert again.report(images, 16).blobs != found.blobs
    again.remove()
    assert not list(tmp_path.iterdir())


def test_finished_runs_are_taken_as_they_are(place, common, caplog):
    content = {"curves": [{"label": "JPEG", "points": POINTS}]}
    assert run_curves(place, "again", content, *common)[1] == 0
    with caplog.at_level(logging.INFO):
        assert run_curves(place, "again", content, *common)[1] == 0
    assert sum("is there already" in message for message in caplog.messages) == len(POINTS)


def test_the_shipped_curves_can_be_read():
    experiment = load("rd")
    found = {curve.label: curve for curve in curves.read_curves(experiment)}
    assert {"GAN reversal", "PCA", "WebP", "AVIF", "JPEG 2000", "JPEG XL", "HEIF", "JPEG"} <= set(found)
    assert found["AVIF"].sizes[0] == 2000
    assert found["AVIF"].sizes[-1] == 60
    assert found["GAN reversal"].at_once
    assert found["AVIF"].points[-1] == ["codec=avif", "codec.target_bytes=60"]
    assert found["WebP"].sizes[-1] == 580  # of its own: below it has no files


def test_curves_are_compared_at_equal_sizes_within_their_points():
    points = [
        ("a", 100, 20.0, 0.5, 0),
        ("a", 300, 30.0, 0.9, 0),
        ("a", 80, 99.0, 0.9, 1),  # lacks a picture
        ("b", 150, 10.0, 0.1, 0),
        ("b", 140, 9.0, 0.0, 0),
    ]
    frame = pd.DataFrame(points, columns=["curve", "num_bytes", "psnr", "ssim", "num_without"])
    found = rate_distortion.at_sizes(frame, [90, 145, 200])
    expected = [("a", 145, 22.25, 0.59), ("a", 200, 25.0, 0.7), ("b", 145, 9.5, 0.05)]
    pd.testing.assert_frame_equal(
        found.reset_index(drop=True), pd.DataFrame(expected, columns=["curve", "num_bytes", "psnr", "ssim"])
    )


@pytest.mark.parametrize(
    "content",
    [
        {"label": "no points"},
        {"label": "x", "points": [["codec"]]},
        {"label": "x", "overrides": ["codec=jpeg"], "points": POINTS},
        {"label": "no sizes", "overrides": ["codec=jpeg"]},
        {"label": "x", "overrides": ["codec=jpeg"], "sizes": [0]},
        "nothing",
    ],
)
def test_a_curve_must_be_one(content):
    with pytest.raises(ValueError, match=r"curve"):
        curves.read_curves({"curves": [content]})


def test_labels_tell_curves_apart():
    with pytest.raises(ValueError, match="a label of its own"):
        curves.read_curves({"curves": [{"label": "x", "points": POINTS}] * 2})
