"""Stored runs as a report shows them: each with a label, an anchor, and the paper's figures where it has a row."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from ganrev.configuration.configs import load_config, to_dict
from ganrev.configuration.overrides import compose_config, table_path
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.run_identity import canonical_config, modern_config
from ganrev.evaluation.run_list import in_words

MEASURES = {  # what is compared: its name, unit, digits, and whether more of it is better
    "num_bytes": ("bytes", "", 1, False),
    "psnr": ("PSNR", "dB", 2, True),
    "ssim": ("SSIM", "", 4, True),
    "stlpips": ("ST-LPIPS", "", 4, False),
}
_PLACES = ("path", "url", "faces")  # options that say where something lies, and belong in no anchor
_LONGEST_ANCHOR = 40


@dataclass(frozen=True)
class ReportedRun:
    """A finished run, read once.

    Attributes:
        folder: of the run.
        label: what people call it: the label of its row in a table, or the overrides that make it of the defaults.
        anchor: the same as part of an address, such as `jpeg-quality-1`.
        kind: the codec's choice in `configs/codec/`, such as `jpeg`.
        paper: the paper's figures for it, by the names of a table's YAML; empty where there are none.
    """

    folder: RunFolder
    label: str
    anchor: str
    kind: str
    paper: dict[str, float]

    @property
    def name(self) -> str:
        """Id of the run."""
        return self.folder.name

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Its rows by the pictures' names."""
        return self.folder.rows.set_index("name", drop=False)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Its summary."""
        return self.folder.summary

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Where it came from."""
        return self.folder.provenance

    @property
    def pictures_digest(self) -> str:
        """SHA-256 of names and pixels of all its pictures."""
        return self.provenance["data"]

    @property
    def measures(self) -> list[str]:
        """Columns of `MEASURES` that it has."""
        return [key for key in MEASURES if key in self.rows]

    @property
    def has_celeba(self) -> bool:
        """Whether a picture of CelebA is among its pictures."""
        target = str(OmegaConf.select(self.folder.config, "data._target_"))
        return "Celeba" in target or bool(self.rows["celeba_id"].notna().any())


def read_reported(folders: Sequence[Path], table: str = "table1") -> list[ReportedRun]:
    """Read finished runs, in the order given; a run that is given twice is taken once.

    Args:
        folders: of runs.
        table: name or path of the YAML whose rows lend labels and the paper's figures.

    Raises:
        ValueError: a folder is no finished run, or there is no such table.
    """
    runs = [RunFolder.finished(path) for path in dict.fromkeys(Path(folder).resolve() for folder in folders)]
    if not runs:
        raise ValueError("give at least one finished run, such as results/runs/*")
    rows = _table_rows(table)
    reported: list[ReportedRun] = []
    for run in runs:
        words = _own_words(run)
        kind = words[0]
        label, paper = _row_of(run, rows) or (" ".join(words), {})
        taken = {other.anchor for other in reported}
        if label in {other.label for other in reported}:
            label = f"{label} ({_number(run.name)})"
        reported.append(ReportedRun(run, label, _anchor(words, run.name, taken), kind, paper))
    return reported


def told_apart(runs: Sequence[ReportedRun]) -> list[ReportedRun]:
    """Label runs that are shown beside each other alone: options that all of them share are left out."""
    shared = set.intersection(*(set(_own_words(run.folder)[1:]) for run in runs))
    return [replace(run, label=" ".join(word for word in run.label.split(" ") if word not in shared)) for run in runs]


def _own_words(run: RunFolder) -> list[str]:
    """Return the codec's choice, then the options that make it of the defaults; nothing of its pictures."""
    words = [word for word in in_words(run.config).split(" ") if not word.startswith("data")]
    codec = next(word for word in words if word.startswith(("codec=", "codec._target_=")))  # the latter: a user's own
    others = [word.removeprefix("codec.") for word in words if word != codec]
    return [codec.partition("=")[2].rpartition(".")[2], *others]


def _anchor(words: Sequence[str], name: str, taken: set[str]) -> str:
    """Return a short anchor that depends on the run alone, unless another run of the report has it."""
    telling = [word for word in words if word.split("=")[0].rpartition(".")[2] not in _PLACES]
    anchor = re.sub(r"[^\w.]+", "-", " ".join(telling)).strip("-")
    if len(anchor) > _LONGEST_ANCHOR:
        anchor = f"{words[0]}-{_number(name)}"
    return name if anchor in taken else anchor


def _number(name: str) -> str:
    """Return the part of a run's id that tells it from runs of the same codec."""
    return name.partition("-")[2] or name


def _table_rows(table: str) -> list[tuple[str, dict[str, float], dict[str, Any]]]:
    """Return label, the paper's figures and the codec's canonical config of each row of a table."""
    path = table_path(table)
    found = []
    for row in to_dict(load_config(path), resolve=True).get("rows") or []:
        if not (isinstance(row, dict) and "label" in row and isinstance(row.get("overrides"), list)):
            raise ValueError(f"{path}: each of its rows must have a label and overrides, got {row!r:.80}")
        found.append((row["label"], row.get("paper", {}), _codec(modern_config(compose_config(row["overrides"])))))
    return found


def _row_of(
    run: RunFolder, rows: Sequence[tuple[str, dict[str, float], dict[str, Any]]]
) -> tuple[str, dict[str, float]] | None:
    """Return label and the paper's figures of the row that has this run's codec; None where none has."""
    codec = _codec(run.config)
    return next(((label, paper) for label, paper, expected in rows if expected == codec), None)


def _codec(config: DictConfig) -> dict[str, Any]:
    """Return a codec's options as a run id hashes them."""
    content = OmegaConf.to_container(config.codec, resolve=True)
    if not isinstance(content, dict):
        raise ValueError(f"expected the options of a codec, got {content!r}")
    return canonical_config({str(key): value for key, value in content.items()})
