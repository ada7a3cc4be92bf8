"""What the benchmark counts; how fast anything is, is not tested."""

import json
import math
import mmap
from subprocess import CompletedProcess

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from experiments.bench import benchmark as app
from experiments.bench import measures, memory, points
from experiments.bench.benchmark import with_linear_start
from experiments.bench.plain import plain_generator, plain_reverse
from experiments.bench.race import Descent, curves, noted, race, ratio_of_each, scores
from ganrev.cli import main
from ganrev.coding.backends import Bzip2
from ganrev.coding.quantiser import Quantiser
from ganrev.data.seen import Seen
from ganrev.evaluation.metrics import distortion
from ganrev.fetch import FetchError
from ganrev.generator.base import Generator
from ganrev.pixels import to_x
from ganrev.reversal.device import Device
from ganrev.reversal.losses import MSE
from ganrev.reversal.settings import Reversal
from tests.tiny import OVERRIDES, TinyGenerator, smooth_images, tiny_codec

CPU = torch.device("cpu")
PLAN = points.Plan(2, 20, 20, 2, 1, (1, 8), (2,), 2)


class Convolutional(Generator):
    """4 latents, a linear map to 3 x 8 x 8, a convolution: arithmetic that is counted by hand below."""

    latent_dim, image_size = 4, 8

    def __init__(self):
        super().__init__()
        self.linear, self.conv = nn.Linear(4, 192), nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, z):
        return self.conv(self.linear(z).view(-1, 3, 8, 8))


def clock_of(seconds, num_lanes=1, z=0.0):
    """Return a clock that noted these seconds by step, and latents filled with the step."""
    clock = measures.Clock(CPU, seconds)
    for step in seconds:
        clock(step, torch.full((num_lanes, 3), z + step))
    clock.seconds = dict(seconds)
    return clock


def race_of(plain_ssim, our_ssim):
    """Return a race of two pictures in two rounds; the second round is twice as slow for both."""
    pace = np.array([1.0, 2.0])
    plain = np.outer(pace, [0, 10, 20])
    ours = np.outer(pace, [0, 1, 2])
    each = np.tile(np.median(ours, axis=0), (2, 1))
    return {
        "ganrev": Descent(2, [0, 5, 10], ours, each, np.array(our_ssim)),
        "plain": Descent(1, [0, 5, 10], plain, plain, np.array(plain_ssim)),
    }


def seconds(found, name):
    return found[name].seconds_to(found["plain"].ssim[:, -1].mean())


# ---- the plain loop


def run_plainly(network, steps, lr=0.1, noted=None):
    target = to_x(smooth_images(1))
    latents = [] if noted is None else noted
    rng = torch.Generator().manual_seed(0)
    return plain_reverse(network, MSE(), target, rng, lr, steps, lambda step, z: latents.append((step, z.clone())))


def test_the_plain_loop_computes_weight_gradients_in_float32():
    network = plain_generator(TinyGenerator().freeze().to(torch.bfloat16))
    run_plainly(network, 2)
    weight = network.linear.weight
    assert weight.dtype == weight.grad.dtype == torch.float32
    assert weight.grad.abs().sum() > 0


def test_a_frozen_plain_loop_computes_none_and_finds_the_same():
    generator = TinyGenerator().freeze()
    frozen, usual = plain_generator(generator, frozen=True), plain_generator(generator)
    torch.testing.assert_close(run_plainly(frozen, 5), run_plainly(usual, 5))
    assert frozen.linear.weight.grad is None
    assert not generator.linear.weight.requires_grad, "the codec's own generator stays frozen"


def test_the_plain_loop_is_adam_at_a_constant_rate():
    latents = []
    run_plainly(plain_generator(TinyGenerator()), 3, lr=0.25, noted=latents)
    assert [step for step, _ in latents] == [0, 1, 2, 3]
    start = TinyGenerator().sample_prior(1, torch.Generator().manual_seed(0))
    torch.testing.assert_close(latents[0][1], start)
    moved = (latents[1][1] - start).abs()  # Adam's first step is its rate, whatever the gradient
    torch.testing.assert_close(moved, torch.full_like(moved, 0.25), rtol=1e-3, atol=0)


# ---- our descent is the codec's


@pytest.mark.parametrize("lanes", [2, 8])
def test_ours_finds_what_the_codec_finds_in_the_same_parts(lanes):
    codec = tiny_codec(device=Device("cpu", "float32", lanes), quant=Quantiser(None), entropy=Bzip2())
    images = smooth_images(5)
    clocks = measures.descend(codec, images, codec.reversal.steps, [codec.reversal.steps])
    assert [clock.num_lanes for clock in clocks] == {2: [2, 2, 1], 8: [5]}[lanes]
    found = torch.cat([clock.latents[codec.reversal.steps] for clock in clocks])
    torch.testing.assert_close(found, codec.latents(codec.encode(images)))


def test_both_begin_at_the_same_latents():
    codec = tiny_codec()
    (ours,) = measures.descend(codec, smooth_images(2), 1, [0])
    plain = measures.descend_plainly(codec, plain_generator(codec.generator), smooth_images(2), 1, [0])
    torch.testing.assert_close(ours.latents[0], torch.cat([clock.latents[0] for clock in plain]))


def test_a_descent_of_other_length_leaves_the_codec_as_it_was():
    codec = tiny_codec()
    measures.descend(codec, smooth_images(1), 3, [3])
    assert codec.reversal.steps == 20


# ---- counting


def test_a_clock_notes_the_steps_of_its_grid_and_keeps_its_own_latents():
    clock, z = measures.Clock(CPU, [0, 2]), torch.zeros(4, 3)
    for step in range(4):
        clock(step, z.fill_(step))
    assert list(clock.seconds) == [0, 2]
    assert 0 <= clock.seconds[0] <= clock.seconds[2]
    assert clock.latents[2].unique().tolist() == [2]
    assert clock.num_lanes == 4


def test_the_rate_of_a_descent_is_over_all_its_parts_without_the_warm_up():
    clocks = [clock_of({3: 10.0, 13: 12.0}, 4), clock_of({3: 5.0, 13: 8.0}, 2)]
    assert measures.lane_steps_per_second(clocks) == pytest.approx((4 * 10 + 2 * 10) / (2 + 3))


def test_the_median_of_ratios_is_taken_round_by_round():
    pairs = measures.ratios([10, 2, 30], [5, 2, 10])
    assert pairs == [2, 1, 3]
    assert measures.spread(pairs) == {"median": 2, "lowest": 1, "highest": 3, "repetitions": 3}
    with pytest.raises(ValueError, match="shorter"):
        measures.ratios([1, 2], [1])


def test_measures_take_turns():
    order = []
    todo = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    assert measures.interleave(todo, 3, "") == {"a": [1, 3, 5], "b": [2, 4, 6]}
    assert order == list("ababab")


@pytest.mark.parametrize(("target", "step"), [(0.1, 0), (0.6, 5), (0.7, 5), (0.9, 20), (0.91, math.inf)])
def test_the_crossing_is_the_first_step_that_reaches_the_target(target, step):
    assert measures.crossing([0, 5, 10, 20], [0.1, 0.7, 0.65, 0.9], target) == step


@pytest.mark.parametrize("num_lanes", [1, 8])
def test_flops_are_those_of_both_passes_and_weight_gradients_come_on_top(num_lanes):
    linear, conv = 2 * 4 * 192, 2 * (3 * 3 * 3) * (3 * 8 * 8)
    network = Convolutional()
    assert measures.count_flops(plain_generator(network, frozen=True), num_lanes) == 2 * (linear + conv)
    assert measures.count_flops(plain_generator(network), num_lanes) == 3 * (linear + conv)


def test_the_gemm_rate_is_that_of_the_best_size(monkeypatch):
    times = iter([0, 1, 2, 0, 1, 4])  # of each size: before, after enough of it, at the end
    monkeypatch.setattr(measures, "now", lambda device: next(times))
    assert measures.gemm_rate(CPU, torch.float32, [4, 8]) == max(2 * 4**3 / 2, 2 * 8**3 / 4)


def test_operators_are_ranked_by_their_time():
    a = torch.randn(200, 200)
    frame = measures.rank_operators(CPU, lambda: [(a @ a).exp() for _ in range(5)], 5)
    assert list(frame.columns) == ["operator", "share", "microseconds_per_lane_step", "calls"]
    assert frame["share"].is_monotonic_decreasing
    assert frame["share"].sum() == pytest.approx(1)
    assert frame.set_index("operator").loc["aten::mm", "calls"] == 5


# ---- the race


def test_seconds_until_the_plain_loops_last_ssim_are_those_of_the_first_step_that_has_it():
    found = race_of([[0.1, 0.7, 0.8], [0.1, 0.5, 0.6]], [[0.1, 0.9, 0.9], [0.1, 0.5, 0.9]])
    assert [found[name].step_to(0.7) for name in ("plain", "ganrev")] == [10, 5]  # means 0.7, and 0.1, 0.7, 0.9
    assert (seconds(found, "plain"), seconds(found, "ganrev")) == ([20, 40], [1, 2])
    # Of each picture: ours takes the median of both rounds.
    assert ratio_of_each(found["plain"], found["ganrev"]) == pytest.approx([20 / 1.5, 40 / 3])


def test_a_plain_loop_that_was_there_before_its_last_step_is_credited_with_it():
    found = race_of([[0.1, 0.8, 0.8]] * 2, [[0.1, 0.2, 0.8]] * 2)
    assert (seconds(found, "plain"), seconds(found, "ganrev")) == ([10, 20], [2, 4])


def test_an_ssim_that_is_never_reached_takes_for_ever():
    found = race_of([[0.1, 0.2, 0.9]] * 2, [[0.1, 0.2, 0.3]] * 2)
    assert seconds(found, "ganrev") == [math.inf, math.inf]
    assert ratio_of_each(found["plain"], found["ganrev"]) == [0, 0]
    rows = pd.DataFrame(points.to_plain_ssim(found)).set_index(["measure", "variant"])
    assert rows.loc[("ssim_apart", "ganrev - plain"), "median"] == pytest.approx(-0.6)
    assert "plain - plain" not in rows.index.get_level_values("variant")
    assert rows.loc[("time_to_plain_ssim", "plain / ganrev"), "median"] == 0


def test_after_an_early_end_the_last_step_stands():
    seconds, latents = noted(clock_of({0: 1.0, 5: 2.0}), [0, 5, 10])
    assert seconds.tolist() == [1, 2, 2]
    assert latents[:, 0, 0].tolist() == [0, 5, 5]


def test_pictures_are_scored_as_the_decoder_draws_them():
    codec = tiny_codec(quant=Quantiser(None))
    image, z = smooth_images(1)[0], torch.linspace(-2, 2, 3 * 16).view(3, 16)
    drawn = codec.decode([codec.coder.write(row, 0.0) for row in z.numpy()])
    expected = [distortion(image, picture)["ssim"] for picture in drawn]
    np.testing.assert_allclose(scores(codec, z, image), expected)


def test_a_race_covers_every_picture_at_every_step_of_the_grids():
    codec = tiny_codec(device=Device("cpu", "float32", 2))
    fast, slower = with_linear_start(codec, points.QUICK).values()
    assert slower.reversal.steps == points.QUICK.more_steps
    found = race({"ganrev": codec, "fast": fast}, plain_generator(codec.generator), smooth_images(3), 2, 30)
    assert {name: (d.lanes, len(d.grid)) for name, d in found.items()} == {
        "ganrev": (2, 21),
        "fast": (2, fast.reversal.steps + 1),
        "plain": (1, 31),
    }
    for descent in found.values():
        assert descent.ssim.shape == descent.seconds.shape == (3, len(descent.grid))
        assert descent.rounds.shape == (2, len(descent.grid))
        assert (np.diff(descent.rounds, axis=1) > 0).all()
    np.testing.assert_allclose(found["plain"].ssim[:, 0], found["ganrev"].ssim[:, 0], atol=1e-3)
    assert (found["fast"].ssim[:, 0] > found["plain"].ssim[:, 0]).all()
    table = curves(found)
    assert list(table.columns) == ["variant", "step", "seconds_per_image", "ssim"]
    assert table.groupby("variant")["ssim"].last().min() > table.groupby("variant")["ssim"].first().min()


def test_a_generator_without_a_linear_map_races_from_the_prior_alone():
    codec = tiny_codec()
    codec.generator = Convolutional()
    assert with_linear_start(codec, points.QUICK) == {}


# ---- memory


@pytest.mark.parametrize("variant", memory.VARIANTS)
def test_memory_at_work_is_more_than_what_was_loaded(variant):
    found = memory.measure(variant, 2, OVERRIDES)
    assert found["peak"] >= found["baseline"] > 50  # MiB; torch alone takes more


def test_memory_that_was_given_back_before_does_not_count():
    with mmap.mmap(-1, 190 * 2**20) as gone:  # not from the heap, which may keep what was freed
        gone.write(b"1" * len(gone))
    baseline = memory._start(CPU)
    with mmap.mmap(-1, 40 * 2**20) as kept:
        kept.write(b"1" * len(kept))
        assert 30 * 2**20 < memory._peak(CPU) - baseline < 100 * 2**20


def test_memory_is_measured_in_a_process_of_its_own():
    kept = torch.ones(100_000_000)  # 380 MiB, which are not that process's
    found = points._memory_of("plain", 1, OVERRIDES)
    assert 50 < found["baseline"] <= found["peak"] < kept.nbytes / 2**20 + found["baseline"]
    assert found["peak"] - found["baseline"] < 200


def test_a_process_that_fails_is_reported(monkeypatch):
    monkeypatch.setattr(points.subprocess, "run", lambda *_, **__: CompletedProcess([], 1, "", "out of memory"))
    with pytest.raises(RuntimeError, match="memory of plain failed:\nout of memory"):
        points.memory(PLAN, [])


# ---- the whole


@pytest.fixture(scope="module")
def results(tmp_path_factory, two_pictures):
    """The folder of a benchmark in miniature, with memory of 10 MiB a lane, and twice that for a plain loop."""
    out = tmp_path_factory.mktemp("bench")

    def memory_of(variant, lanes, overrides):
        return {"baseline": 100, "peak": 100 + 10 * lanes * (1 if variant == "ganrev" else 2)}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(points, "_memory_of", memory_of)
        patch.setattr(points, "GEMM_SIZES", {"cpu": (8,), "cuda": (8,)})
        patch.setattr(measures, "GEMM_SECONDS", 0.001)
        app.run(PLAN, OVERRIDES, two_pictures, out)
    return out


def test_the_table_has_every_point(results):
    frame = pd.read_csv(results / "bench.csv")
    assert tuple(frame.columns) == points.COLUMNS
    assert list(frame["point"].unique()) == list("abcdef")
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
        assert points.FIT_LANES in plan.lanes
        assert set(plan.memory_lanes) <= set(plan.lanes)
    assert points.FULL.lanes[0] == 1
    assert points.FULL.lanes[-1] == 256


def test_default_settings_can_be_measured():
    assert isinstance(app.make_codec(OVERRIDES).reversal, Reversal)
