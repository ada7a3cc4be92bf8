"""Other quantisers for stored latents give the files of runs of their own; anything else is refused."""

import pandas as pd
import pytest

from ganrev.cli import main
from ganrev.codecs.gan import GanCodec
from ganrev.evaluation import runner
from ganrev.evaluation.recode import recode
from ganrev.evaluation.run_folder import RunFolder
from ganrev.pixels import to_pillow
from tests.tiny import OVERRIDES, compose_config, smooth_images

pytestmark = pytest.mark.usefixtures("quick_runs")


@pytest.fixture(scope="module")
def run(two_pictures, tmp_path_factory):
    """Run two pictures with the given overrides; returns the run's folder."""
    common = [*OVERRIDES, "data=folder", f"data.root={two_pictures}", f"out={tmp_path_factory.mktemp('recode')}"]
    return lambda *overrides: runner.run(compose_config(*common, *overrides))


@pytest.fixture(scope="module")
def unrounded(run):
    return run("quant=none")


def fails(capsys, *arguments):
    """Run the command, which must end with status 2 and one line; returns the line."""
    with pytest.raises(SystemExit) as stopped:
        main(["recode", *map(str, arguments)])
    assert stopped.value.code == 2
    complaint = capsys.readouterr().err.strip()
    assert complaint.startswith("error: ")
    assert len(complaint.splitlines()) == 1
    return complaint


def contents(folder):
    """Return the bytes of the run's own files, by path."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.parent.name != "recoded"}


def files(folder):
    return {path.stem: path.read_bytes() for path in (folder / "blobs").iterdir()}


@pytest.mark.parametrize(
    "overrides",
    [
        ["quant=extreme"],
        ["quant=standard", "entropy=range"],
        ["quant=extreme", "quant.step=0.5", "entropy=range", "entropy.model=prior"],
        ["quant=extreme", "latent_scale=1", "entropy=lzma"],
        ["quant=none", "entropy=zlib"],
    ],
)
def test_a_recoded_file_is_the_file_of_a_run_of_its_own(overrides, run, unrounded, monkeypatch):
    expected = run(*overrides)
    decode, seen = GanCodec.decode, []
    monkeypatch.setattr(GanCodec, "decode", lambda codec, blobs: (seen.append(blobs), decode(codec, blobs))[1])
    frame = recode(RunFolder(unrounded), overrides)
    rows = RunFolder(expected).rows
    assert dict(zip(frame["name"], seen[-1], strict=True)) == files(expected)
    assert files(expected) != files(unrounded)
    assert frame["name"].tolist() == ["face0", "face1"]
    for key in ("num_bytes", "paper_bytes", "psnr", "mse", "ssim"):
        assert frame[key].tolist() == pytest.approx(rows[key].tolist(), rel=1e-9)


def test_the_runs_own_scale_stays_where_none_is_given(run):
    frame = recode(RunFolder(run("quant=none", "latent_scale=2")), ["quant=extreme"])
    expected = RunFolder(run("quant=extreme", "latent_scale=2")).rows
    assert frame["num_bytes"].tolist() == expected["num_bytes"].tolist()
    assert frame["ssim"].tolist() == pytest.approx(expected["ssim"].tolist())
    assert frame["ssim"].tolist() != pytest.approx(
        recode(RunFolder(run("quant=none")), ["quant=extreme"])["ssim"].tolist()
    )


def test_the_command_prints_means_and_writes_rows(unrounded, tmp_path, capsys):
    before = contents(unrounded)
    main(["recode", str(unrounded), "quant=extreme", "-o", str(tmp_path / "rows.csv"), "entropy=range"])
    printed = capsys.readouterr().out
    frame = pd.read_csv(tmp_path / "rows.csv")
    assert frame["name"].tolist() == ["face0", "face1"]
    assert printed.startswith(f"2 pictures of {unrounded.name}, quant=extreme entropy=range\n")
    assert f"ssim         {frame['ssim'].mean():.4f} ± " in printed
    assert f"from {frame['num_bytes'].min():.4f} to {frame['num_bytes'].max():.4f}" in printed
    assert "stlpips" not in printed
    assert contents(unrounded) == before


def test_what_was_measured_is_not_measured_again(run, monkeypatch):
    folder = run("quant=none", "seed=3")
    first = recode(RunFolder(folder), ["quant=extreme"])
    monkeypatch.setattr(GanCodec, "recode", lambda *_: pytest.fail("measured again"))
    pd.testing.assert_frame_equal(recode(RunFolder(folder), ["quant=extreme"]), first)
    for other in (["quant=standard"], ["quant=extreme", "loss=l1"], ["quant=extreme", "entropy=zlib"]):
        with pytest.raises(pytest.fail.Exception, match="measured again"):
            recode(RunFolder(folder), other)


@pytest.mark.parametrize("overrides", [["quant=standard"], ["codec=jpeg", "codec.quality=10"]])
def test_a_run_without_unrounded_latents_is_refused(overrides, run, capsys):
    assert "takes a run of codec=gan with quant=none" in fails(capsys, run(*overrides), "quant=extreme")


@pytest.mark.parametrize("override", ["generator.path=x", "reversal.steps=30", "data.limit=1", "seed=1"])
def test_what_is_beyond_rounding_and_coding_is_refused(override, unrounded, capsys):
    assert fails(capsys, unrounded, "quant=extreme", override).endswith(f"latent_scale, loss, not {override}")


def test_a_back_end_that_takes_no_floats_is_refused(unrounded, capsys):
    assert "entropy=range codes integer symbols" in fails(capsys, unrounded, "quant=none", "entropy=range")


def test_a_folder_that_is_no_run_is_refused(tmp_path, capsys):
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert f"{folder} is no finished run" in fails(capsys, folder, "quant=extreme")


def test_pictures_that_have_changed_are_refused(run, tmp_path, capsys):
    to_pillow(smooth_images(1, 128, seed=1)[0]).save(tmp_path / "face.png")
    folder = run("quant=none", f"data.root={tmp_path}")
    to_pillow(smooth_images(1, 128, seed=2)[0]).save(tmp_path / "face.png")
    assert "no longer the same; repeat the run" in fails(capsys, folder, "quant=extreme")
