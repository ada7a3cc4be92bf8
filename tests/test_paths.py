"""Where things are kept."""

from pathlib import Path

import pytest

from ganrev import paths
from ganrev.paths import cache_dir


@pytest.mark.parametrize("users", ["", "relative/cache"])
def test_an_empty_or_relative_cache_of_the_user_is_ignored(users, monkeypatch):
    monkeypatch.delenv("GANREV_CACHE", raising=False)
    monkeypatch.setattr(paths, "checkout", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", users)
    assert cache_dir() == Path("~/.cache").expanduser() / "ganrev"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    assert cache_dir() == Path("/var/cache/me/ganrev")
