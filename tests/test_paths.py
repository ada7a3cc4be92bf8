"""Where things are kept."""

from pathlib import Path

import pytest

from ganrev import paths
from ganrev.paths import cache_dir, user_path


@pytest.mark.parametrize("users", ["", "relative/cache"])
def test_an_empty_or_relative_cache_of_the_user_is_ignored(users, monkeypatch):
    monkeypatch.delenv("GANREV_CACHE", raising=False)
    monkeypatch.setattr(paths, "checkout", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", users)
    assert cache_dir() == Path("~/.cache").expanduser() / "ganrev"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    assert cache_dir() == Path("/var/cache/me/ganrev")


def test_without_a_home_the_variable_is_named(monkeypatch):
    monkeypatch.delenv("GANREV_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(paths, "checkout", lambda: None)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(ValueError, match="name a folder by GANREV_CACHE="):
        cache_dir()


def test_the_home_of_nobody_stays_as_it_is():
    assert user_path("~no_such_user/x") == Path("~no_such_user/x")
    assert user_path("~/x") == Path.home() / "x"
