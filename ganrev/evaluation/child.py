"""Python processes of our own: what they may import, and what they may not."""

import os
import sys


def python_module(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module in a new process.

    `-P` keeps the current folder out of its imports: a `random.py` that lies there is none of ours.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment() -> dict[str, str]:
    """Return this process's environment, changed so that a new process can import whatever this one can."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
