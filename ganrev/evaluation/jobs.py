"""The outcome of each job of a sweep, under any launcher."""

import atexit
import json
import sys
import traceback
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from ganrev.errors import root_cause
from ganrev.files import write_whole
from ganrev.wording import counted


class JobRecord(Callback):
    """Hydra callback that leaves a JSON file for each job of a sweep: its overrides, and its run folder or its error.

    A job that fails does not stop the others, and in the end the sweep lists all that failed and exits with status 1.
    (Hydra raises the first error alone, and where `hydra.sweeper.max_batch_size` is set, before the jobs that follow.)
    A file of its own for each job works under every launcher, also where jobs run on other machines or are killed.

    Args:
        folder: where the files go, `<job number>.json`; those of an earlier sweep are removed.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder).resolve()

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remove the records of an earlier sweep."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in self.folder.glob("*.json"):
            file.unlink()
        atexit.register(self._report)  # also where a launcher raises because a job was killed

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write a record that remains if the job is killed."""
        if config.hydra.mode == RunMode.MULTIRUN:
            self._write(config, error="no end was recorded: it was killed, or is still running")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Write the outcome of the job; an error is not passed on, so that Hydra does not end the sweep with it."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        try:
            self._write(config, run=str(Path(job_return.return_value).resolve()))
        except Exception as error:  # any error of the job's
            cause = root_cause(error)
            trace = "".join(traceback.format_exception(error))
            self._write(config, error=f"{type(cause).__name__}: {cause}", traceback=trace)
            job_return.status, job_return.return_value = JobStatus.COMPLETED, None

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Exit with status 1 if a job failed."""
        if read_failed(self.folder):
            raise SystemExit(1)

    def _report(self) -> None:
        failed = read_failed(self.folder)
        if not failed:
            return
        print(f"{counted(len(failed), 'job')} failed, see {self.folder}:", file=sys.stderr)
        for record in failed:
            print(f"  {' '.join(record['overrides'])}\n    {record['error']}", file=sys.stderr)

    def _write(self, config: DictConfig, **outcome: str) -> None:
        job = int(config.hydra.job.num)
        record = {"job": job, "overrides": list(config.hydra.overrides.task)} | outcome
        write_whole(self.folder / f"{job}.json", json.dumps(record, indent=2).encode())


def read_records(folder: Path) -> list[dict[str, Any]]:
    """Return the records of all jobs that began, in their order."""
    return sorted(
        (json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.json")),
        key=lambda record: record["job"],
    )


def read_failed(folder: Path) -> list[dict[str, Any]]:
    """Return the records of the jobs that failed, or did not end."""
    return [record for record in read_records(folder) if "error" in record]
