"""Distances of face descriptors: dlib's where it and its weights are at hand, made-up ones for the arithmetic."""

import logging
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from baselines import JPEG
from ganrev.evaluation import identity
from ganrev.evaluation.identity import compare_identities, summarise_identities
from tests.tiny import smooth_images


@pytest.fixture
def made_up(monkeypatch):
    """Descriptors that are the mean grey level of a picture."""
    monkeypatch.setattr(identity, "is_available", lambda: True)
    monkeypatch.setattr(
        identity, "descriptors", lambda images: images.float().mean((1, 2, 3), keepdim=True)[:, :, 0, 0].numpy()
    )


def levels(*values):
    images = smooth_images(len(values), 8)
    for image, value in zip(images, values, strict=True):
        image[:] = value
    return images


def test_distance_and_rank_among_all_originals(made_up):
    originals = levels(10, 20, 30, 40)
    found = compare_identities(originals[1:3], levels(21, 44), originals)
    assert found == [{"identity": 1.0, "identity_rank": 1}, {"identity": 14.0, "identity_rank": 2}]


def test_equal_originals_share_the_first_rank(made_up):
    originals = levels(10, 10)
    assert [one["identity_rank"] for one in compare_identities(originals, levels(12, 12), originals)] == [1, 1]


def test_shares():
    rows = pd.DataFrame({"identity": [0.1, 0.59, 0.6, 0.9], "identity_rank": [1, 2, 1, 1]})
    assert summarise_identities(rows) == {"identity_share": 0.5, "identity_rank1": 0.75}
    assert summarise_identities(rows[["identity"]]) == {"identity_share": 0.5}  # merged of shards
    assert summarise_identities(pd.DataFrame({"psnr": [1.0]})) == {}


def test_nothing_is_measured_without_the_extra_or_its_weights(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("GANREV_CACHE", str(tmp_path))
    images = smooth_images(2, 8)
    monkeypatch.setattr(identity, "find_spec", lambda name: None)
    assert compare_identities(images, images, images) == [{}, {}]
    monkeypatch.setattr(identity, "find_spec", lambda name: "there")
    identity._hint.cache_clear()
    with caplog.at_level(logging.INFO):
        assert compare_identities(images, images, images) == [{}, {}]
        assert compare_identities(images, images, images) == [{}, {}]
    assert [record.message for record in caplog.records if "fetch-identity" in record.message] == [
        "the column `identity` is not measured: `ganrev fetch-identity` fetches its weights (100 MB) once"
    ]


@pytest.mark.skipif(find_spec("dlib") is None, reason="the extra `identity` is not installed")
def test_real_faces_as_measured_elsewhere(sample):
    if not identity.is_available():
        pytest.skip("its weights are not in the cache: ganrev fetch-identity")
    codec = JPEG(1)
    found = compare_identities(sample.images, codec.decode(codec.encode(sample.images)), sample.images)
    assert np.mean([one["identity"] for one in found]) == pytest.approx(0.655, abs=0.01)
    assert np.mean([one["identity"] < 0.6 for one in found]) == pytest.approx(0.2)
    same = compare_identities(sample.images, sample.images, sample.images)
    assert same == [{"identity": 0.0, "identity_rank": 1}] * 10
