"""Shards: parts of any data source, and what `make collect` makes of their runs."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from experiments import table
from ganrev.cli import main
from ganrev.evaluation import runner
from ganrev.evaluation.integrity import SUMS
from ganrev.evaluation.run_folder import RunFolder
from ganrev.pixels import to_pillow
from tests.tiny import OVERRIDES, compose_config, smooth_images

pytestmark = pytest.mark.usefixtures("quick_runs")
SECONDS = ["encode_seconds", "decode_seconds"]


@pytest.fixture(scope="module")
def common(tmp_path_factory):
    """Overrides for seven pictures in batches of two; of face4 the first pixel is red."""
    folder = tmp_path_factory.mktemp("pictures")
    for i, image in enumerate(smooth_images(7, 128)):
        if i == 4:
            image[:, 0, 0] = torch.tensor([255, 0, 0], dtype=torch.uint8)
        to_pillow(image).save(folder / f"face{i}.png")
    (folder / "notes.txt").write_text("no picture")
    return [*OVERRIDES, "data=folder", f"data.root={folder}", "batch_size=2", "reversal.restarts=2"]


CODECS = {
    "gan": [],
    "picky": ["codec=png", "codec._target_=tests.tiny.RawCodec", "+codec.size=128", "+codec.picky=true"],
    "png": ["codec=png"],
}


def run_all(common, out, *overrides):
    return {
        name: runner.run(compose_config(*common, f"out={out}", *codec, *overrides)) for name, codec in CODECS.items()
    }


@pytest.fixture(scope="module")
def whole(common, tmp_path_factory):
    """The runs that one machine makes."""
    return run_all(common, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def shards_out(common, tmp_path_factory):
    """A folder with all shards of the same runs, which no test changes."""
    out = tmp_path_factory.mktemp("shards")
    for number in (3, 1, 2):
        run_all(common, out, f"data.shard={number}/3")
    return out


@pytest.fixture
def shards(shards_out, tmp_path):
    return shutil.copytree(shards_out, tmp_path / "runs")


def call(*argv):
    try:
        main(["collect", *map(str, argv)])
    except SystemExit as end:
        return end.code
    return 0


def without_seconds(values):
    return {key: value for key, value in values.items() if key not in SECONDS}


def test_shards_are_called_after_the_run_that_they_are_parts_of(shards, whole):
    names = {path.name for path in shards.iterdir() if not path.name.startswith(".")}
    assert names == {f"{run.name}-{number}of3" for run in whole.values() for number in (1, 2, 3)}


def test_merged_runs_are_those_of_one_machine(shards, whole, capsys):
    assert call(shards) == 0
    printed = capsys.readouterr().out
    assert f"{shards / whole['gan'].name}: 3 shards, 7 pictures" in printed
    for run in whole.values():
        merged = shards / run.name
        assert sorted(p.name for p in merged.iterdir()) == sorted(p.name for p in run.iterdir())
        for kind in ("blobs", "decoded"):
            files = sorted(path.name for path in (run / kind).iterdir())
            assert sorted(path.name for path in (merged / kind).iterdir()) == files
            assert all((run / kind / f).read_bytes() == (merged / kind / f).read_bytes() for f in files)
        pd.testing.assert_frame_equal(
            RunFolder(merged).rows.drop(columns=SECONDS), RunFolder(run).rows.drop(columns=SECONDS), check_exact=True
        )
        one, all_ = RunFolder(run).summary, RunFolder(merged).summary
        for key in ("mean", "ci95"):
            one[key], all_[key] = without_seconds(one[key]), without_seconds(all_[key])
        assert one == all_
        configs = [OmegaConf.load(folder / "config.yaml") for folder in (run, merged)]
        configs[1].out = configs[0].out
        assert configs[0] == configs[1]


def test_the_traces_of_a_merged_run_are_those_of_one_machine(shards, whole):
    assert call(shards) == 0
    with np.load(whole["gan"] / "traces.npz") as one, np.load(shards / whole["gan"].name / "traces.npz") as merged:
        assert set(one) == set(merged)
        assert all(np.array_equal(one[name], merged[name], equal_nan=one[name].dtype.kind == "f") for name in one)


def test_a_table_takes_merged_runs_as_they_are(shards, whole, common, tmp_path, monkeypatch):
    assert call(shards) == 0
    path = tmp_path / "own.yaml"
    rows = [{"label": name, "overrides": codec} for name, codec in CODECS.items()]
    OmegaConf.save({"rows": rows}, path)
    monkeypatch.setattr(runner, "_evaluate", lambda *arguments: pytest.fail("it ran again"))
    frames = []
    for out in (whole["gan"].parent, shards):
        main(["table", str(path), *common, f"out={out}", "--results", str(tmp_path / out.name)])
        frames.append(pd.read_csv(tmp_path / out.name / "own.csv").drop(columns=SECONDS))
    pd.testing.assert_frame_equal(*frames, check_exact=True)
    assert frames[0]["images_failed"].tolist() == [0, 1, 0]


def test_what_is_merged_is_not_merged_again(shards, whole):
    assert call(shards) == 0
    stamps = {run.name: (shards / run.name / "summary.json").stat().st_mtime_ns for run in whole.values()}
    assert call(shards) == 0
    assert {name: (shards / name / "summary.json").stat().st_mtime_ns for name in stamps} == stamps


def test_shards_of_several_machines(shards, whole, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for run in whole.values():
        (shards / f"{run.name}-2of3").rename(other / f"{run.name}-2of3")
    origin = other / f"{whole['gan'].name}-2of3" / "provenance.json"
    (origin.parent / SUMS).unlink()
    origin.write_text(origin.read_text().replace('"cpu": "', '"cpu": "another '))
    assert call(other, shards) == 0
    assert all((other / run.name / "summary.json").exists() for run in whole.values())
    frame = table.collect([table.Row("gan", ["codec=gan"])], [RunFolder(other / whole["gan"].name)])
    first, second = frame["hardware"][0].split(" and ")
    assert second == f"another {first}"


def test_a_missing_shard_is_named_and_the_other_runs_are_merged(shards, whole, capsys):
    shutil.rmtree(shards / f"{whole['gan'].name}-2of3")
    assert call(shards) == 1
    complaint = f"{whole['gan'].name}: data.shard=2/3 missing, or not finished; there is 1/3 3/3"
    assert capsys.readouterr().err.strip() == complaint
    assert [(shards / run.name).exists() for run in whole.values()] == [False, True, True]


def test_the_same_shard_twice_is_refused(shards, whole, tmp_path, capsys):
    twice = f"{whole['gan'].name}-2of3"
    shutil.copytree(shards / twice, tmp_path / "other" / twice)
    assert call(shards, tmp_path / "other") == 1
    complaint = f"{shards / twice} and {tmp_path / 'other' / twice} are the same shard; remove one"
    assert complaint in capsys.readouterr().err


def test_two_divisions_of_one_run_overlap(shards, whole, common, capsys):
    half = runner.run(compose_config(*common, f"out={shards}", "data.shard=1/2"))
    assert half.name == f"{whole['gan'].name}-1of2"
    assert call(shards) == 1
    assert "overlap: remove the shards of one of the two divisions" in capsys.readouterr().err


def test_shards_of_other_batches_do_not_fit(shards, whole, common, capsys):
    runner.run(compose_config(*common, f"out={shards}", "data.shard=2/3", "batch_size=1", "force=true"))
    assert call(shards) == 1
    assert "its shards were made with batch_size 1 and 2" in capsys.readouterr().err


def test_shards_of_other_columns_do_not_fit(shards, whole, capsys):
    rows = shards / f"{whole['gan'].name}-2of3" / "rows.csv"
    RunFolder(rows.parent).rows.assign(stlpips=0.1).to_csv(rows, index=False)
    (rows.parent / SUMS).unlink()
    assert call(shards) == 1
    assert "different columns" in capsys.readouterr().err


def test_a_damaged_shard_is_named(shards, whole, capsys):
    rows = shards / f"{whole['gan'].name}-2of3" / "rows.csv"
    rows.write_text(rows.read_text().replace("0", "1", 1))
    assert call(shards) == 1
    assert "-2of3 is damaged: summary.json: its mean of bpp is" in capsys.readouterr().err


def test_folders_without_shards(whole, tmp_path, capsys):
    assert call(whole["gan"].parent) == 2
    assert "error: no shards in" in capsys.readouterr().err
    assert call(tmp_path / "nowhere") == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_merged_run_has_identities_but_no_ranks_which_were_among_a_shards_pictures(shards, whole):
    for number in (1, 2, 3):
        run = RunFolder(shards / f"{whole['png'].name}-{number}of3")
        run.write_rows(run.rows.assign(identity=0.1 * 3**number, identity_rank=1))
        run.write_summary(run.summary)
    assert call(shards) == 0
    merged = RunFolder(shards / whole["png"].name)
    assert "identity_rank" not in merged.rows
    assert "identity_rank1" not in merged.summary
    assert merged.summary["identity_share"] == (merged.rows["identity"] < 0.6).mean()
