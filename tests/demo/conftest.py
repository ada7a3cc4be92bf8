"""The page's server in a process of its own, with a codec that takes a second; a photo of nobody."""

import io
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from experiments.alignment import paste

_EFFORT = "{_target_:ganrev.coding.quantiser.Effort,num_steps:4,lr:0.05,num_rounds:2}"
QUICK = [
    "device=cpu",
    "reversal.steps=10",
    "codec.latent=z",
    f"+codec.budget={{_target_:ganrev.codecs.rate_control.RateBudget,num_searches:3,search:{_EFFORT},again:{_EFFORT}}}",
]


@contextmanager
def served(*overrides):
    """Serve a page of its own: its process, and the address, without a slash at the end."""
    command = [sys.executable, "-m", "ganrev.cli", "demo", "--port", "0", *overrides]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, **pipes, text=True, env=os.environ) as server:
        try:
            line = server.stdout.readline()
            assert line.startswith("the page is at http://127.0.0.1:"), line
            yield server, line.split()[4].rstrip("/")
        finally:
            server.kill()


def interrupted(server):
    """Press Ctrl-C; return the status and what was printed since, once the server has ended."""
    server.send_signal(signal.SIGINT)
    printed, _ = server.communicate(timeout=10)
    return server.returncode, printed


@pytest.fixture(scope="session")
def address():
    """Where a page answers, without a slash at the end."""
    with served(*QUICK) as (server, address):
        yield address
        assert interrupted(server) == (0, "\nthe page is closed\n")


@pytest.fixture(scope="session")
def photo(drawn_faces):
    """A drawn face, pasted turned and off-centre into a larger picture: a PNG file, and the true frame."""
    picture, frame = paste(drawn_faces[0], np.random.default_rng(3))
    return as_png(picture), frame


def as_png(picture):
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
