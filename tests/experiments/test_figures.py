"""Figures in miniature."""

import pandas as pd
import pytest
import yaml
from PIL import Image

from experiments import composition
from experiments.figures import command, pictures
from experiments.figures.pictures import Request
from experiments.figures.stored import MissingRunError, StoredRuns, expand
from ganrev.configuration.overrides import table_path
from ganrev.evaluation import runner
from ganrev.evaluation.run_folder import RunFolder
from tests.calling import call
from tests.experiments.tables import load

pytestmark = pytest.mark.usefixtures("quick_runs")

SWEEPS = {
    "rates": ["loss=mse", "quant=extreme", "reversal.lr=0.1,0.2", "reversal.restarts=1,2"],
    "steps": ["loss=mse", "quant=scaled", "quant.step=0.1,0.5", "entropy=range", "entropy.model=fitted"],
    "sizes": ["codec=gan_auto", "codec.target_bytes=40,60"],
    "seeds": ["loss=mse", "quant=extreme", "seed=0,1,2"],
}


@pytest.fixture(scope="module")
def experiment(place):
    """The shipped figures, their sweeps in miniature."""
    content = load("figures")
    for name, overrides in SWEEPS.items():
        (place / f"{name}.yaml").write_text(yaml.safe_dump({"overrides": overrides}))
    small = {"learning_rates": "rates", "step_sizes": "steps", "levels": "sizes", "seeds": "seeds"}
    for one in content["figures"]:
        if "sweep" in one:
            one["sweep"] = str(place / f"{small[one['sweep']]}.yaml")
        if one["file"] == "convergence":
            one["overrides"][2] = "reversal.restarts=2"
        if one["kind"] == "curve":
            one["tables"] = str(place / "tables")
    path = place / "figures_in_miniature.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def drawn(place, common, table1, experiment):
    """The figures, whose runs are made, and what was printed."""
    points = [{"curve": c, "num_bytes": b, "psnr": b / 9, "psnr_ci95": 1.0} for c in "ab" for b in (100, 300)]
    frame = pd.DataFrame(points).assign(num_without=0, floor_bytes=[80.0, 80.0, None, None])
    frame.to_csv(place / "tables" / "rd.csv")
    printed, status = call("figures", experiment, *common, "--make", "--results", place / "figures")
    assert status == 0
    return place / "figures", printed


def test_figures_are_drawn_as_png_and_pdf(drawn, place, experiment):
    folder, printed = drawn
    names = [one["file"] for one in load("figures")["figures"]]
    assert {p.name for p in folder.iterdir()} == {f"{n}{s}" for n in names for s in (".png", ".pdf")}
    for name in names:
        pdf = (folder / f"{name}.pdf").read_bytes()
        assert pdf.startswith(b"%PDF")
        assert b"/FontFile2" in pdf  # fonts are embedded, as TrueType
        assert b"/Type3" not in pdf
        with Image.open(folder / f"{name}.png") as picture:
            picture.load()
            assert 900 < picture.width < 2300  # one column or two, at 300 dots per inch
            assert f"ganrev figures {experiment.stem}" in picture.info["Source"]
            assert "; commit " in picture.info["Source"]
        assert str(folder / f"{name}.png") in printed


def test_stored_runs_give_the_same_files_and_are_not_repeated(drawn, place, common, experiment, tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.figures.stored.run", None)
    assert call("figures", experiment, *common, "--results", tmp_path)[1] == 0
    for file in (place / "figures").iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file


_NINE = "9 of 10 figures left out, since their runs are not there. What makes them:"


def test_what_is_missing_is_left_out_and_the_command_named(common, tmp_path, experiment, capsys):
    elsewhere = [o for o in common if not o.startswith("out=")] + [f"out={tmp_path / 'none'}"]
    printed, status = call("figures", experiment, *elsewhere, "--results", tmp_path / "figures")
    assert status == 0  # the curve is drawn of a table
    assert [p.name for p in (tmp_path / "figures").glob("*.pdf")] == ["curve.pdf"]
    told = printed.splitlines()[printed.splitlines().index(_NINE) :]
    assert len(told) < 10
    commands = dict(line.strip().split("  ", 1) for line in told if line.startswith("  "))
    assert commands["figure1, figure3, failures"].strip().startswith(f"ganrev table table1 {elsewhere[0]}")
    assert "reversal.restarts=2 reversal.halving=false" in commands["convergence"]
    assert f"ganrev sweep {table_path(sweep_of(experiment, 'seeds'))}" in commands["seeds"]
    content = yaml.safe_load(experiment.read_text())
    content["figures"] = [one for one in content["figures"] if one["kind"] != "curve"]
    path = tmp_path / "others.yaml"
    path.write_text(yaml.safe_dump(content))
    assert call("figures", path, *elsewhere, "--results", tmp_path / "figures")[1] == 2
    assert "not one figure can be drawn" in capsys.readouterr().err


def sweep_of(experiment, file):
    return next(one["sweep"] for one in yaml.safe_load(experiment.read_text())["figures"] if one["file"] == file)


def entry(file):
    return next(one for one in load("figures")["figures"] if one["file"] == file)


def test_byte_counts_are_those_of_the_stored_files(drawn, common):
    for file in ("figure2", "figure3"):
        content = entry(file)
        panels = pictures.comparison_panels(Request(content, 0), StoredRuns(common))
        assert [panel.label for panel in panels] == [p["label"] for p in content["panels"]]
        for described, panel in zip(content["panels"], panels, strict=True):
            folder = runner.run(composition.compose_row(described["overrides"], common))
            name = RunFolder(folder).rows["name"][0]
            (blob,) = (folder / "blobs").glob(f"{name}.*")
            assert panel.num_bytes == len(blob.read_bytes())
            assert f"{panel.num_bytes:,} bytes" in panel.caption
            assert (RunFolder(folder).decoded(name) == panel.image).all()
        assert panels[0].caption.endswith("lossless")
        assert "SSIM" in panels[-1].caption


def test_figure_1_shows_the_steps_of_the_run(drawn, common):
    shown = pictures.reversal_under_way(Request(entry("figure1"), 0), StoredRuns(common))
    assert shown.steps[0] == 0
    assert shown.steps[-1] == 20
    assert len(shown.steps) == 5
    assert shown.losses.shape == (1, 20)
    assert shown.loss_name == "SSIM"
    assert 12 < shown.decoded.num_bytes < shown.original.num_bytes
    # The loss of a step is that of the very picture that is shown, before its pixels were rounded.
    (under_way,) = shown.under_way.values()
    for step, panel in list(zip(shown.steps, under_way, strict=True))[:-1]:
        assert 1 - panel.ssim == pytest.approx(shown.losses[0, step], abs=2e-3)
    assert under_way[-1].ssim > under_way[0].ssim
    other = pictures.reversal_under_way(Request(entry("figure1"), 1), StoredRuns(common))
    assert not (other.losses == shown.losses).any()


def test_each_restart_is_shown_under_way(drawn, common, experiment):
    content = yaml.safe_load(experiment.read_text())["figures"]
    convergence = next(one for one in content if one["file"] == "convergence")
    shown = pictures.reversal_under_way(Request(convergence, 0), StoredRuns(common))
    assert sorted(shown.under_way) == [0, 1]
    assert shown.losses.shape[0] == 2
    first = [panels[0].image for panels in shown.under_way.values()]
    assert not (first[0] == first[1]).all()


def test_the_picture_must_be_there(drawn, common):
    for picture in (2, -1):
        with pytest.raises(ValueError, match=f"picture {picture} is not among the 2 pictures"):
            pictures.comparison_panels(Request(entry("figure3"), picture), StoredRuns(common))


def test_the_place_of_the_picture_is_checked_without_runs(common, tmp_path, capsys):
    elsewhere = [o for o in common if not o.startswith(("out=", "data.limit="))] + [f"out={tmp_path / 'none'}"]
    taking = [*elsewhere, "data.limit=4"]
    assert call("figures", *taking, "--picture", "99999", "--results", tmp_path / "figures")[1] == 2
    assert "picture 99999 is not among the 4 pictures taken: give one from 0 to 3, or" in capsys.readouterr().err
    assert call("figures", *taking, "--picture", "-1", "--results", tmp_path / "figures")[1] == 2
    assert "-1 is not in the range" in capsys.readouterr().err
    printed, _ = call("figures", *taking, "--picture", "3", "--results", tmp_path / "figures")
    told = "convergence is left out: picture 3 is not among the 2 pictures taken: give one from 0 to 1\n"
    assert told in printed  # its own number of pictures counts, and goes on to the others


def test_a_picture_that_one_codec_refused_is_named(common, drawn):
    folder = runner.run(composition.compose_config([*common, "codec=png"]))
    with pytest.raises(ValueError, match=r"\(JPEG\) has no picture face7"):
        pictures.panel_of("JPEG", RunFolder(folder), "face7")


def test_a_run_is_found_by_what_it_was_configured_to_do(drawn, common):
    stored = StoredRuns(common)
    folder = runner.run(composition.compose_row(["loss=mse", "quant=extreme", "seed=2"], common))
    assert stored.find(["loss=mse", "quant=extreme", "seed=2"], "").path == folder
    for other in (["seed=3"], ["quant.step=2"], ["data.limit=1"], ["latent_scale=3"]):
        with pytest.raises(MissingRunError, match="has not been run; ganrev run x data="):
            StoredRuns(["data=folder", *common]).find(["loss=mse", "quant=extreme", *other], "ganrev run x")


def test_a_sweep_is_expanded_as_hydra_does():
    jobs = expand(["loss=ssim,mse", "codec.faces=[a.tar,b.tar]", "seed=0,1"])
    faces = "codec.faces=[a.tar,b.tar]"
    assert jobs == [[f"loss={loss}", faces, f"seed={seed}"] for loss in ("ssim", "mse") for seed in (0, 1)]


def test_the_shipped_figures_name_tables_and_sweeps_that_are_there():
    for one in command.check_figures(load("figures")):
        for kind, key in (("table", "rows"), ("sweep", "overrides"), ("points", "curves")):
            if kind in one:
                assert key in load(one[kind]), one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "pie"}, "expected a `kind`, one of reversal"),
        ({"sweep": None}, "expected the keys"),
        ({"colour": "red"}, "expected the keys"),
        ({"kind": "failures", "sweep": None, "measure": None, "overrides": "x", "num_pictures": 2}, "`overrides` as a"),
    ],
)
def test_a_figure_must_be_one(change, message):
    content = {"file": "x", "kind": "seeds", "sweep": "seeds", "measure": "ssim"} | change
    content = {key: value for key, value in content.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        command.check_figures({"picture": 0, "figures": [content]})


def test_the_place_of_the_picture_is_a_number():
    with pytest.raises(ValueError, match="picture: expected its place"):
        command.check_figures({"picture": "first", "figures": []})
