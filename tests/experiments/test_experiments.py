"""Tables, the sweep and figures, each in miniature."""

import contextlib
import io
import math
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hydra.errors import HydraException
from PIL import Image

from experiments import automatic as automatic_mode
from experiments import composition, figures, rate_distortion, rendering, sweep, table
from experiments.composition import applicable
from ganrev.cli import main
from ganrev.evaluation import runner
from ganrev.evaluation.run_folder import RunFolder
from ganrev.paths import config_dir
from ganrev.reversal.perceptual import is_available
from tests.tiny import OVERRIDES

pytestmark = pytest.mark.usefixtures("quick_runs")

EXPERIMENTS = sorted((config_dir() / "tables").glob("*.yaml"))
METRICS = {"num_bytes", "paper_bytes", "bpp", "paper_bpp", "psnr", "mse", "ssim", "encode_seconds", "decode_seconds"}


def load(name):
    return yaml.safe_load((config_dir() / "tables" / f"{name}.yaml").read_text())


def call(command, *argv):
    """Run `ganrev COMMAND ...` in this process; returns what it printed and its exit status."""
    printed = io.StringIO()
    status = 0
    with contextlib.redirect_stdout(printed):
        try:
            main([command, *map(str, argv)])
        except SystemExit as end:
            status = end.code
    return printed.getvalue(), status


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Room for runs and results."""
    return tmp_path_factory.mktemp("experiments")


@pytest.fixture(scope="module")
def common(place, two_pictures):
    """Overrides that every row takes, where it leaves them open: pictures, and among them a file that is none."""
    (two_pictures / "notes.txt").write_text("no picture")
    return [*OVERRIDES, "data=folder", f"data.root={two_pictures}", f"out={place / 'runs'}"]


@pytest.fixture(scope="module")
def table1(place, common):
    """The folder of Table 1 in miniature, and what was printed."""
    printed, status = call("table", "table1", *common, "--results", place / "tables")
    assert status == 0
    return place / "tables", printed


def run_table(rows, folder, *overrides):
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump({"rows": rows}))
    printed, status = call("table", f"experiment={path}", *overrides, "--results", folder)
    return printed, status


def test_every_experiment_is_run_here():
    kinds = {
        "rows": {"table1", "baselines", "generators", "reach"},
        "comparisons": {"figures"},
        "overrides": {"sweep", "grid"},
        "curves": {"rd"},
        "grid": {"automatic"},
    }
    found = {kind: {p.stem for p in EXPERIMENTS if kind in load(p.stem)} for kind in kinds}
    assert found == kinds
    assert {p.stem for p in EXPERIMENTS} == set.union(*kinds.values())


def test_the_baselines_make_a_table(place, common):
    printed, status = call("table", "baselines", *common, "--results", place / "baselines")
    assert status == 0
    rows = load("baselines")["rows"]
    assert pd.read_csv(place / "baselines" / "baselines.csv")["scheme"].tolist() == [row["label"] for row in rows]
    assert all(row["label"] in printed for row in rows)


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


def test_curves_are_compared_at_equal_sizes_within_their_points():
    points = [("a", 100, 20.0, 0.5), ("a", 300, 30.0, 0.9), ("b", 150, 10.0, 0.1), ("b", 140, 9.0, 0.0)]
    frame = pd.DataFrame(points, columns=["curve", "num_bytes", "psnr", "ssim"])
    found = rate_distortion.at_sizes(frame, [90, 145, 200])
    expected = [("a", 145, 22.25, 0.59), ("a", 200, 25.0, 0.7), ("b", 145, 9.5, 0.05)]
    pd.testing.assert_frame_equal(
        found.reset_index(drop=True), pd.DataFrame(expected, columns=["curve", "num_bytes", "psnr", "ssim"])
    )


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
    experiment["automatic"] += ["codec.lrs=[0.1]"]
    experiment["grid"] = {"reversal.lr": [0.1], "reversal.restarts": [1, 2], "quant.step": [0.2, 1.0]}
    path = place / "auto.yaml"
    path.write_text(yaml.safe_dump(experiment))
    printed, status = call(
        "automatic", f"experiment={path}", *common, "reversal.steps=5", "--results", place / "automatic"
    )
    assert status == 0
    assert "Automatic mode takes" in printed
    assert len(pd.read_csv(place / "automatic" / "auto.csv")) == 2 * 2 * 2  # restarts, steps, pictures


@pytest.mark.parametrize("content", [{"label": "no points"}, {"label": "x", "points": [["codec"]]}, "nothing"])
def test_a_curve_must_be_one(content):
    with pytest.raises(ValueError, match=r"curve"):
        rate_distortion.read_curves({"curves": [content]})


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


def test_table1_is_printed_with_the_papers_figures_below_each_row(table1):
    _, printed = table1
    lines = printed.splitlines()
    assert "[4/7] JPEG, 10 % ..." in lines
    header = next(line.split() for line in lines if line.startswith("scheme"))
    assert header[1:5] == ["n", "px", "bytes", "BPP"]
    jpeg = next(i for i, line in enumerate(lines) if line.startswith("JPEG, 1 %"))
    assert "±" in lines[jpeg]
    assert lines[jpeg + 1].split() == ["in", "the", "paper", "0.2176", "62.64", "20.465", "589.15", "0.528"]
    two = next(i for i, line in enumerate(lines) if line.startswith("K-means, K = 2"))
    assert "in the paper" not in lines[two + 1]


def test_table1_says_where_it_comes_from_and_what_is_missing(table1):
    folder, printed = table1
    for text in (printed, (folder / "table1.md").read_text(), (folder / "table1.tex").read_text().replace("\\", "")):
        assert re.search(r"Measured on .+; commit [0-9a-f]{12}|Measured on .+; commit unknown", text)
        assert "Skipped notes.txt: not a picture" in text
        assert "Rows differ in the size of their pictures" in text
        assert "data=folder" in text
        assert "out=" not in text
        assert "Generator: tiny, weights 0123456789ab." in text


def test_table1_in_markdown_is_one_table(table1):
    text = (table1[0] / "table1.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 7 + 6
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| PNG | 2 | 128 |")
    assert "| ∞ |" in lines[2]
    assert lines[3].startswith("| *in the paper* |  |  |  | *13.63* | *1* | *∞* | *0* | *1* |")


def test_table1_in_latex_is_escaped(table1):
    text = (table1[0] / "table1.tex").read_text()
    assert text.count(r"\quad in the paper & ") == 6
    assert r"JPEG, 10 \% & 2 & 128" in text
    assert r"$\infty$" in text
    assert text.isascii()
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and "&" in line]
    assert len({line.count("&") for line in rows}) == 1
    assert not re.search(r"(?<!\\)[%#_]", text.replace("% needs", ""))


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


def test_equal_sizes_of_128_need_no_column(tmp_path, common):
    rows = [{"label": "jpeg", "overrides": ["codec=jpeg", "codec.quality=1"]}]
    printed, _ = run_table(rows, tmp_path, *common)
    assert "n pictures of 128 x 128 pixels" in printed
    assert " px " not in printed


def test_failed_pictures_and_diverged_lanes_are_named(tmp_path, common):
    red = tmp_path / "pictures"
    red.mkdir()
    for name, colour in (("fine", (0, 99, 0)), ("red", (255, 0, 0))):
        Image.new("RGB", (128, 128), colour).save(red / f"{name}.png")
    picky = ["codec=png", "codec._target_=tests.tiny.RawCodec", "+codec.size=128", "+codec.picky=true"]
    wild = ["reversal=paper", "reversal.lr=1e9", "reversal.steps=20", "loss=mse"]
    rows = [{"label": "picky", "overrides": picky}, {"label": "wild", "overrides": wild}]
    printed, status = run_table(rows, tmp_path, *common, f"data.root={red}", f"out={tmp_path}")
    assert status == 0
    assert "picky: red failed: a red corner." in printed
    assert re.search(r"wild: [12] of 2 lanes diverged\.", printed)
    frame = pd.read_csv(tmp_path / "own.csv").set_index("scheme")
    assert frame["images_failed"].tolist() == [1, 0]
    assert frame.loc["picky", "num_images"] == 1


def test_st_lpips_is_shown_where_it_was_measured(table1):
    frame = pd.read_csv(table1[0] / "table1.csv")
    assert "stlpips" not in frame
    assert "ST-LPIPS" not in table1[1]
    assert (rendering.cells(frame.assign(stlpips=0.25)).loc[[0, 2], "ST-LPIPS"] == "0.250").all()


def test_an_undefined_number_is_left_out_and_an_interval_of_one_picture_too():
    frame = pd.DataFrame([{"scheme": "a", "image_size": 64, "psnr": 20.5, "psnr_ci95": math.nan}])
    frame = frame.assign(**{f"{k}_in_paper": math.nan for k in table.PAPER_FIGURES})
    assert rendering.cells(frame).to_dict("records") == [{"scheme": "a", "px": "64", "PSNR, dB": "20.50"}]


def test_a_generator_that_saw_the_test_pictures_is_called_so(tmp_path):
    (tmp_path / "config.yaml").write_text("codec: {generator: {_target_: ganrev.generator.load_pggan}}")
    (tmp_path / "provenance.json").write_text('{"weights": "0123456789abcdef"}')
    (line,) = table._generators([RunFolder(tmp_path)])
    assert line.startswith("Generator: pggan, weights 0123456789ab; ")
    assert "no CelebA picture is unseen to it" in line


def test_rows_of_two_machines_are_told_apart():
    frame = pd.DataFrame({"scheme": ["a", "b", "c"], "hardware": ["x", "y", "x"], "commit": "c" * 40, "dirty": False})
    assert table._origins(frame) == [
        f"{s}: measured on {h}; commit {'c' * 12}." for s, h in (("a, c", "x"), ("b", "y"))
    ]
    assert table._origins(frame.iloc[[0, 2]].assign(dirty=True)) == [
        f"Measured on x; commit {'c' * 12}, with uncommitted changes."
    ]


@pytest.mark.parametrize(
    ("own", "user", "left"),
    [
        (["codec=png"], ["data.limit=3"], ["data.limit=3"]),
        (["reversal=paper"], ["reversal.steps=3"], ["reversal.steps=3"]),
        (["loss=ssim", "quant=extreme"], ["quant=standard", "seed=1"], ["seed=1"]),
        (["codec=jpeg", "codec.quality=1"], ["codec.quality=9"], []),
        (["data=seen"], ["data=folder", "data.root=x", "out=y"], ["out=y"]),
        (["data=seen"], ["+data.extra=1", "~data.strict"], ["+data.extra=1", "~data.strict"]),
        (["loss=mse"], ["codec.faces=[a.tar]", "data.limit=3"], ["data.limit=3"]),
        (["codec=pca"], ["codec.faces=[a.tar]", "data.limit=3"], ["codec.faces=[a.tar]", "data.limit=3"]),
        (["loss=mse"], ["data=folder", "data.root=x"], ["data=folder", "data.root=x"]),
    ],
)
def test_a_rows_own_choice_stands(own, user, left):
    assert applicable(own, user) == left


def test_an_override_that_only_other_rows_know_is_no_mistake_and_one_that_none_knows_is():
    rows = [["loss=mse"], ["codec=pca"]]
    (plain, _), (components, _) = composition.compose_all(rows, ["codec.faces=[a.tar]"])
    assert "faces" not in plain.codec
    assert components.codec.faces == ["a.tar"]
    with pytest.raises(HydraException, match=r"codec\.facez"):
        composition.compose_all(rows, ["codec.facez=[a.tar]"])


def test_an_override_that_no_row_reads_is_warned_about(tmp_path, common, caplog):
    rows = [{"label": "jpeg", "overrides": ["codec=jpeg", "codec.quality=1"]}]
    run_table(rows, tmp_path, *common, "latent_scale=2")
    assert "latent_scale=2 has no effect" in caplog.text
    assert "data.root" not in caplog.text


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"label": "a"}], "row 1: expected the keys label, overrides"),
        ([{"label": "a", "overrides": "codec=png"}], "expected `overrides` as a list"),
        ([{"label": "a", "overrides": ["codec=png"], "paper": {"vmaf": 1}}], "got vmaf"),
        ([{"label": "a", "overrides": ["codec=png"]}] * 2, "a label of its own"),
        ([], "at least one row"),
        ([{"label": f, "overrides": [f"codec={f}"]} for f in ("png", "pgn")], "codec/pgn"),
    ],
)
def test_a_bad_table_ends_with_one_message(rows, message, tmp_path, capsys):
    printed, status = run_table(rows, tmp_path)
    assert status == 2
    assert "[1/" not in printed  # said before anything is run
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error


@pytest.mark.parametrize(("command", "other"), [("table", "sweep"), ("sweep", "table1"), ("figures", "sweep")])
def test_a_table_of_another_command_is_refused(command, other, tmp_path, capsys):
    for name, message in (
        (other, "belongs to another command"),
        ("none", f"choose one of {', '.join(path.stem for path in EXPERIMENTS)}"),
    ):
        assert call(command, name, "--results", tmp_path)[1] == 2
        assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def drawn(place, common, table1):
    """The panels of both comparisons and the reversal of Figure 1; the files are drawn."""
    content = composition.load_experiment("figures")
    printed, status = call("figures", *common, "--results", place / "figures")
    assert status == 0
    comparisons = [figures.comparison(one, common, 0) for one in content["comparisons"]]
    return content, comparisons, figures.reversal(content["reversal"], common, 0), printed


def test_figures_are_drawn_as_png_and_pdf(drawn, place):
    content, _, _, printed = drawn
    names = [content["reversal"]["file"], *(one["file"] for one in content["comparisons"])]
    assert names == ["figure1", "figure2", "figure3"]
    assert {p.name for p in (place / "figures").iterdir()} == {f"{n}{s}" for n in names for s in (".png", ".pdf")}
    for name in names:
        assert (place / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        with Image.open(place / "figures" / f"{name}.png") as picture:
            picture.load()
            assert picture.width > 1500
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 1000
        assert str(place / "figures" / f"{name}.png") in printed


def test_byte_counts_are_those_of_the_stored_files(drawn, place, common):
    content, comparisons, reversal, _ = drawn
    for one, panels in zip(content["comparisons"], comparisons, strict=True):
        assert [panel.label for panel in panels] == [p["label"] for p in one["panels"]]
        for described, panel in zip(one["panels"], panels, strict=True):
            overrides = [*described["overrides"], *applicable(described["overrides"], common)]
            folder = runner.run(composition.compose_config(overrides))
            name = RunFolder(folder).rows["name"][0]
            (blob,) = (folder / "blobs").glob(f"{name}.*")
            assert panel.num_bytes == len(blob.read_bytes())
            assert f"{panel.num_bytes:,} bytes" in panel.caption
            assert (RunFolder(folder).decoded(name) == panel.image).all()
    assert comparisons[0][0].caption.endswith("lossless")
    assert "SSIM" in comparisons[0][-1].caption
    assert 12 < reversal.decoded.num_bytes < reversal.original.num_bytes


def test_figure_1_shows_the_steps_of_the_run(drawn):
    _, _, reversal, _ = drawn
    assert reversal.steps[0] == 0
    assert reversal.steps[-1] == 20
    assert len(reversal.steps) == 5
    assert reversal.losses.shape == (1, 20)
    assert reversal.loss_name == "SSIM"
    # The loss of a step is that of the very picture that is shown, before its pixels were rounded.
    for step, panel in list(zip(reversal.steps, reversal.under_way, strict=True))[:-1]:
        assert 1 - panel.ssim == pytest.approx(reversal.losses[0, step], abs=2e-3)
    assert reversal.under_way[-1].ssim > reversal.under_way[0].ssim


@pytest.mark.parametrize(("picture", "fits"), [("1", True), ("2", False), ("-1", False)])
def test_the_picture_can_be_chosen(picture, fits, common, drawn, tmp_path, capsys):
    path = tmp_path / "one.yaml"
    panels = [{"label": "original", "overrides": ["codec=png"]}]
    content = load("figures") | {"comparisons": [{"file": "unseen", "panels": panels}]}
    path.write_text(yaml.safe_dump(content))
    _, status = call("figures", path, *common, f"--picture={picture}", "--results", tmp_path)
    assert status == (0 if fits else 2)
    assert (tmp_path / "unseen.png").exists() == fits
    assert fits or f"picture {picture} is not among the 2 pictures" in capsys.readouterr().err


def test_another_picture_is_shown(common, drawn):
    _, comparisons, reversal, _ = drawn
    content = composition.load_experiment("figures")
    other = figures.comparison(content["comparisons"][1], common, 1)
    assert not (other[0].image == comparisons[1][0].image).all()
    assert not (figures.reversal(content["reversal"], common, 1).losses == reversal.losses).any()


def test_a_picture_that_one_codec_refused_is_named(common, drawn):
    folder = runner.run(composition.compose_config([*common, "codec=png"]))
    with pytest.raises(ValueError, match=r"\(JPEG\) has no picture face7"):
        figures.panel_of("JPEG", RunFolder(folder), "face7")


def test_the_same_figures_are_the_same_files(place, common, drawn, tmp_path):
    assert call("figures", *common, "--results", tmp_path)[1] == 0
    for file in (place / "figures").iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def sweep_in_miniature(folder, *overrides):
    small = ["data=seen", "data.limit=1", *OVERRIDES, "quant=standard,extreme", "reversal.restarts=1"]
    logs = f"hydra.sweep.dir={folder / 'logs'}"
    return call("sweep", *small, *overrides, f"out={folder / 'runs'}", logs, "--results", folder / "sweeps")


def test_a_sweep_writes_one_tidy_csv_and_fails_if_a_job_fails(tmp_path, capfd):
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


def test_verify_passes_a_sound_run_and_names_one_whose_scores_were_changed(common, tmp_path):
    run = runner.run(composition.compose_config([*common, f"out={tmp_path}"]))
    printed, status = call("verify", run, "--alone", "1")
    assert status == 0
    assert "CHANGED" not in printed

    rows = pd.read_csv(run / "rows.csv")
    rows["ssim"] += 0.01
    rows.to_csv(run / "rows.csv", index=False)
    printed, status = call("verify", run, "--alone", "1")
    assert status == 1
    assert "CHANGED by more than 1e-3" in printed
