"""Where results go is looked at before the work: what cannot be written is refused in words, and nothing is made."""

from pathlib import Path

import pytest

from tests.calling import fails
from tests.commands.photos import TINY, files_in


@pytest.fixture
def commands(tmp_path, photo):
    """Commands that write one file, up to its name; the run is only a folder, which is read later than the name."""
    (tmp_path / "run").mkdir()
    run = str(tmp_path / "run")
    return [
        ["compress", str(photo), *TINY[1:], "-o"],
        ["sample", *TINY[1:], "-o"],
        ["report", run, "-o"],
        ["export", run, "--format", "compressai", "-o"],
        ["recode", run, "quant=extreme", "-o"],
        ["train-frame", "--faces", "faces.tar", "--valid", "held-out", "-o"],
        ["hash-rates", "--faces", "f", "--valid", "v", "--manifest", "m", "--output"],
    ]


def test_one_rule_for_all_files(commands, tmp_path, capsys):
    before = files_in(tmp_path)
    for command in commands:
        assert "is a folder; give the name of a file to write" in fails(capsys, *command, tmp_path)
        missing = tmp_path / "new" / "folder"
        assert f"there is no folder {missing} to write" in fails(capsys, *command, missing / "out.png")
        assert "photo.png is a file, no folder" in fails(capsys, *command, tmp_path / "photo.png" / "out.png")
        assert "nothing can be written to the folder /proc" in fails(capsys, *command, "/proc/out.png")
        assert "- stands for standard output" in fails(capsys, *command, "-")
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("command", ["table", "figures", "rd", "automatic", "sweep"])
def test_a_folder_of_results_that_cannot_be_one(command, capsys):
    assert "/dev/null is a device, no folder to write to" in fails(capsys, command, "--results", "/dev/null")
    assert "/dev/null is a device" in fails(capsys, command, "--results", "/dev/null/tables")
    assert "nothing can be written to the folder /proc" in fails(capsys, command, "--results", "/proc/x/y")


def test_a_folder_of_runs_that_cannot_be_one(capsys, tmp_path):
    table = tmp_path / "mine.yaml"
    table.write_text("title: Mine\nrows: [{label: PNG, overrides: [codec=png]}]")
    words = ["table", table, "--results", tmp_path / "tables", "data=seen", *TINY[2:]]
    assert "nothing can be written to the folder /proc" in fails(capsys, *words, "out=/proc/x")
    assert files_in(tmp_path) == ["mine.yaml"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_device_is_said_to_be_full(photo, capsys):
    complaint = fails(capsys, "compress", photo, "-o", "/dev/full", *TINY)
    assert complaint == "error: /dev/full cannot be read or written: No space left on device"
