"""Fixtures of the harness's tests."""

import pytest

from ganrev.evaluation.runner import run
from ganrev.reversal import perceptual
from tests.picture_files import save_pictures
from tests.tiny import compose_run


@pytest.fixture(scope="session")
def pictures_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "pictures"
    save_pictures(folder)
    return folder


@pytest.fixture(scope="session")
def finished(pictures_dir, tmp_path_factory):
    """A finished run of the GAN codec, two restarts, batches of two; its files decoded in a process of their own."""
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perceptual, "is_available", lambda: False)  # its network takes seconds to load
        return run(compose_run(pictures_dir, out, "reversal.restarts=2", "batch_size=2"))
