"""Scores that take long are measured of the first pictures alone, and completed when more are asked for."""

import numpy as np
import pandas as pd
import pytest

from ganrev.evaluation import costly, identity, metrics
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.runner import run
from tests.calling import running_quickly
from tests.tiny import compose_run


@pytest.fixture
def measured(monkeypatch):
    """Stand-ins for slow measures; returns the numbers of pictures that they have scored."""
    counts = []

    def stlpips(images, decoded):
        counts.append(len(images))
        return [float(image.float().mean()) for image in images]

    def identities(images, decoded, originals):
        return [{"identity": 0.5 + 0.2 * i, "identity_rank": 1 + i} for i in range(len(images))]

    with running_quickly():
        monkeypatch.setattr(metrics, "stlpips", stlpips)
        monkeypatch.setattr(costly, "compare_identities", identities)
        yield counts


def test_the_first_pictures_alone_are_scored(pictures_dir, tmp_path, measured):
    config = compose_run(pictures_dir, tmp_path, "codec=jpeg", "batch_size=2", "score_limit=3")
    found = RunFolder(run(config))
    rows, summary = found.rows, found.summary
    assert sum(measured) == 3
    assert rows["stlpips"].notna().tolist() == [True] * 3 + [False] * (len(rows) - 3)
    assert rows["psnr"].notna().all()
    assert summary["mean"]["stlpips"] == pytest.approx(rows["stlpips"][:3].mean())
    assert summary["identity_share"] == pytest.approx((rows["identity"][:3] < identity.SAME_PERSON).mean())
    assert summary["identity_rank1"] == pytest.approx(2 / 3)  # batches of two and one


def test_a_finished_run_is_completed_without_being_repeated(pictures_dir, tmp_path, measured):
    config = compose_run(pictures_dir, tmp_path, "codec=jpeg", "score_limit=1")
    folder = RunFolder(run(config))
    before = folder.rows
    config.score_limit = None
    assert RunFolder(run(config)).path == folder.path
    after = folder.rows
    assert sum(measured) == len(before)
    assert after["stlpips"].notna().all()
    assert folder.summary["mean"]["stlpips"] == pytest.approx(after["stlpips"].mean())
    quick = [column for column in before if column not in costly.COLUMNS]
    pd.testing.assert_frame_equal(after[quick], before[quick])
    assert after["stlpips"][0] == before["stlpips"][0]
    run(config)
    assert sum(measured) == len(before)


def test_a_column_that_no_picture_has_stays_out(pictures_dir, tmp_path):
    config = compose_run(pictures_dir, tmp_path, "codec=jpeg", "score_limit=1")
    with running_quickly():
        folder = RunFolder(run(config))
        config.score_limit = None
        run(config)
    assert not set(costly.COLUMNS) & set(folder.rows)
    assert np.isfinite(folder.summary["mean"]["ssim"])


@pytest.mark.parametrize("limit", [0, -1, 2.5, "many"])
def test_a_limit_is_a_count(limit):
    with pytest.raises(ValueError, match="score_limit"):
        costly.check_score_limit(limit)
