"""The Hydra application behind `run.py` and `ganrev run`."""

import os
import sys
from contextlib import nullcontext

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from ganrev.configuration.overrides import check_overrides, compose_config, refuse_tables
from ganrev.errors import plain_errors
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.runner import run
from ganrev.evaluation.summary_text import describe
from ganrev.paths import config_dir
from ganrev.terminal import print_anything


@hydra.main(config_path=str(config_dir()), config_name="config", version_base="1.3")
def _evaluate(cfg: DictConfig) -> str:
    """Run the composed config and print its summary; returns the run's folder, for Hydra's callbacks."""
    print_anything()  # a launcher's process, and Hydra's log files
    hydra_config = HydraConfig.get()
    # In a sweep the error must reach Hydra and its callback, ganrev.evaluation.jobs.JobRecord; the other jobs go on.
    guard = nullcontext() if hydra_config.mode == RunMode.MULTIRUN else plain_errors()
    with guard:
        folder = run(cfg, list(hydra_config.overrides.task))
        print(describe(RunFolder(folder)))
    return str(folder)


def main() -> None:
    """Hand the command line to Hydra, after mistakes that Hydra itself explains badly."""
    print_anything()
    # A launcher starts processes of its own; what lies in the current folder is not for them to import.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    overrides = [word for word in words if "=" in word]
    with plain_errors():
        refuse_tables(overrides)
        check_overrides(overrides)
        if words == sys.argv[1:]:  # no flag of Hydra's, such as -m: values of a sweep are lists that only Hydra reads
            compose_config(words)  # Hydra explains its own mistakes in up to 17 lines
    _evaluate()
