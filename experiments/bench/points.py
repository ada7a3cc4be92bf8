"""The points of the benchmark, each as rows of one table."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from experiments.bench import measures
from experiments.bench.race import TimedDescent, ratio_of_each, tile
from ganrev.codecs.gan import GanCodec
from ganrev.evaluation.child import ask_module
from ganrev.evaluation.decoding import BATCH_SIZE
from ganrev.generator.base import Generator
from ganrev.progress import ProgressBar

COLUMNS = ("point", "measure", "variant", "lanes", "unit", "median", "lowest", "highest", "repetitions")
CACHED_LANES = 8  # so few stay in a CPU's cache; the cost per lane in the largest batch is compared with theirs
NEAR = 0.001  # SSIM, of the plain loop's end
GEMM_SIZES = {"cpu": (1024, 2048, 4096), "cuda": (4096, 8192)}  # sides of matrices, the best counts

Case = TypeVar("Case", bound=tuple[str, int | None])  # variant and number of lanes


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes:
        num_images: pictures of the race.
        num_plain_steps: of the plain loop in the race.
        num_more_steps: of one more descent in the race, which costs more than `reversal=fast` and ends higher.
        num_rounds: repetitions of speed and decoding.
        num_long_rounds: repetitions of what takes long, the race and growth with lanes.
        lanes: batch sizes for growth; `CACHED_LANES` is one of them.
        memory_lanes: batch sizes whose memory is measured, each in a process of its own.
        num_timed_steps: of a measurement of speed.
        jobs: numbers of simultaneous jobs whose throughput is measured; 1 is one of them.
        num_load_steps: of each job.
        overrides: of configs/config.yaml; the user's come after them.
    """

    num_images: int
    num_plain_steps: int
    num_more_steps: int
    num_rounds: int
    num_long_rounds: int
    lanes: tuple[int, ...]
    memory_lanes: tuple[int, ...]
    num_timed_steps: int
    jobs: tuple[int, ...]
    num_load_steps: int
    overrides: tuple[str, ...] = ()


FULL = Plan(8, 300, 150, 7, 2, (1, 2, 4, 8, 16, 32, 64, 128, 256), (1, 8, 64, 256), 20, (1, 2, 4), 100)
QUICK = Plan(2, 20, 20, 2, 1, (1, 8, 16), (8,), 4, (1, 2), 10, ("reversal.steps=10",))


def rows_of(point: str, measure: str, unit: str, cases: Mapping[Case, measures.Values]) -> list[dict]:
    """Return one row of `COLUMNS` for the values of each variant and number of lanes."""
    shared = {"point": point, "measure": measure, "unit": unit}
    return [
        shared | {"variant": variant, "lanes": lanes} | measures.spread(values)
        for (variant, lanes), values in cases.items()
    ]


def _timed(num_steps: int) -> tuple[int, int]:
    """Return the first and the last step of a clock that times a number of steps."""
    return measures.WARM_UP, measures.WARM_UP + num_steps


def speed(codec: GanCodec, networks: Mapping[str, Generator], images: Tensor, plan: Plan) -> list[dict]:
    """Measure (a) lane-steps per second and (c) the share of the machine's GEMM rate, in the same rounds.

    Args:
        codec: ours.
        networks: of the plain loops, by variant.
        images: uint8 [N, 3, S, S].
        plan: how much to measure.
    """
    device, lanes = codec.device.torch_device, codec.device.lanes
    grid = _timed(plan.num_timed_steps)
    todo = {("ganrev", lanes): partial(measures.descend, codec, tile(images, lanes), grid[-1], grid)}
    for name, network in networks.items():
        todo[name, 1] = partial(measures.descend_plainly, codec, network, images[:1], grid[-1], grid)
    sizes = GEMM_SIZES[device.type]
    dtypes = {codec.device.precision: codec.device.dtype, "float32": torch.float32}
    gemms = {(key, None): partial(measures.gemm_rate, device, dtype, sizes) for key, dtype in dtypes.items()}
    # Measure in turn, then compare within each round.
    found = measures.interleave({**todo, **gemms}, plan.num_rounds, "measuring speed")
    rates = {case: [measures.lane_steps_per_second(clocks) for clocks in found[case]] for case in todo}
    ours = rates["ganrev", lanes]
    times = {(f"ganrev / {name}", lanes): measures.ratios(ours, rates[name, 1]) for name in networks}
    flops = {("ganrev", lanes): measures.count_flops(codec.generator, CACHED_LANES)}
    flops |= {(name, 1): measures.count_flops(network, CACHED_LANES) for name, network in networks.items()}
    return [
        *rows_of("a", "lane_steps_per_second", "1/s", rates),
        *rows_of("a", "speed", "times", times),
        *_shares(rates, flops, {key: found[key, None] for key in dtypes}, codec.device.precision),
    ]


def _shares(
    rates: Mapping[Case, Sequence[float]],
    flops: Mapping[Case, float],
    gemms: Mapping[str, list[float]],
    precision: str,
) -> list[dict]:
    """Return the rows of (c): GEMM rates, arithmetic, and its rate as a share of a GEMM's of the same dtype."""
    shares = {}
    for case, values in rates.items():
        gemm = gemms[precision if case[0] == "ganrev" else "float32"]
        shares[case] = [flops[case] * rate for rate in measures.ratios(values, gemm)]
    gemm_rows = {(key, None): [rate / 1e9 for rate in values] for key, values in gemms.items()}
    return [
        *rows_of("c", "gemm", "GFLOP/s", gemm_rows),
        *rows_of("c", "arithmetic", "GFLOP/lane-step", {case: [count / 1e9] for case, count in flops.items()}),
        *rows_of("c", "share_of_gemm", "share", shares),
    ]


def to_plain_ssim(found: Mapping[str, TimedDescent]) -> list[dict]:
    """Return the rows of (b): time to the SSIM at which the plain loop ends, and to within `NEAR` of it.

    `time_to_near` is what counts: the plain loop's time to its end over ours to within `NEAR` of it. What both take to
    within `NEAR` is compared beside it.
    """
    plain = found["plain"]
    target = float(plain.ssim[:, -1].mean())
    near = target - NEAR
    cases = {(name, descent.lanes): descent for name, descent in found.items()}
    ours = {(f"plain / {name}", descent.lanes): descent for (name, _), descent in cases.items() if name != "plain"}
    seconds = {case: descent.seconds_to(target) for case, descent in cases.items()}
    gain = {case: measures.ratios(seconds["plain", 1], descent.seconds_to(target)) for case, descent in ours.items()}
    whole = {case: measures.ratios(plain.rounds[:, -1], descent.rounds[:, -1]) for case, descent in ours.items()}
    apart = {(f"{name} - plain", lanes): [cases[name, lanes].ssim[:, -1].mean() - target] for name, lanes in cases}
    plain_seconds = {"time_to_near": plain.seconds_to(target), "time_of_both_to_near": plain.seconds_to(near)}
    to_near = {
        name: {case: measures.ratios(of_plain, descent.seconds_to(near)) for case, descent in ours.items()}
        for name, of_plain in plain_seconds.items()
    }
    gain_of_each = {case: ratio_of_each(plain, descent) for case, descent in ours.items()}
    return [
        *rows_of(
            "b", "seconds_to_plain_ssim", "s per image", {case: d.seconds_to(target) for case, d in cases.items()}
        ),
        *rows_of("b", "steps_to_plain_ssim", "steps", {case: [d.step_to(target)] for case, d in cases.items()}),
        *rows_of("b", "time_to_plain_ssim", "times", gain),
        *rows_of("b", "time_to_near", "times", to_near["time_to_near"]),
        *rows_of("b", "time_of_both_to_near", "times", to_near["time_of_both_to_near"]),
        *rows_of("b", "time_to_plain_ssim_of_each_image", "times", gain_of_each),
        *rows_of("b", "time_for_all_steps", "times", whole),
        *rows_of("b", "ssim_apart", "SSIM", {case: v for case, v in apart.items() if case[0] != "plain - plain"}),
        *rows_of("b", "ssim_after_all_steps", "mean", {case: [d.ssim[:, -1].mean()] for case, d in cases.items()}),
        *rows_of("b", "seconds_for_all_steps", "s per image", {case: d.rounds[:, -1] for case, d in cases.items()}),
    ]


def memory(plan: Plan, overrides: Sequence[str]) -> list[dict]:
    """Measure (d) peak memory, each variant in a process of its own.

    Raises:
        RuntimeError: such a process failed.
    """
    cases = [("plain", 1), ("plain, frozen", 1), *(("ganrev", lanes) for lanes in plan.memory_lanes)]
    bar = ProgressBar(cases, desc="measuring memory", leave=False)
    found = {(variant, lanes): _memory_of(variant, lanes, overrides) for variant, lanes in bar}
    work = {case: [one["peak"] - one["baseline"]] for case, one in found.items()}
    times = {("ganrev / plain", n): measures.ratios(work["ganrev", n], work["plain", 1]) for n in plan.memory_lanes}
    return [
        *rows_of("d", "working_memory", "MiB", work),
        *rows_of("d", "peak_memory", "MiB", {case: [one["peak"]] for case, one in found.items()}),
        *rows_of("d", "memory", "times", times),
    ]


def _memory_of(variant: str, lanes: int, overrides: Sequence[str]) -> dict[str, float]:
    return ask_module(f"measuring the memory of {variant}", "experiments.bench.memory", variant, str(lanes), *overrides)


def decoding(codec: GanCodec, images: Tensor, plan: Plan) -> list[dict]:
    """Measure (e) the time to decode a picture, alone and in batches."""
    drafts = copy.copy(codec)
    drafts.reversal = copy.copy(codec.reversal)
    drafts.reversal.steps = 1  # the content of a file does not change how long it takes to decode
    blobs = drafts.encode(images)

    def milliseconds(number: int) -> float:
        batch = [blobs[i % len(blobs)] for i in range(number)]
        began = measures.now(codec.device.torch_device)
        codec.decode(batch)
        return 1e3 * (measures.now(codec.device.torch_device) - began) / number

    milliseconds(1)  # burn-in
    numbers = sorted({*plan.lanes, BATCH_SIZE})
    found = measures.interleave({n: partial(milliseconds, n) for n in numbers}, plan.num_rounds, "decoding")
    return rows_of("e", "decode", "ms per image", {("ganrev", n): values for n, values in found.items()})


def growth(codec: GanCodec, network: Generator, images: Tensor, plan: Plan) -> list[dict]:
    """Measure (f) the cost of a lane-step in batches of more and more lanes, cut into parts as the codec does."""
    grid = _timed(plan.num_timed_steps)
    todo = {("plain", 1): partial(measures.descend_plainly, codec, network, images[:1], grid[-1], grid)}
    for lanes in plan.lanes:
        grid = _timed(max(4, 64 // lanes))  # with few lanes, more steps
        todo["ganrev", lanes] = partial(measures.descend, codec, tile(images, lanes), grid[-1], grid)
    found = measures.interleave(todo, plan.num_long_rounds, "measuring growth")
    rates = {case: [measures.lane_steps_per_second(clocks) for clocks in rounds] for case, rounds in found.items()}
    costs = {case: [1e3 / rate for rate in values] for case, values in rates.items()}
    most = max(plan.lanes)
    times = measures.ratios(costs["ganrev", most], costs["ganrev", CACHED_LANES])
    return [
        *rows_of("f", "lane_steps_per_second", "1/s", rates),
        *rows_of("f", "milliseconds_per_lane_step", "ms", costs),
        *rows_of("f", "cost_of_a_lane", "times", {(f"{most} / {CACHED_LANES} lanes", None): times}),
    ]
