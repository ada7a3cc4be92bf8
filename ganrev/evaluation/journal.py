"""Results of finished batches, kept so that a killed run goes on where it stopped."""

import hashlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from ganrev.evaluation.archives import RESULT
from ganrev.evaluation.integrity import read_arrays
from ganrev.files import write_whole

_logger = logging.getLogger(__name__)


class Journal:
    """Keeps the result of a stage for each batch of pictures, one file per batch, whole or not at all.

    A batch is identified by the names of its pictures in their order. After a change of `batch_size` no result of the
    old batches is found, and all is done again.

    Args:
        folder: of a run's journals; the files go to `folder/<stage>/`.
        stage: of the run, such as `encode`.
    """

    def __init__(self, folder: Path, stage: str) -> None:
        self._folder = folder / stage

    def find(self, names: list[str]) -> tuple[dict, dict[str, np.ndarray]] | None:
        """Return what was kept for a batch, or None; a damaged file is named and set aside."""
        path = self.path(names)
        if not path.exists():
            return None
        try:
            arrays = read_arrays(path)
            return json.loads(str(arrays.pop(RESULT))), arrays
        except (ValueError, LookupError):
            aside = path.replace(path.with_suffix(".damaged"))
            _logger.warning("%s is damaged: its batch is done again, and it is kept as %s", path, aside)
            return None

    def keep(self, names: list[str], result: dict, arrays: dict[str, np.ndarray] | None = None) -> None:
        """Keep the result of a batch: values for JSON, which keeps every bit of a number, and arrays by name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = io.BytesIO()
        content: dict[str, Any] = {RESULT: np.array(json.dumps(result)), **(arrays or {})}
        np.savez(file, **content)
        write_whole(self.path(names), file.getvalue())

    def path(self, names: list[str]) -> Path:
        """Return where the result of a batch is kept."""
        return self._folder / f"{hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]}.npz"
