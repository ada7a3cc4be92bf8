"""Scores that take a third of a second for each picture: measured of the first pictures alone where `score_limit` says.

A run that was finished with a smaller limit is completed, from its decoded pictures, when more are asked for.
"""

import logging

import pandas as pd
import torch
from torch import Tensor

from ganrev.configuration.options import Count, checked_options
from ganrev.data.pictures import Pictures
from ganrev.evaluation import metrics
from ganrev.evaluation.identity import compare_identities
from ganrev.evaluation.run_folder import RunFolder

COLUMNS = ("stlpips", "ssimulacra2", "identity", "identity_rank")
_BATCH = 16  # pictures scored at a time

_logger = logging.getLogger(__name__)


@checked_options("")
def check_score_limit(score_limit: Count | None) -> int | None:
    """Return the option; ValueError unless it is None, all pictures, or a whole number of at least 1."""
    return score_limit


def costly_scores(images: Tensor, decoded: Tensor, originals: Tensor) -> list[dict[str, float]]:
    """Return what can be measured here of each picture, by `COLUMNS`.

    Args:
        images: uint8 [N, 3, H, W].
        decoded: of the same shape.
        originals: all pictures of the run, uint8 [M, 3, H, W].
    """
    pairs = zip(metrics.costly_measures(images, decoded), compare_identities(images, decoded, originals), strict=True)
    return [measures | person for measures, person in pairs]


def complete(run: RunFolder, pictures: Pictures, score_limit: int | None) -> pd.DataFrame | None:
    """Return the rows of a finished run with the scores that a smaller limit left out; None where none is missing.

    A column that the run does not have at all, since an extra was not installed, stays out.
    """
    rows = run.rows
    partly = [column for column in COLUMNS if column in rows and rows[column].isna().any()]
    position = {name: place for place, name in enumerate(pictures.names)}
    limit = len(pictures) if score_limit is None else score_limit
    empty = rows[partly].isna().any(axis=1)
    missing = [place for place, name in rows.loc[empty, "name"].items() if position.get(name, limit) < limit]
    if not missing:
        return None
    _logger.info("%s: %d more pictures are scored", run, len(missing))
    for begin in range(0, len(missing), _BATCH):
        part = missing[begin : begin + _BATCH]
        names = rows.loc[part, "name"]
        images = pictures.images[[position[name] for name in names]]
        decoded = torch.stack([run.decoded(name) for name in names])
        found = pd.DataFrame(costly_scores(images, decoded, pictures.images), index=part)
        kept = [column for column in partly if column in found]
        rows.loc[part, kept] = found[kept]
    return rows
