"""Terminals, locales and file names that are no UTF-8."""

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganrev.configuration.overrides import check_overrides
from ganrev.paths import checkout
from ganrev.pixels import to_pillow
from ganrev.terminal import print_anything
from tests.tiny import smooth_images

NO_UTF8 = os.fsdecode(b"notiz\xfc")


def test_a_terminal_without_a_character_gets_a_replacement(monkeypatch):
    arrives = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(arrives, encoding="latin-1", write_through=True))
        print_anything()
        print(f"∞ ±1 Zoë {NO_UTF8} Ω")
        told = arrives.getvalue().decode("latin-1")
    assert told == "inf ±1 Zoë notiz\\udcfc \\u03a9\n"


def test_a_log_file_is_utf8_and_takes_any_name(tmp_path):
    handler = logging.FileHandler(tmp_path / "log", encoding="latin-1")
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        print_anything()
        root.warning("∞ %s", NO_UTF8)
    finally:
        root.removeHandler(handler)
        handler.close()
    assert (tmp_path / "log").read_text(encoding="utf-8") == "∞ notiz\\udcfc\n"


def _ganrev(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line as in a terminal of Latin-1."""
    environment = os.environ | {"PYTHONPATH": str(checkout()), "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "ganrev.cli", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)


@pytest.fixture
def strange_folder(tmp_path) -> Path:
    """A folder with two pictures and a note, two of them with names that are no UTF-8."""
    folder = tmp_path / "u"
    folder.mkdir()
    one, two = map(to_pillow, smooth_images(2, 128))
    one.save(folder / "ok.png")
    two.save(folder / f"{NO_UTF8}.png")
    (folder / f"{NO_UTF8}.txt").write_text("no picture")
    (folder / f"{NO_UTF8}-more").mkdir()
    return folder


def test_names_that_are_no_utf8_pass_through_a_table_on_a_latin1_terminal(tmp_path, strange_folder):
    rows = "title: Größe ∞\nrows:\n- {label: PNG, overrides: [codec=png]}\n"
    (tmp_path / "t.yaml").write_text(rows, encoding="utf-8")
    words = ("table", "t.yaml", "data=folder", "data.root=u", "out=runs", "--results", "tables")
    done = _ganrev(tmp_path, *words)
    told = done.stderr.decode("latin-1")
    assert done.returncode == 0, told
    assert "Traceback" not in told
    assert "Logging error" not in told
    assert "Größe inf" in done.stdout.decode("latin-1")
    assert r"Skipped 'notiz\udcfc.txt': not a picture" in done.stdout.decode("latin-1")
    assert "∞" in (tmp_path / "tables" / "t.md").read_text(encoding="utf-8")
    (summary,) = (tmp_path / "runs").glob("*/summary.json")
    assert list(json.loads(summary.read_text())["images_skipped"]) == [r"'notiz\udcfc.txt'"]
    assert sorted(path.name for path in (summary.parent / "decoded").iterdir()) == ["notiz_.png", "ok.png"]


def test_a_path_that_no_config_can_name_is_refused_by_its_option():
    with pytest.raises(ValueError, match=r"data\.root has bytes that are no UTF-8, 'notiz\\udcfc'.*symbolic link"):
        check_overrides([f"data.root={NO_UTF8}"])


def test_a_picture_and_a_file_named_in_no_utf8_are_compressed(tmp_path, strange_folder):
    done = _ganrev(strange_folder, "compress", f"{NO_UTF8}.png", "-o", f"{NO_UTF8}.gr", "--", "reversal.steps=2")
    assert done.returncode == 0, done.stderr.decode("latin-1")
    assert (strange_folder / f"{NO_UTF8}.gr").stat().st_size > 10
    assert r"notiz\udcfc.gr: " in done.stdout.decode("latin-1")
