"""New processes: files that shadow ours are not imported."""

import os
import subprocess
import sys
from pathlib import Path

from ganrev.evaluation.child import child_environment, python_module

ROOT = Path(__file__).resolve().parents[2]


def test_a_module_in_the_current_folder_shadows_none_of_a_new_process(tmp_path):
    (tmp_path / "random.py").write_text("raise SystemExit('the wrong random')")
    command = python_module("ganrev.evaluation.decoding")  # without arguments it fails, but later
    without_here = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=tmp_path, env=without_here, capture_output=True, text=True, check=False)
    assert "the wrong random" not in done.stderr


def test_what_lies_in_the_current_folder_is_imported_by_no_part_of_a_run(tmp_path, two_pictures):
    (tmp_path / "random.py").write_text("raise SystemExit('the wrong random')")
    command = [
        sys.executable,
        "-P",
        "-m",
        "ganrev.cli",
        "run",
        "codec=jpeg",
        "data=folder",
        f"data.root={two_pictures}",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests" / "quick")))}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_new_process_can_import_what_this_one_can(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    assert str(tmp_path) in child_environment()["PYTHONPATH"].split(os.pathsep)
