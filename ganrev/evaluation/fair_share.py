"""A fair share of the cores for the jobs of a sweep that run on one machine at the same time."""

import math
import os
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

THREADS = "OMP_NUM_THREADS"


class FairShare(Callback):
    """Hydra callback that gives each job of `submitit_local` and `ray` as many threads as its share has cores.

    By itself each job would take all of them, and as many jobs as there are would share the cores in turns. joblib's
    workers share them already. What the user has set (OMP_NUM_THREADS, device.threads) stays.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Set what the jobs' processes inherit; threads of this process are not changed."""
        num_jobs = jobs_at_once(config, num_cores())
        if num_jobs > 1:
            os.environ.setdefault(THREADS, str(max(1, num_cores() // num_jobs)))


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def jobs_at_once(config: DictConfig, cores: int) -> int:
    """Return how many jobs of a sweep run on this machine at the same time and do not share its cores by themselves.

    Args:
        config: with the sweep's overrides, its launcher and its sweeper in `hydra`.
        cores: of this machine.
    """
    launcher = config.hydra.launcher
    if launcher["_target_"].endswith(".LocalLauncher"):  # submitit's: it starts all jobs of a batch
        return min(_num_jobs(config), config.hydra.sweeper.get("max_batch_size") or cores, cores)
    if launcher["_target_"].endswith(".RayLauncher"):  # as many as have their cores free
        ray = launcher.ray
        of_each = ray.remote.get("num_cpus") or 1
        return min(_num_jobs(config), int((ray.init.get("num_cpus") or cores) // of_each), cores)
    return 1


def _num_jobs(config: DictConfig) -> int:
    stored = config.hydra.sweeper.get("params") or {}
    texts = [*config.hydra.overrides.task, *(f"{key}={value}" for key, value in stored.items())]
    return math.prod(_num_values(override) for override in OverridesParser.create().parse_overrides(texts))


def _num_values(override: Override) -> int:
    if not override.is_sweep_override():
        return 1
    if isinstance(override.value(), Glob) or not override.is_discrete_sweep():
        return num_cores()  # its values are only known to the sweeper: as many as there is room for
    return sum(1 for _ in override.sweep_string_iterator())
