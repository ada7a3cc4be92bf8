"""What surrounds the program: helpers that are missing, variables that name something else, files that shadow ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganrev import paths
from ganrev.evaluation import provenance
from ganrev.evaluation.child import child_environment, python_module
from ganrev.paths import cache_dir

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A checkout with one commit, in the place of ours."""
    root = tmp_path / "checkout"
    root.mkdir()
    who = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    monkeypatch.setattr(provenance, "checkout", lambda: root)
    return root


def test_the_commit_is_told(repository):
    origin = provenance.provenance()
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=True)
    assert origin["commit"] == head.stdout.strip()
    assert origin["dirty"] is False


@pytest.mark.parametrize("kind", ["none on PATH", "one that may not be executed"])
def test_without_git_the_commit_is_unknown_and_the_run_goes_on(repository, tmp_path, monkeypatch, kind):
    (tmp_path / "bin").mkdir()
    if kind != "none on PATH":
        (tmp_path / "bin" / "git").write_text("no program")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    origin = provenance.provenance()
    assert origin["commit"] is None
    assert origin["dirty"] is None


def test_a_hook_of_another_repository_does_not_lend_its_commit(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert provenance.provenance()["commit"] is not None


@pytest.mark.parametrize("users", ["", "relative/cache"])
def test_an_empty_or_relative_cache_of_the_user_is_ignored(users, monkeypatch):
    monkeypatch.delenv("GANREV_CACHE", raising=False)
    monkeypatch.setattr(paths, "checkout", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", users)
    assert cache_dir() == Path("~/.cache").expanduser() / "ganrev"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    assert cache_dir() == Path("/var/cache/me/ganrev")


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
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_new_process_can_import_what_this_one_can(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    assert str(tmp_path) in child_environment()["PYTHONPATH"].split(os.pathsep)
