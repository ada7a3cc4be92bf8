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
        out = "out" + {"report": ".html", "export": ".json"}.get(command[0], ".png")
        if command[0] != "sample":  # which writes to folders, too
            (tmp_path / out).mkdir()
            assert "is a folder; give the name of a file to write" in fails(capsys, *command, tmp_path / out)
            (tmp_path / out).rmdir()
        missing = tmp_path / "new" / "folder"
        assert f"there is no folder {missing} to write" in fails(capsys, *command, missing / out)
        assert "photo.png is a file, no folder" in fails(capsys, *command, tmp_path / "photo.png" / out)
        assert "nothing can be written to the folder /proc" in fails(capsys, *command, f"/proc/{out}")
        assert "- stands for standard output" in fails(capsys, *command, "-")
    assert files_in(tmp_path) == before


def test_files_of_another_kind_are_not_overwritten(photo, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    run, before = str(tmp_path / "run"), photo.read_bytes()
    assert "add --qr" in fails(capsys, "compress", photo, *TINY[1:], "-o", photo.with_name("other.jpg"))
    assert "a name that ends in .html" in fails(capsys, "report", run, "-o", photo)
    assert "a name that ends in .json" in fails(capsys, "export", run, "--format", "compressai", "-o", photo)
    assert "/dev/zero is a device, no file" in fails(capsys, "report", run, "--curves", "/dev/zero")
    inside = tmp_path / "run" / "summary.json"
    assert "the record of a run" in fails(capsys, "export", run, "--format", "compressai", "-o", inside)
    assert photo.read_bytes() == before


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
