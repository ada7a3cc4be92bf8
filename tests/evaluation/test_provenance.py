"""Where a run came from, with git and without."""

import json
import os
import subprocess

import pytest
import torch

from ganrev.evaluation import provenance


def test_provenance(finished):
    origin = json.loads((finished / "provenance.json").read_text())
    assert origin["weights"] == "0123456789abcdef" * 4
    assert origin["seed"] == 0
    assert len(origin["data"]) == 64
    assert origin["versions"]["torch"] == torch.__version__
    assert origin["hardware"]["cores"] == os.cpu_count()
    assert isinstance(origin["algorithm_version"], int)
    assert {"commit", "dirty", "python", "time"} <= set(origin)


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
