"""The folder of a run: each of its files is named, read and written here.

| path | what |
| --- | --- |
| `config.yaml` | the resolved config |
| `blobs/<name><suffix>` | the compressed files |
| `decoded/<name>.png` | the decoded pictures |
| `rows.csv`, `summary.json`, `provenance.json` | the record (`ganrev.evaluation.record`); the summary comes last |
| `traces.npz` | losses and latents under way, for figures; only of GAN reversal |
| `recoded/<id>.csv` | rows of other quantisers for its latents (`ganrev.evaluation.recode`) |
| `SHA256SUMS` | of all these but `decoded/` and `recoded/`, so that a damaged record is noticed |
| `journal/` | finished batches, until the run is finished |
"""

import itertools
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from ganrev.configuration.configs import load_config, to_dict
from ganrev.data.formats import decode_picture
from ganrev.evaluation import record
from ganrev.evaluation.archives import join_archives
from ganrev.evaluation.integrity import SUMS, DamagedError, find_damage, read_arrays, read_json, sha256, write_sums
from ganrev.evaluation.journal import Journal
from ganrev.evaluation.run_identity import modern_config
from ganrev.files import to_json, write_whole
from ganrev.locks import locked
from ganrev.pixels import from_pillow, to_png


class RunFolder:
    """The folder of a run, finished or under way. Each access reads the file again.

    Args:
        path: of the folder.
        suffix: of the compressed files; None to take it from the summary or from the first of them.
    """

    def __init__(self, path: str | Path, suffix: str | None = None) -> None:
        self.path = Path(path)
        self._suffix = suffix
        self._config = self.path / "config.yaml"
        self._rows = self.path / "rows.csv"
        self._summary = self.path / "summary.json"
        self._provenance = self.path / "provenance.json"
        self.traces_path = self.path / "traces.npz"
        self._blobs = self.path / "blobs"
        self._decoded = self.path / "decoded"
        self._recoded = self.path / "recoded"
        self._journal = self.path / "journal"

    def __str__(self) -> str:
        return str(self.path)

    @classmethod
    def finished(cls, path: str | Path) -> "RunFolder":
        """Return a finished run whose record is what was written; ValueError for any other folder."""
        run = cls(path)
        missing = [file.name for file in (run._config, run._summary) if not file.is_file()]
        if missing:
            raise ValueError(
                f"{path} is no finished run: it has no {' and no '.join(missing)}; "
                "give folders like results/runs/<run_id>"
            )
        run.check()
        return run

    @property
    def name(self) -> str:
        """Id of the run."""
        return self.path.name

    @property
    def is_finished(self) -> bool:
        """Whether the run is complete: the summary is written last."""
        return self._summary.exists()

    def find_damage(self) -> str:
        """Return what is wrong with the record of a finished run; empty where it is what was written."""
        checks = (
            (self._config, lambda: record.fault_in_config(to_dict(self.config, resolve=True))),
            (self._provenance, lambda: record.fault_in_object(self.provenance, record.PROVENANCE)),
            (self._rows, lambda: record.fault_in_rows(self.rows)),
            (self._summary, lambda: record.fault_in_summary(self.summary, self.rows)),
        )
        for path, check in checks:
            try:
                fault = check()
            except (OSError, ValueError, TypeError, OmegaConfBaseException) as error:
                fault = " ".join(str(error).split())
            if fault:
                return fault if str(path) in fault else f"{path.name}: {fault}"
        return find_damage(self.path, [*self._listed(), self._summary])

    def check(self) -> None:
        """Raise ValueError where the record of a finished run is not what was written."""
        if damage := self.find_damage():
            raise ValueError(
                f"{self} is damaged: {damage}; give the command that made it again, and it is computed anew"
            )

    @property
    def has_sums(self) -> bool:
        """Whether there is a list by which an altered record is noticed; old runs have none."""
        return (self.path / SUMS).exists()

    def set_aside(self) -> Path:
        """Give the folder a hidden name, under which nothing looks for runs; returns that."""
        names = (self.path.with_name(f".{self.name}.damaged-{number}") for number in itertools.count(1))
        return self.path.rename(next(path for path in names if not path.exists()))

    # ---- the record

    @property
    def config(self) -> DictConfig:
        """The resolved config, whose `_target_`s name where things live now."""
        return modern_config(load_config(self._config))

    @property
    def rows(self) -> pd.DataFrame:
        """One row for each picture, by the columns of `ganrev.evaluation.record.ROWS`."""
        return record.read_rows(self._rows)

    @property
    def summary(self) -> dict[str, Any]:
        """Means, intervals and counts, by the keys of `ganrev.evaluation.record.SUMMARY`."""
        return read_json(self._summary)

    @property
    def provenance(self) -> dict[str, Any]:
        """Code, versions, hardware and data, by the keys of `ganrev.evaluation.record.PROVENANCE`."""
        return read_json(self._provenance)

    @property
    def has_provenance(self) -> bool:
        """Whether some process has begun this run."""
        return self._provenance.exists()

    @property
    def traces(self) -> dict[str, np.ndarray]:
        """Arrays of the codec's trace by name (`Trace.arrays`); empty for a codec without one."""
        return read_arrays(self.traces_path) if self.traces_path.exists() else {}

    def write_config(self, config: DictConfig) -> None:
        """Store the resolved config."""
        write_whole(self._config, OmegaConf.to_yaml(config, resolve=True).encode())

    def write_rows(self, rows: pd.DataFrame) -> None:
        """Store one row for each picture."""
        write_whole(self._rows, rows.to_csv(index=False).encode())

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Store the summary, which marks the run as finished, after a list of what belongs to it."""
        content = to_json(dict(summary)).encode()
        write_sums(self.path, self._listed(), {self._summary.name: content})
        write_whole(self._summary, content)

    def _listed(self) -> list[Path]:
        """Return the files whose sums a finished run lists, but for the summary."""
        record_files = (self._config, self._rows, self._provenance, self.traces_path, *self._blobs.glob("[!.]*"))
        return [path for path in record_files if path.exists()]

    def write_provenance(self, origin: Mapping[str, Any]) -> None:
        """Store the origin of the run."""
        write_whole(self._provenance, to_json(dict(origin)).encode())

    def write_traces(self, parts: Sequence[Path]) -> None:
        """Store the codec's trace, if there is one, joined from archives of its parts in their order."""
        if parts:
            join_archives(parts, self.traces_path)

    # ---- files and pictures

    @cached_property
    def _picture_size(self) -> tuple[int, int] | None:
        """Width and height of the pictures; None for a run under way."""
        side = self.summary["image_size"] if self.is_finished else None
        return side and (side, side)

    @cached_property
    def suffix(self) -> str:
        """Of the run's files, with its dot; empty where there is no file."""
        if self._suffix is not None:
            return self._suffix
        recorded = self.summary.get("suffix") if self.is_finished else None
        first = next(self._blobs.glob("[!.]*"), None)
        return recorded or (first.suffix if first else "")

    @property
    def blob_names(self) -> list[str]:
        """Names of the pictures that have a file, sorted."""
        return sorted(file.name.removesuffix(self.suffix) for file in self._blobs.glob("[!.]*"))

    def blob(self, name: str) -> bytes:
        """Return the whole file of a picture."""
        return (self._blobs / f"{name}{self.suffix}").read_bytes()

    def has_blob(self, name: str, digest: str) -> bool:
        """Return whether the file of a picture is there, of this SHA-256."""
        path = self._blobs / f"{name}{self.suffix}"
        return path.is_file() and sha256(path.read_bytes()) == digest

    def decoded(self, name: str) -> Tensor:
        """Return the decoded picture of a file, uint8 [3, H, W].

        Raises:
            DamagedError: it is missing, damaged, or not of the size that a finished run's summary says.
        """
        path = self._decoded / f"{name}.png"
        try:
            return from_pillow(decode_picture(path.read_bytes(), self._picture_size))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise DamagedError(
                f"{self}: the decoded picture of {name} cannot be read ({path}: {reason}); "
                "repeat the run with force=true"
            ) from error

    def write_blob(self, name: str, blob: bytes) -> None:
        """Store the file of a picture."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        write_whole(self._blobs / f"{name}{self.suffix}", blob)

    def write_decoded(self, name: str, image: Tensor) -> None:
        """Store the decoded picture of a file, uint8 [3, H, W]."""
        self._decoded.mkdir(exist_ok=True)
        write_whole(self._decoded / f"{name}.png", to_png(image))

    def copy_files(self, target: Path) -> "RunFolder":
        """Copy config and compressed files into a folder: all that a decoder may know."""
        other = RunFolder(target, self.suffix)
        shutil.copy(self._config, other._config)
        shutil.copytree(self._blobs, other._blobs)
        return other

    def link_pictures(self, target: "RunFolder") -> None:
        """Link compressed files and decoded pictures into another run, or copy them to another file system."""
        for mine, other in ((self._blobs, target._blobs), (self._decoded, target._decoded)):
            shutil.copytree(mine, other, copy_function=_link, dirs_exist_ok=True)

    # ---- under way

    def journal(self, stage: str) -> Journal:
        """Return the journal of a stage, such as `encode`."""
        return Journal(self._journal, stage)

    @property
    def lock(self) -> AbstractContextManager[None]:
        """A lock that one process at a time holds while it makes this run."""
        return locked(self.path.with_name(f".{self.name}.lock"), "give a folder on a local disk by out=...")

    def under_way(self, way: str = "partial") -> "RunFolder":
        """Return the hidden folder beside it in which this run is made: `partial`, or `merged` from shards."""
        return RunFolder(self.path.with_name(f".{self.name}.{way}"), self._suffix)

    def begin(self) -> None:
        """Make the folder, unless it exists already."""
        self.path.mkdir(exist_ok=True)

    def finish(self, target: "RunFolder") -> None:
        """Move a run that has its summary to its final place, without its journals."""
        shutil.rmtree(self._journal, ignore_errors=True)
        if target.path.exists():
            shutil.rmtree(target.path)
        self.path.rename(target.path)

    def remove(self) -> None:
        """Delete the folder, if it exists."""
        if self.path.exists():
            shutil.rmtree(self.path)

    def recoded(self, identity: str) -> pd.DataFrame | None:
        """Return the rows of other quantisers that were kept under an id; None where there are none."""
        path = self._recoded / f"{identity}.csv"
        return record.read_rows(path) if path.exists() else None

    def write_recoded(self, identity: str, rows: pd.DataFrame) -> None:
        """Keep the rows of other quantisers under an id."""
        self._recoded.mkdir(exist_ok=True)
        write_whole(self._recoded / f"{identity}.csv", rows.to_csv(index=False).encode())


def _link(source: str, target: str) -> None:
    """Link a file, or copy it to another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
