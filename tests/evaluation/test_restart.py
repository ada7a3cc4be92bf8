"""Runs and sweeps that are cut off: the same command goes on with the batch that was in hand."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from experiments import table
from experiments.origins import describe_origins
from ganrev.codecs.gan import GanCodec
from ganrev.evaluation import decoding, runner, stages
from ganrev.evaluation.jobs import read_failed
from ganrev.evaluation.run_folder import RunFolder
from ganrev.pixels import to_pillow
from tests.sweeping import SECONDS, Sweep, assert_same_run, kill
from tests.tiny import OVERRIDES, RawCodec, compose_config, smooth_images

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pictures_dir(tmp_path_factory):
    """Five pictures; of face3 the first pixel is red."""
    folder = tmp_path_factory.mktemp("pictures")
    for i, image in enumerate(smooth_images(5, 128)):
        if i == 3:
            image[:, 0, 0] = torch.tensor([255, 0, 0], dtype=torch.uint8)
        to_pillow(image).save(folder / f"face{i}.png")
    return folder


def compose_in(folder, pictures_dir, *overrides):
    common = [*OVERRIDES, "data=folder", f"data.root={pictures_dir}", f"out={folder / 'runs'}", "batch_size=2"]
    return compose_config(*common, *overrides)


@pytest.fixture
def compose_run(pictures_dir, tmp_path):
    return lambda *overrides: compose_in(tmp_path, pictures_dir, *overrides)


@pytest.fixture(scope="module")
def whole(pictures_dir, tmp_path_factory, quick_runs):
    """A run that nothing cut off."""
    return runner.run(compose_in(tmp_path_factory.mktemp("whole"), pictures_dir))


class Counter:
    """Counts the calls of a function, and interrupts the one of a given number."""

    def __init__(self, monkeypatch, owner, name, interrupted=None):
        self.calls, self.interrupted, self.function = 0, interrupted, getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *arguments: self(*arguments))

    def __call__(self, *arguments):
        self.calls += 1
        if self.calls == self.interrupted:
            raise KeyboardInterrupt
        return self.function(*arguments)


def cut_off(owner, name, number, cfg):
    """Run a config, and interrupt the call of that number."""
    with pytest.MonkeyPatch.context() as patch:
        Counter(patch, owner, name, number)
        with pytest.raises(KeyboardInterrupt):
            runner.run(cfg)


STAGES = [(GanCodec, "encode_with_report"), (decoding, "_decode_batch"), (stages, "_score_batch")]


@pytest.mark.usefixtures("quick_runs")
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(("owner", "name"), STAGES, ids=lambda value: value if isinstance(value, str) else "")
def test_only_the_batch_in_hand_is_done_again(owner, name, number, whole, compose_run, tmp_path, monkeypatch):
    cut_off(owner, name, number, compose_run())
    assert not list((tmp_path / "runs").glob("gancodec-*"))
    counters = {other: Counter(monkeypatch, place, other) for place, other in STAGES}
    resumed = runner.run(compose_run())
    before = [other for _, other in STAGES].index(name)
    expected = {other: 0 if i < before else 3 for i, (_, other) in enumerate(STAGES)} | {name: 4 - number}
    assert {other: counter.calls for other, counter in counters.items()} == expected
    assert_same_run(resumed, whole)
    seconds = RunFolder(resumed).rows[SECONDS]
    assert (seconds > 0).all(axis=None)
    assert not list((tmp_path / "runs").glob(".*.partial"))
    assert "others" not in RunFolder(resumed).provenance


@pytest.mark.usefixtures("quick_runs")
def test_refused_pictures_are_remembered(compose_run, tmp_path, monkeypatch):
    picky = ["codec=png", "codec._target_=tests.tiny.RawCodec", "+codec.size=128", "+codec.picky=true"]
    whole = runner.run(compose_run(*picky, f"out={tmp_path / 'whole'}"))
    cut_off(stages, "_score_batch", 1, compose_run(*picky))
    counter = Counter(monkeypatch, RawCodec, "encode")
    resumed = runner.run(compose_run(*picky))
    assert counter.calls == 0
    assert RunFolder(resumed).summary["images_failed"] == {"face3": "a red corner"}
    assert_same_run(resumed, whole)


@pytest.mark.usefixtures("quick_runs")
def test_other_batches_begin_afresh(compose_run, tmp_path, monkeypatch):
    whole = runner.run(compose_run(f"out={tmp_path / 'whole'}", "batch_size=3"))
    cut_off(GanCodec, "encode_with_report", 3, compose_run())
    counter = Counter(monkeypatch, GanCodec, "encode_with_report")
    resumed = runner.run(compose_run("batch_size=3"))
    assert counter.calls == 2
    assert_same_run(resumed, whole)


@pytest.mark.usefixtures("quick_runs")
def test_force_begins_afresh(compose_run, monkeypatch):
    cut_off(GanCodec, "encode_with_report", 3, compose_run())
    counter = Counter(monkeypatch, GanCodec, "encode_with_report")
    runner.run(compose_run("force=true"))
    assert counter.calls == 3


@pytest.mark.usefixtures("quick_runs")
def test_a_run_that_lacks_only_its_name_gets_it(compose_run, tmp_path, monkeypatch):
    folder = runner.run(compose_run())
    partial = folder.with_name(f".{folder.name}.partial")
    folder.rename(partial)
    monkeypatch.setattr(runner, "_evaluate", lambda *arguments: pytest.fail("it ran again"))
    assert runner.run(compose_run()) == folder
    assert (folder / "summary.json").exists()
    assert not partial.exists()


@pytest.mark.usefixtures("quick_runs")
def test_a_run_that_several_commits_made_names_them(compose_run, monkeypatch):
    cut_off(GanCodec, "encode_with_report", 2, compose_run())
    here = runner.provenance()
    monkeypatch.setattr(runner, "provenance", lambda: here | {"commit": "c" * 40})
    folder = runner.run(compose_run())
    origin = RunFolder(folder).provenance
    assert [other["commit"] for other in origin["others"]] == ["c" * 40]
    frame = table.collect([table.Row("gan", ["codec=gan"])], [RunFolder(folder)])
    assert frame["commit"][0].endswith("c" * 40)
    assert f"cc, {'c' * 12}" in describe_origins(frame.assign(commit=f"{'c' * 40}, {'c' * 40}"), "scheme")[0]


def test_a_decoder_whose_run_was_killed_writes_nothing(pictures_dir, tmp_path):
    shutil.copytree(pictures_dir, tmp_path / "blobs")
    (tmp_path / "config.yaml").write_text("codec: {_target_: baselines.PNG}")
    command = [sys.executable, "-m", "ganrev.evaluation.decoding", str(tmp_path), str(os.getpid() + 1)]
    done = subprocess.run(command, input="null", cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert f"process {os.getpid() + 1} is gone" in done.stderr
    assert not (tmp_path / "decoded").exists()


# ---- sweeps that are killed


@pytest.mark.usefixtures("quick_runs")
def test_a_killed_sweep_goes_on(pictures_dir, compose_run, tmp_path, monkeypatch):
    killed = Sweep(tmp_path / "killed", pictures_dir, "quant=standard,extreme")
    process = killed.start()
    while killed.num_encoded < 7:  # the first job's five, and one of the second job is finished
        assert process.poll() is None
        time.sleep(0.01)
    kill(process, whole_group=False)
    (cut,) = read_failed(tmp_path / "killed" / "logs" / "jobs")
    assert (cut["job"], cut["error"]) == (1, "no end was recorded: it was killed, or is still running")
    assert len(killed.finish()) == 2
    assert 10 <= killed.num_encoded <= 11
    monkeypatch.setenv("ENCODED", str(tmp_path / "encoded"))
    for quant in ("standard", "extreme"):
        logged = ["codec._target_=tests.tiny.LoggedCodec", "batch_size=1", f"out={tmp_path / 'whole'}"]
        whole = runner.run(compose_run(*logged, f"quant={quant}"))
        assert_same_run(tmp_path / "killed" / "runs" / whole.name, whole)


@pytest.mark.slow
def test_a_sweep_of_24_jobs_that_is_killed_20_times(pictures_dir, tmp_path, capsys):
    grid = ["loss=mse,l1", "quant=standard,extreme,none", "reversal.restarts=1,2", "seed=0,1"]
    whole = Sweep(tmp_path / "whole", pictures_dir, *grid)
    frame = whole.finish()
    assert (len(frame), whole.num_encoded) == (24, 24 * 5)

    rng = random.Random(0)
    killed = Sweep(tmp_path / "killed", pictures_dir, *grid)
    done = [0]
    for _ in range(20):
        process = killed.start()
        # Some batches further, and then at any moment; 0: perhaps before it has found out what is done.
        target = done[-1] + rng.randint(0, 12)
        while killed.num_done < target:
            assert process.poll() is None
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.3))
        kill(process, whole_group=rng.random() < 0.5)
        done.append(killed.num_done)
    assert done == sorted(done)  # nothing finished is lost
    pd.testing.assert_frame_equal(killed.finish(), frame, check_exact=True)
    assert 24 * 5 <= killed.num_encoded <= 24 * 5 + 20
    for run in (whole.folder / "runs").glob("*/"):
        assert_same_run(run, killed.folder / "runs" / run.name)
    with capsys.disabled():
        print(f"\nbatches encoded, decoded or scored at each kill, of {24 * 15}: {done[1:]}")
        print(f"batches begun to be encoded, of {24 * 5}: {killed.num_encoded}")
