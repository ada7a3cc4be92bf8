"""Debian's chromium without a window, driven by Playwright; without it a test is skipped, on CI it fails."""

import os
import shutil
from contextlib import contextmanager

import pytest


def _cannot(reason):
    if os.environ.get("CI"):
        pytest.fail(f"CI must have a browser: {reason}", pytrace=False)
    pytest.skip(reason)


@contextmanager
def start_browser():
    """Yield chromium."""
    program = shutil.which("chromium")
    if program is None:
        _cannot("there is no chromium; on Debian, apt-get install chromium brings it")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _cannot("there is no playwright; the extra dev brings it")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()
