"""Runs in miniature that the tests of tables and figures share."""

import shutil

import pytest

from tests.calling import call, running_quickly
from tests.tiny import OVERRIDES


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Room for runs and results."""
    return tmp_path_factory.mktemp("experiments")


@pytest.fixture(scope="session")
def common(place, two_pictures):
    """Overrides that every row takes, where it leaves them open: pictures, and among them a file that is none."""
    pictures = shutil.copytree(two_pictures, place / "pictures")
    (pictures / "notes.txt").write_text("no picture")
    return [*OVERRIDES, "data=folder", f"data.root={pictures}", f"out={place / 'runs'}"]


@pytest.fixture(scope="session")
def table1(place, common):
    """The folder of Table 1 in miniature, and what was printed."""
    with running_quickly():
        printed, status = call("table", "table1", *common, "--results", place / "tables")
    assert status == 0
    return place / "tables", printed
