"""`python -m experiments.sweep`: run a grid by Hydra's multirun, then gather one tidy CSV."""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from experiments import composition
from ganrev.errors import plain_errors, root_message
from ganrev.runner import load_summary

_log = logging.getLogger(__name__)


class JobRecord(Callback):
    """Hydra callback that leaves a JSON file for each job: its overrides, and its run folder or its error.

    A file of its own for each job works under every launcher, also where jobs run in other processes.

    Args:
        folder: where the files go.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write a record that stays if the job is killed."""
        self._write(config, {"error": "it was cut off before its end"})

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Write what became of the job."""
        try:
            self._write(config, {"run": str(Path(job_return.return_value).resolve())})
        except Exception as error:  # whatever the job raised; Hydra keeps it, and raises it after the other jobs
            self._write(config, {"error": f"{type(error).__name__}: {root_message(error)}"})

    def _write(self, config: DictConfig, outcome: dict[str, str]) -> None:
        job = int(config.hydra.job.num)
        record = {"job": job, "overrides": list(config.hydra.overrides.task)} | outcome
        (self.folder / f"{job}.json").write_text(json.dumps(record))


def launch(overrides: Sequence[str], records: Path) -> int:
    """Run `ganrev run --multirun` in a process of its own, leaving job records; returns its exit status."""
    quoted = str(records.resolve()).replace("'", "\\'")
    recorder = "+hydra.callbacks.job_record"
    command = [
        *(sys.executable, "-m", "ganrev.cli", "run", "--multirun", *overrides),
        f"{recorder}._target_=experiments.sweep.JobRecord",
        f"{recorder}.folder='{quoted}'",
    ]
    # Whatever this process can import, that one can too.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(command, check=False, env=environment).returncode


def read_records(records: Path) -> list[dict[str, Any]]:
    """Return the records of all jobs that began, in their order."""
    found = [json.loads(file.read_text()) for file in records.glob("*.json")]
    return sorted(found, key=lambda record: record["job"])


def collect(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return one line a finished run: its overrides, then means, half widths of 95 % intervals, and counts."""
    lines = []
    for record in records:
        if "run" not in record:
            continue
        folder = Path(record["run"])
        summary = load_summary(folder)
        line: dict[str, Any] = dict(override.lstrip("+").split("=", 1) for override in record["overrides"])
        line |= {"run": folder.name} | {key: summary[key] for key in ("num_images", "image_size", "cr", "file_cr")}
        line |= summary["mean"]
        line |= {f"{key}_ci95": value for key, value in summary["ci95"].items()}
        line |= {key: len(summary[key]) for key in ("images_failed", "images_skipped")}
        lines.append(line | {key: summary[key] for key in ("lanes", "lanes_diverged")})
    return pd.DataFrame(lines)


def sweep(overrides: Sequence[str], path: Path) -> int:
    """Run a grid and write its CSV; returns 0 only if every job ended well.

    Raises:
        ValueError: not one job ran.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
        status = launch(overrides, Path(folder))
        records = read_records(Path(folder))
    frame = collect(records)
    failed = [record for record in records if "error" in record]
    for record in failed:
        _log.error("failed: %s\n  %s", " ".join(record["overrides"]), record["error"])
    if frame.empty:
        raise ValueError("no run of the sweep was finished: see the messages above")
    frame.to_csv(path, index=False)
    print(f"\n{path}: {len(frame)} runs, {len(failed)} failed")
    if status and not failed:
        _log.error("the sweep was cut short: see the messages above; the same command goes on with what is missing")
    return 1 if status or failed else 0


def main(argv: Sequence[str] | None = None) -> None:
    """Run the sweep; exits with 1 if a job failed, with 2 after a user's mistake."""
    parser = composition.make_parser("sweep", __doc__.split(": ", 1)[1], "results/sweeps")
    name, arguments = composition.read_command_line(parser, argv, "sweep")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    with plain_errors():
        experiment = composition.load_experiment(name, "overrides")
        grid = composition.check_overrides(experiment["overrides"], name)
        # Of two overrides of one key Hydra's sweeper takes the last, and so the command line's.
        status = sweep([*grid, *arguments.overrides], arguments.results / f"{experiment['name']}.csv")
    raise SystemExit(status)


if __name__ == "__main__":
    main()
