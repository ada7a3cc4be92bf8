"""Figures in miniature."""

import pytest
import yaml
from PIL import Image

from experiments import composition, figures
from experiments.composition import applicable
from ganrev.evaluation import runner
from ganrev.evaluation.run_folder import RunFolder
from tests.calling import call
from tests.experiments.tables import load

pytestmark = pytest.mark.usefixtures("quick_runs")


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
