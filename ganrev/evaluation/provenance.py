"""The origin of a run: code, versions, hardware."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata

import torch

from ganrev.paths import checkout

_LIBRARIES = (
    *("ganrev", "torch", "torchvision", "numpy", "scipy", "scikit-image", "pillow", "opencv-python", "hydra-core"),
    *("pandas", "safetensors", "constriction", "zstandard"),
)


def _git(*arguments: str) -> str | None:
    """Return what git says of the checkout; None for an installed package, or where git is missing or refuses."""
    root = checkout()
    if root is None or not (root / ".git").exists():
        return None
    # In a hook of another repository GIT_DIR and its like would name that one.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError:  # there is no executable git on PATH
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def current_commit() -> str | None:
    """Return the commit of the checkout, `+` behind it where it has uncommitted changes; None outside a checkout."""
    commit, status = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    return f"{commit}{'+' if status else ''}" if commit else None


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None  # a checkout run in place


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def provenance() -> dict:
    """Return commit, dirty flag, versions, hardware and time of this process."""
    status = _git("status", "--porcelain")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if status is None else bool(status),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": sys.version.split()[0],
        "versions": {library: _version(library) for library in _LIBRARIES},
        "hardware": {
            "cpu": _cpu_model(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "load": os.getloadavg()[0],  # above the number of cores, timings say little
            "gpu": gpu,
            "platform": platform.platform(),
        },
    }


def combine(origins: Sequence[dict]) -> dict:
    """Return the provenance of a run that several processes made, as shards or one after the other.

    It is the first one's, with `others`: those that differ from it in more than time and load.
    """
    first = {key: value for key, value in origins[0].items() if key != "others"}
    kinds = {_kind(first)}
    others = []
    for origin in [other for o in origins for other in (o, *o.get("others", []))]:
        if _kind(origin) not in kinds:
            kinds.add(_kind(origin))
            others.append({key: value for key, value in origin.items() if key != "others"})
    return first | ({"others": others} if others else {})


def _kind(origin: dict) -> str:
    hardware = {key: value for key, value in origin["hardware"].items() if key != "load"}
    same = {key: value for key, value in origin.items() if key not in ("time", "others")}
    return json.dumps(same | {"hardware": hardware}, sort_keys=True)
