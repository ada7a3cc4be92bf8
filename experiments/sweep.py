"""`ganrev sweep`: run a grid by Hydra's multirun, then gather one tidy CSV."""

import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments import composition
from ganrev.configuration.overrides import quote
from ganrev.evaluation.child import child_environment, python_module
from ganrev.evaluation.jobs import read_failed, read_records
from ganrev.evaluation.run_folder import RunFolder
from ganrev.wording import counted

_log = logging.getLogger(__name__)


def launch(overrides: Sequence[str], records: Path) -> int:
    """Run `ganrev run --multirun` in a process of its own, leaving job records; returns its exit status."""
    folder = quote(str(records.resolve()))
    command = python_module("ganrev.cli", "run", "--multirun", *overrides, f"hydra.callbacks.jobs.folder={folder}")
    return subprocess.run(command, check=False, env=child_environment()).returncode


def collect(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return one line per finished run: its overrides, then means, half widths of 95 % intervals, and counts."""
    lines = []
    for record in records:
        if "run" not in record:
            continue
        run = RunFolder(record["run"])
        summary = run.summary
        line: dict[str, Any] = dict(override.lstrip("+").split("=", 1) for override in record["overrides"])
        line |= {"run": run.name} | {key: summary[key] for key in ("num_images", "image_size", "cr", "file_cr")}
        line |= summary["mean"]
        line |= {f"{key}_ci95": value for key, value in summary["ci95"].items()}
        line |= {key: len(summary[key]) for key in ("images_failed", "images_skipped")}
        lines.append(line | {key: summary[key] for key in ("lanes", "lanes_diverged")})
    return pd.DataFrame(lines)


def sweep(overrides: Sequence[str], path: Path) -> int:
    """Run a grid and write its CSV, and beside it the record of each job; returns 0 only if every job ended well.

    Raises:
        ValueError: not one job ran.
    """
    records = path.with_name(f"{path.stem}-jobs")
    status = launch(overrides, records)
    frame = collect(read_records(records))
    num_failed = len(read_failed(records))
    if frame.empty:
        raise ValueError("no run of the sweep was finished: see the messages above")
    frame.to_csv(path, index=False)
    print(f"\n{path}: {counted(len(frame), 'run')}, {num_failed} failed")
    if status and not num_failed:
        _log.error("the sweep was cut short: see the messages above; the same command goes on with what is missing")
    return 1 if status or num_failed else 0


def make_sweep(name: str, overrides: Sequence[str], results: Path) -> int:
    """Run the grid of a YAML file and write its CSV to the folder `results`; returns 0 only if every job ended well."""
    experiment = composition.load_experiment(name, "overrides")
    grid = composition.check_overrides(experiment["overrides"], name)
    # Of two overrides of one key Hydra's sweeper takes the last, and so the command line's.
    return sweep([*grid, *overrides], results / f"{experiment['name']}.csv")
