"""`python -m experiments.bench.memory VARIANT LANES`: the memory that a few steps take, in a process of its own."""

import argparse
import json
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from hydra.utils import instantiate

from experiments.bench.measures import descend, descend_plainly
from experiments.bench.plain import plain_generator
from experiments.composition import compose_config
from ganrev.errors import plain_errors

VARIANTS = ("ganrev", "plain", "plain, frozen")
_STEPS = 3  # Adam's state is there after the first
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _start(device: torch.device) -> int:
    """Return the bytes in use, and reset the peak."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    if _CLEAR.exists():
        _CLEAR.write_text("5")  # resets the high-water mark: loading may have taken more than is left of it
    return _peak(device)


def _peak(device: torch.device) -> int:
    """Return the most bytes that were in use since `_start`.

    Linux's VmHWM, where it is there: ru_maxrss never falls, and a child's begins at its parent's.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if _STATUS.exists():
        fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure(variant: str, lanes: int, overrides: Sequence[str]) -> dict[str, float]:
    """Return `baseline`, MiB in use once all is loaded, and `peak`, MiB at the most in the steps that follow."""
    codec = instantiate(compose_config(overrides).codec)
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (lanes, 3, codec.image_size, codec.image_size), dtype=torch.uint8, generator=rng)
    network = None if variant == "ganrev" else plain_generator(codec.generator, variant != "plain")
    baseline = _start(codec.device.torch_device)
    if network is None:
        descend(codec, images, _STEPS, [_STEPS])
    else:
        descend_plainly(codec, network, images, _STEPS, [_STEPS])
    return {"baseline": baseline / 2**20, "peak": _peak(codec.device.torch_device) / 2**20}


def main(argv: Sequence[str] | None = None) -> None:
    """Print the measure as JSON; a user's mistake prints one line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.bench.memory", description=__doc__)
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("lanes", type=int)
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="of configs/config.yaml")
    arguments = parser.parse_intermixed_args(argv)
    with plain_errors():
        print(json.dumps(measure(arguments.variant, arguments.lanes, arguments.overrides)))


if __name__ == "__main__":
    main()
