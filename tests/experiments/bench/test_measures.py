"""What the benchmark counts; how fast anything is, is not tested."""

import math

import pytest
import torch

from experiments.bench import measures
from experiments.bench.plain import plain_generator
from ganrev.coding.backends import Bzip2
from ganrev.coding.quantiser import Quantiser
from ganrev.reversal.device import Device
from tests.experiments.bench.small import CPU, Convolutional, clock_of
from tests.tiny import smooth_images, tiny_codec


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
