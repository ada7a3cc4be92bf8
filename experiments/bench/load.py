"""`python -m experiments.bench.load STEPS`: what several jobs on one machine do to each other.

Each job is a process of its own that reverses one picture; they begin together, once all are ready.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence

import torch
from hydra.utils import instantiate

from experiments.bench import measures
from experiments.composition import compose_config
from ganrev.errors import plain_errors
from ganrev.evaluation.child import child_environment, python_module
from ganrev.progress import ProgressBar

SPIN = "GOMP_SPINCOUNT"
LONG_SPIN = "300000"  # turns, GCC's own default
_READY = "ready"


def throughput(num_jobs: int, num_steps: int, overrides: Sequence[str], spin: str | None = None) -> float:
    """Return the steps per second of all jobs in sum, until the last of them is done.

    Args:
        num_jobs: at once.
        num_steps: of each.
        overrides: of configs/config.yaml.
        spin: how long threads wait for each other spinning, in turns; None for the program's own choice.

    Raises:
        RuntimeError: a job failed.
    """
    environment = child_environment()
    del environment[SPIN]  # which this process has set for itself
    environment |= {SPIN: spin} if spin else {}
    command = python_module("experiments.bench.load", str(num_steps), *overrides)
    jobs = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(num_jobs)
    ]
    try:
        for job in jobs:
            _expect(job, _READY)
        began = time.perf_counter()
        for job in jobs:
            assert job.stdin is not None
            job.stdin.write("go\n")
            job.stdin.flush()
        for job in jobs:
            _expect(job, "done")
        return num_jobs * num_steps / (time.perf_counter() - began)
    finally:
        for job in jobs:
            job.kill()
            job.communicate()


def _expect(job: subprocess.Popen, word: str) -> None:
    assert job.stdout is not None
    line = job.stdout.readline().strip()
    if line != word:
        raise RuntimeError(f"a job of the benchmark under load failed: it said {line!r}, expected {word!r}")


def load(jobs: Sequence[int], num_steps: int, num_rounds: int, overrides: Sequence[str]) -> list[dict]:
    """Measure (g) the throughput of simultaneous jobs beside that of one, and of one beside a long spin.

    Returns:
        Rows of `points.COLUMNS`; the ratios are those of each round.
    """
    cases: list[tuple[int, str | None]] = [(1, LONG_SPIN), *((num, None) for num in jobs)]
    rates: dict[tuple[int, str | None], list[float]] = {case: [] for case in cases}
    with ProgressBar(total=num_rounds * len(cases), desc="measuring under load", leave=False) as bar:
        for _ in range(num_rounds):
            for case in cases:
                rates[case].append(throughput(case[0], num_steps, overrides, case[1]))
                bar.update()
    alone = rates[1, None]
    found = {f"{num} at once / 1": measures.ratios(rates[num, None], alone) for num in jobs if num > 1}
    found["1 / 1 with a long spin"] = measures.ratios(alone, rates[1, LONG_SPIN])
    names = {case: f"{case[0]} at once" + (", long spin" if case[1] else "") for case in cases}
    shared = {"point": "g", "lanes": 1}
    return [
        shared | {"measure": measure, "unit": unit, "variant": variant} | measures.spread(values)
        for measure, unit, by_variant in (
            ("steps_under_load", "1/s", {names[case]: rates[case] for case in cases}),
            ("throughput", "times", found),
        )
        for variant, values in by_variant.items()
    ]


def work(num_steps: int, overrides: Sequence[str]) -> None:
    """Reverse one picture, when told to."""
    codec = instantiate(compose_config(overrides).codec)
    rng = torch.Generator().manual_seed(os.getpid())
    image = torch.randint(256, (1, 3, codec.image_size, codec.image_size), dtype=torch.uint8, generator=rng)
    measures.descend(codec, image, measures.WARM_UP, [measures.WARM_UP])
    print(_READY, flush=True)
    sys.stdin.readline()
    measures.descend(codec, image, num_steps, [num_steps])
    print("done", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of one job; a user's mistake prints one line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.bench.load", description=__doc__)
    parser.add_argument("steps", type=int)
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="of configs/config.yaml")
    arguments = parser.parse_intermixed_args(argv)
    with plain_errors():
        work(arguments.steps, arguments.overrides)


if __name__ == "__main__":
    main()
