"""The whole benchmark in miniature."""

import json
from subprocess import CompletedProcess

import pandas as pd
import pytest
import torch
from PIL import Image

from experiments.bench import benchmark as app
from experiments.bench import load, measures, points
from ganrev.cli import main
from ganrev.data.seen import Seen
from ganrev.evaluation import child
from ganrev.fetch import FetchError
from ganrev.reversal.device import Device
from ganrev.reversal.settings import Reversal
from tests.tiny import OVERRIDES, tiny_codec

PLAN = points.Plan(2, 20, 20, 2, 1, (1, 8), (2,), 2, (1, 2), 3)


def test_memory_is_measured_in_a_process_of_its_own():
    kept = torch.ones(100_000_000)  # 380 MiB, which are not that process's
    found = points._memory_of("plain", 1, OVERRIDES)
    assert 50 < found["baseline"] <= found["peak"] < kept.nbytes / 2**20 + found["baseline"]
    assert found["peak"] - found["baseline"] < 200


def test_a_process_that_fails_is_reported(monkeypatch):
    monkeypatch.setattr(child.subprocess, "run", lambda *_, **__: CompletedProcess([], 1, "", "out of memory"))
    with pytest.raises(RuntimeError, match="memory of plain failed:\nout of memory"):
        points.memory(PLAN, [])


@pytest.fixture(scope="module")
def results(tmp_path_factory, two_pictures):
    """The folder of a benchmark in miniature, with memory of 10 MiB a lane, and twice that for a plain loop."""
    out = tmp_path_factory.mktemp("bench")

    def memory_of(variant, lanes, overrides):
        return {"baseline": 100, "peak": 100 + 10 * lanes * (1 if variant == "ganrev" else 2)}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(points, "_memory_of", memory_of)
        patch.setattr(load, "throughput", lambda num_jobs, *arguments: 10.0 * num_jobs**0.5)
        patch.setattr(points, "GEMM_SIZES", {"cpu": (8,), "cuda": (8,)})
        patch.setattr(measures, "GEMM_SECONDS", 0.001)
        app.run(PLAN, OVERRIDES, two_pictures, out)
    return out


def test_the_table_has_every_point(results):
    frame = pd.read_csv(results / "bench.csv")
    assert tuple(frame.columns) == points.COLUMNS
    assert list(frame["point"].unique()) == list("abcdefg")
    assert not frame[["median", "lowest", "highest"]].isna().any(axis=None)
    assert ((frame["lowest"] <= frame["median"]) & (frame["median"] <= frame["highest"])).all()
    growth = frame[(frame["measure"] == "milliseconds_per_lane_step") & (frame["variant"] == "ganrev")]
    assert growth["lanes"].tolist() == [1, 8]


def test_memory_at_work_leaves_out_what_was_loaded(results):
    frame = pd.read_csv(results / "bench.csv").set_index(["measure", "variant"])["median"]
    assert frame["working_memory", "ganrev"] == frame["working_memory", "plain"] == 20
    assert frame["peak_memory", "plain"] == 120
    assert frame["memory", "ganrev / plain"] == 1


def test_beside_the_table_lie_curves_operators_a_figure_and_where_they_came_from(results):
    assert set(pd.read_csv(results / "ssim.csv")["variant"]) == {
        "plain",
        "ganrev",
        "fast",
        "fast, 20 steps",
    }
    assert pd.read_csv(results / "operators.csv")["share"].sum() == pytest.approx(1)
    with Image.open(results / "bench.png") as picture:
        assert min(picture.size) > 500
    origin = json.loads((results / "provenance.json").read_text())
    assert origin["versions"]["torch"]
    assert origin["hardware"]["cores"] >= 1
    assert origin["settings"]["pictures"] == {"source": "folder", "number": 2, "size": 32}
    assert origin["settings"]["device"] == {"name": "cpu", "dtype": "float32", "lanes": Device("cpu").lanes}


def test_the_short_table_holds_ratios_and_shares():
    rows = [
        *points.rows_of("a", "lane_steps_per_second", "1/s", {("plain", 1): [1, 2, 3]}),
        *points.rows_of("a", "speed", "times", {("ganrev / plain", 8): [4, 5, 7]}),
        *points.rows_of("b", "time_to_plain_ssim", "times", {("plain / ganrev", 8): [0]}),
        *points.rows_of("b", "ssim_apart", "SSIM", {("ganrev - plain", 8): [0.0]}),
        *points.rows_of("c", "share_of_gemm", "share", {("ganrev", None): [0.5]}),
    ]
    lines = app.describe(pd.DataFrame(rows)).splitlines()
    assert len(lines) == 4
    assert " ".join(lines[0].split()) == "(a) speed ganrev / plain, 8 at a time 5 times (4 to 7)"
    assert lines[1].endswith("never")
    assert lines[2].split()[-2:] == ["0", "SSIM"]
    assert lines[3].split()[-2:] == ["0.5", "share"]


def test_without_a_package_index_the_generator_draws_the_pictures(monkeypatch):
    def fail(self):
        raise FetchError("no index")

    monkeypatch.setattr("ganrev.data.CelebaSample.load", fail)
    codec = tiny_codec()
    images, source = app.load_faces(None, codec, 2)
    assert source == "seen"
    torch.testing.assert_close(images, Seen(codec.generator, limit=2).load().images)


def test_what_cannot_be_compared_is_refused(capsys):
    with pytest.raises(SystemExit) as end:
        main(["bench", "--quick", *OVERRIDES[:1], "codec=png"])
    assert end.value.code == 2
    assert "measures codec=gan, got" in capsys.readouterr().err


def test_plans_compare_the_largest_batch_with_one_that_fits():
    for plan in (points.FULL, points.QUICK):
        assert points.CACHED_LANES in plan.lanes
        assert set(plan.memory_lanes) <= set(plan.lanes)
    assert points.FULL.lanes[0] == 1
    assert points.FULL.lanes[-1] == 256


def test_default_settings_can_be_measured():
    assert isinstance(app.make_codec(OVERRIDES).reversal, Reversal)
