"""New Python processes of this program, and what they may import."""

import json
import os
import subprocess
import sys
from typing import Any


def python_module(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module in a new process.

    `-P` keeps the current folder out of its imports: a `random.py` in there is not meant.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment() -> dict[str, str]:
    """Return this process's environment, changed so that a new process can import what this one can."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def ask_module(purpose: str, module: str, *arguments: str, standard_input: str = "") -> Any:
    """Run a module in a new process; returns what the last line of its output holds as JSON.

    Args:
        purpose: what it does, such as `decoding RUN`; an error names it.
        module: its dotted name.
        arguments: of the command line.
        standard_input: what it reads.

    Raises:
        RuntimeError: that process failed; its own message is passed on.
    """
    command = python_module(module, *arguments)
    done = subprocess.run(
        command,
        input=standard_input,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=child_environment(),
    )
    if done.returncode:
        raise RuntimeError(f"{purpose} failed:\n{done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])
