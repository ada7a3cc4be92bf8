"""Tables in miniature: every row is measured, once."""

import math
import re
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from PIL import Image

from experiments import table
from experiments.origins import describe_origins
from ganrev.codecs import BelowFloorError
from ganrev.evaluation import metrics, runner
from ganrev.evaluation.run_folder import RunFolder
from ganrev.reversal.perceptual import is_available
from tests.calling import call
from tests.experiments.tables import METRICS, load, run_table

pytestmark = pytest.mark.usefixtures("quick_runs")


def test_the_baselines_make_a_table(place, common):
    printed, status = call("table", "baselines", *common, "--results", place / "baselines")
    assert status == 0
    rows = load("baselines")["rows"]
    assert pd.read_csv(place / "baselines" / "baselines.csv")["scheme"].tolist() == [row["label"] for row in rows]
    assert all(row["label"] in printed for row in rows)


def test_table2_leaves_out_codecs_that_have_no_file_so_small_and_pca_without_faces(place, common, tmp_path):
    rows = load("table2")["rows"]
    assert {row["overrides"][1] for row in rows} == {f"codec.target_bytes={size}" for size in (120, 250, 445, 700)}
    quick = ("JPEG, 120", "WebP, 445", "JPEG 2000, 250", "PCA, 250", "JPEG, 700")
    rows = [row for row in rows if row["label"].startswith(quick)]
    printed, status = run_table(rows, tmp_path, *common)
    assert status == 0
    frame = pd.read_csv(tmp_path / "own.csv")
    assert frame["scheme"].tolist() == ["JPEG 2000, 250 bytes", "WebP, 445 bytes", "JPEG, 700 bytes"]
    assert (frame["num_bytes"] <= [250, 445, 700]).all()
    assert re.search(
        r"JPEG, 120 bytes: left out: it has a file so small for no picture; its floor is \d+( to \d+)? bytes\.", printed
    )
    assert re.search(r"PCA, 250 bytes: left out: .* training faces.*codec\.faces=\[", printed)


def test_a_row_that_lacks_most_pictures_is_left_out_and_one_that_lacks_few_says_so():
    few = {"a": str(BelowFloorError(100, 120)), "b": str(BelowFloorError(100, 130)), "c": "a red corner"}
    assert table._failures(few, 9) == [
        "c failed: a red corner",
        "2 of 12 pictures have no file so small and are left out of its means; the floor for them is 120 to 130 bytes",
    ]
    rows = [table.Row(label, ["codec=webp"]) for label in "ABC"]
    runs = [
        SimpleNamespace(summary={"images_failed": few, "num_images": 9}),
        SimpleNamespace(summary={"images_failed": few, "num_images": 1}),
    ]
    left_out = {"B": "why"}
    assert [row.label for row, _ in table.leave_out(rows, runs, left_out)] == ["A"]
    assert left_out["C"].startswith(
        "left out: it has no file so small for 2 of 4 pictures; its floor for them is 120 to"
    )
    with pytest.raises(ValueError, match="no row is left: B: why; C: left out"):
        table.leave_out(rows[1:], runs[1:], {"B": "why"})


@pytest.mark.skipif(not is_available(), reason="needs the extra perceptual")
def test_the_generators_make_a_table(place, common):
    _, status = call("table", "generators", *common, "--results", place / "generators")
    assert status == 0
    frame = pd.read_csv(place / "generators" / "generators.csv")
    rows = load("generators")["rows"]
    assert frame["scheme"].tolist() == [row["label"] for row in rows]
    # The tiny generator stands for all three, whatever the path: three runs, one a loss.
    assert frame["run"].nunique() == 3
    assert (frame["paper_bytes"] > 4 * 16 * 0.9).all()  # latents that were not rounded
    paths = {override for row in rows for override in row["overrides"] if override.startswith("generator.path=")}
    assert {path.rpartition("/")[2] for path in paths} == {"pca.safetensors", "reconstruction.safetensors"}
    assert all(set(row["overrides"]) - paths >= {"quant=none"} for row in rows)


@pytest.mark.skipif(not is_available(), reason="needs the extra perceptual")
def test_the_reach_tells_how_well_all_but_a_few_seen_pictures_do(place, common):
    _, status = call("table", "reach", *common, "--results", place / "reach")
    assert status == 0
    frame = pd.read_csv(place / "reach" / "reach.csv").set_index("scheme")
    assert frame["num_images"].tolist() == [2] * 4 + [10] * 3  # a folder has no say over seen pictures
    told = [line for line in (place / "reach" / "reach.md").read_text().splitlines() if "95 % of its" in line]
    assert [line.split(":")[0].removeprefix("- ") for line in told] == list(frame.index[4:])
    rows = pd.read_csv(place / "runs" / frame["run"].iloc[4] / "rows.csv")
    assert f"a PSNR of {sorted(rows['psnr'])[1]:.1f} dB or more" in told[0]


def test_table1_has_the_rows_and_the_papers_figures_of_its_yaml(table1):
    frame = pd.read_csv(table1[0] / "table1.csv")
    rows = load("table1")["rows"]
    assert frame["scheme"].tolist() == [row["label"] for row in rows]
    for (_, line), row in zip(frame.iterrows(), rows, strict=True):
        for key in table.PAPER_FIGURES:
            shown = line[f"{key}_in_paper"]
            assert shown == row["paper"][key] if key in row.get("paper", {}) else math.isnan(shown)
    assert {len(row.get("paper", {})) for row in rows} == {0, 5}


def test_table1_measures(table1):
    frame = pd.read_csv(table1[0] / "table1.csv").set_index("scheme")
    assert set(frame.columns) >= METRICS
    assert (frame["num_images"] == 2).all()
    assert (frame["images_skipped"] == 1).all()
    assert (frame.loc["PNG", ["psnr", "mse", "ssim", "cr"]] == [math.inf, 0, 1, 1]).all()
    assert frame.loc["JPEG, 10 %", "psnr"] > frame.loc["JPEG, 1 %", "psnr"]
    assert frame.loc["K-means, K = 4", "num_bytes"] > frame.loc["K-means, K = 2", "num_bytes"]
    gan = frame[frame.index.str.startswith("GAN")]
    assert (gan["image_size"] == 32).all()
    assert (gan["num_bytes"] - gan["paper_bytes"]).between(1, 12).all()
    assert gan["run"].is_unique
    assert (frame.drop(gan.index)["image_size"] == 128).all()
    assert frame["psnr_ci95"].drop("PNG").gt(0).all()


def test_a_finished_table_runs_nothing(table1, place, common, monkeypatch):
    before = (table1[0] / "table1.csv").read_bytes()

    def fail(*arguments):
        raise AssertionError("a finished run was repeated")

    monkeypatch.setattr(runner, "_evaluate", fail)
    assert call("table", *common, "--results", place / "again")[1] == 0
    assert (place / "again" / "table1.csv").read_bytes() == before


def test_only_a_missing_row_runs(table1, place, common, monkeypatch):
    frame = pd.read_csv(table1[0] / "table1.csv").set_index("scheme")
    lost = place / "runs" / frame.loc["JPEG, 1 %", "run"]
    lost.rename(place / "lost")
    made = []
    evaluate = runner._evaluate
    monkeypatch.setattr(runner, "_evaluate", lambda *a: (made.append(a[-1].codec), evaluate(*a)))
    assert call("table", *common, "--results", place / "again")[1] == 0
    assert [codec.quality for codec in made] == [1]
    assert sorted(p.name for p in (lost / "blobs").iterdir()) == ["face0.jpg", "face1.jpg"]


def test_the_papers_figures_come_from_the_yaml_alone(tmp_path, place, common, table1):
    rows = [{"label": "mine", "overrides": ["codec=jpeg", "codec.quality=1"], "paper": {"bpp": 9.875}}]
    printed, _ = run_table(rows, tmp_path, *common)
    assert "9.875" in printed
    frame = pd.read_csv(tmp_path / "own.csv")
    assert frame["bpp_in_paper"].tolist() == [9.875]
    assert frame[["cr_in_paper", "ssim_in_paper"]].isna().all(axis=None)
    code = "".join(path.read_text() for path in Path(table.__file__).parent.glob("*.py"))
    figures_of_paper = {str(v) for row in load("table1")["rows"] for v in row.get("paper", {}).values()}
    assert not [number for number in figures_of_paper if len(number) > 4 and number in code]


def test_failed_pictures_and_diverged_lanes_are_named(tmp_path, common):
    red = tmp_path / "pictures"
    red.mkdir()
    for name, colour in (("fine", (0, 99, 0)), ("red", (255, 0, 0))):
        Image.new("RGB", (128, 128), colour).save(red / f"{name}.png")
    picky = ["codec=png", "codec._target_=tests.tiny.RawCodec", "+codec.size=128", "+codec.picky=true"]
    wild = ["generator._target_=tests.tiny.FragileGenerator", "reversal.restarts=6", "reversal.lr=0.01"]
    rows = [{"label": "picky", "overrides": picky}, {"label": "wild", "overrides": wild}]
    printed, status = run_table(rows, tmp_path, *common, f"data.root={red}", f"out={tmp_path}")
    assert status == 0
    assert "picky: red failed: a red corner." in printed
    assert re.search(r"wild: \d+ of 12 lanes diverged\.", printed)
    frame = pd.read_csv(tmp_path / "own.csv").set_index("scheme")
    assert frame["images_failed"].tolist() == [1, 0]
    assert frame.loc["picky", "num_images"] == 1


def test_a_table_says_of_runs_that_were_finished_before_the_extra_came(table1, place, monkeypatch):
    frame = pd.read_csv(table1[0] / "table1.csv")
    runs = [RunFolder(place / "runs" / name) for name in frame["run"]]
    monkeypatch.setattr(metrics, "takes_stlpips", lambda height, width: True)
    lines = [line for line in table.notes(frame, runs, []) if "ST-LPIPS" in line]
    assert len(lines) == len(runs)
    assert lines[0].startswith(f"{frame['scheme'][0]}: no ST-LPIPS: the run was finished without the extra")


def test_a_generator_that_saw_the_test_pictures_is_called_so(tmp_path):
    (tmp_path / "config.yaml").write_text("codec: {generator: {_target_: ganrev.generator.load_pggan}}")
    (tmp_path / "provenance.json").write_text('{"weights": "0123456789abcdef"}')
    (line,) = table._generators([RunFolder(tmp_path)])
    assert line.startswith("Generator: pggan, weights 0123456789ab; ")
    assert "no CelebA picture is unseen to it" in line


def test_rows_of_two_machines_are_told_apart():
    frame = pd.DataFrame({"scheme": ["a", "b", "c"], "hardware": ["x", "y", "x"], "commit": "c" * 40, "dirty": False})
    assert describe_origins(frame, "scheme") == [
        f"{s}: measured on {h}; commit {'c' * 12}." for s, h in (("a, c", "x"), ("b", "y"))
    ]
    assert describe_origins(frame.iloc[[0, 2]].assign(dirty=True), "scheme") == [
        f"Measured on x; commit {'c' * 12}, with uncommitted changes."
    ]
