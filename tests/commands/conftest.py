"""A photo and its compressed file."""

import pytest

from ganrev.cli import main
from ganrev.pixels import to_pillow
from tests.commands.photos import TINY, seen_image


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    to_pillow(seen_image()).save(path)
    return path


@pytest.fixture
def compressed(photo, tmp_path):
    main(["compress", str(photo), "-o", str(tmp_path / "photo.gr"), *TINY])
    return tmp_path / "photo.gr"
