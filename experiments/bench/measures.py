"""What the benchmark counts and times: clocks, descents, ratios, crossings, FLOPs, GEMM rates, operators."""

import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from experiments.bench.plain import PLAIN_LR, plain_reverse
from ganrev.codecs.gan import GanCodec
from ganrev.generator.base import Generator
from ganrev.pixels import to_x
from ganrev.progress import ProgressBar
from ganrev.reversal.reversing import lane_rng, reverse

Values = Sequence[float] | np.ndarray  # of one dimension, a value for each round

GEMM_SECONDS = 0.3  # at least, for each size of matrix
WARM_UP = 3  # steps that are not timed: they allocate, and perhaps compile


def now(device: torch.device) -> float:
    """Return the time in seconds, once the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Clock:
    """An `on_step` that notes when a descent reached the steps of a grid, and with what latents.

    Attributes:
        seconds: by step, since the clock was made.
        latents: by step, float32 [L, D] on the CPU.
    """

    def __init__(self, device: torch.device, grid: Iterable[int]) -> None:
        self._device, self._grid = device, frozenset(grid)
        self.seconds: dict[int, float] = {}
        self.latents: dict[int, Tensor] = {}
        self._began = now(device)

    def __call__(self, step: int, z: Tensor) -> None:
        if step in self._grid:
            self.seconds[step] = now(self._device) - self._began
            self.latents[step] = z.detach().to("cpu", copy=True)

    @property
    def num_lanes(self) -> int:
        """Lanes of the descent."""
        return len(next(iter(self.latents.values())))


def descend(codec: GanCodec, images: Tensor, num_steps: int, grid: Iterable[int]) -> list[Clock]:
    """Reverse uint8 images [L, 3, S, S] in the parts in which the codec would; returns one clock per part.

    A clock starts before the targets and the initial latents of its part are made.
    """
    settings, device = copy.copy(codec.reversal), codec.device.torch_device
    settings.steps, settings.restarts = num_steps, 1
    clocks = []
    for part in images.chunk(-(-len(images) // codec.device.lanes)):
        clock = Clock(device, grid)
        targets = codec.renderer.targets(part)
        rngs = [lane_rng(codec.seed, image, 0) for image in part]
        reverse(codec.renderer.fast_generator, codec.loss, targets, rngs, settings, clock)
        clocks.append(clock)
    return clocks


def descend_plainly(
    codec: GanCodec, network: Generator, images: Tensor, num_steps: int, grid: Iterable[int]
) -> list[Clock]:
    """Reverse uint8 images [N, 3, S, S] by the plain loop, from the codec's starts; returns one clock per image."""
    clocks = []
    for image in images:
        clock = Clock(codec.device.torch_device, grid)
        target = to_x(image[None].to(codec.device.torch_device))
        rng = lane_rng(codec.seed, image, 0)
        plain_reverse(network, codec.loss, target, rng, PLAIN_LR, num_steps, clock)
        clocks.append(clock)
    return clocks


def lane_steps_per_second(clocks: Sequence[Clock]) -> float:
    """Return the rate between the first and the last step that the clocks of one descent noted."""
    lane_steps = sum(clock.num_lanes * (max(clock.seconds) - min(clock.seconds)) for clock in clocks)
    return lane_steps / sum(max(clock.seconds.values()) - min(clock.seconds.values()) for clock in clocks)


def interleave(measures: Mapping[Any, Callable[[], Any]], num_rounds: int, label: str) -> dict[Any, list[Any]]:
    """Call every measure in turn, again and again, so that a slow machine slows all of them equally.

    Args:
        measures: functions of no argument, by name.
        num_rounds: how often each is called.
        label: of the progress bar.

    Returns:
        The results of all rounds by name.
    """
    results: dict[Any, list[Any]] = {name: [] for name in measures}
    with ProgressBar(total=num_rounds * len(measures), desc=label, leave=False) as bar:
        for _ in range(num_rounds):
            for name, measure in measures.items():
                results[name].append(measure())
                bar.update()
    return results


def spread(values: Values) -> dict[str, float]:
    """Return median, lowest, highest and number of repetitions."""
    return {
        "median": float(np.median(values)),
        "lowest": float(min(values)),
        "highest": float(max(values)),
        "repetitions": len(values),
    }


def ratios(over: Values, under: Values) -> list[float]:
    """Return the ratio within each round; a slow round slows both, and the median of ratios is the fair one."""
    return [a / b for a, b in zip(over, under, strict=True)]


def crossing(grid: Sequence[int], values: Sequence[float], target: float) -> float:
    """Return the first step of the grid whose value reaches the target, infinity if none does."""
    return min((step for step, value in zip(grid, values, strict=True) if value >= target), default=math.inf)


def count_flops(network: Generator, num_lanes: int) -> float:
    """Return the FLOPs per lane of one pass forward and backward to z, two for each multiplication and addition.

    Matrix products and convolutions count, other operators do not, nor does the loss. Weight gradients count where
    the weights take them. Rows that an implementation only adds count, too: ask for eight lanes, a full batch of
    the embedded generator's linear maps.
    """
    device = next(network.parameters()).device
    z = torch.zeros(num_lanes, network.latent_dim, device=device, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        network(z).sum().backward()
    network.zero_grad()
    return counter.get_total_flops() / num_lanes


def gemm_rate(device: torch.device, dtype: torch.dtype, sizes: Iterable[int]) -> float:
    """Return the highest FLOP/s among products of two square matrices of several sizes."""
    return max(_rate_of_products(device, dtype, size) for size in sizes)


def _rate_of_products(device: torch.device, dtype: torch.dtype, size: int) -> float:
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = a @ b  # burn-in
    products, began = 0, now(device)
    while products == 0 or now(device) - began < GEMM_SECONDS:
        torch.mm(a, b, out=out)
        products += 1
    return 2 * size**3 * products / (now(device) - began)


def rank_operators(device: torch.device, work: Callable[[], object], num_lane_steps: int) -> pd.DataFrame:
    """Return where the time of some work goes, the operator with the largest share first.

    Args:
        device: of which the time counts.
        work: run once under the profiler; run it before, too.
        num_lane_steps: in the work.

    Returns:
        Columns operator, share (of the time in operators, time in others called from it left out),
        microseconds_per_lane_step, calls.
    """
    on_cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_cuda else [])]
    with profile(activities=activities) as profiler:
        work()
        now(device)
    lines = []
    for event in profiler.key_averages():
        if event.device_type != DeviceType.CPU:
            continue  # a kernel, whose time its operator has already
        spent = event.self_device_time_total if on_cuda else event.self_cpu_time_total
        lines.append(
            {"operator": event.key, "microseconds_per_lane_step": spent / num_lane_steps, "calls": event.count}
        )
    frame = pd.DataFrame(lines).sort_values("microseconds_per_lane_step", ascending=False, ignore_index=True)
    frame.insert(1, "share", frame["microseconds_per_lane_step"] / frame["microseconds_per_lane_step"].sum())
    return frame[frame["share"] > 0]
