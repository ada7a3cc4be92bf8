"""The page's server in a process of its own, with a codec that takes a second; a photo of nobody."""

import io
import os
import signal
import subprocess
import sys

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


@pytest.fixture(scope="session")
def address():
    """Where a page answers, without a slash at the end."""
    command = [sys.executable, "-m", "ganrev.cli", "demo", "--port", "0", *QUICK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as server:
        line = server.stdout.readline()
        assert line.startswith("the page is at http://127.0.0.1:"), line
        yield line.split()[4].rstrip("/")
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 0


@pytest.fixture(scope="session")
def photo(drawn_faces):
    """A drawn face, pasted turned and off-centre into a larger picture: a PNG file, and the true frame."""
    picture, frame = paste(drawn_faces[0], np.random.default_rng(3))
    return as_png(picture), frame


def as_png(picture):
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
