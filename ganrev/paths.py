"""Where the package finds its configs and keeps what it downloads."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """Return the root of the repository the package is imported from, or None for an installed package."""
    root = _PACKAGE.parent
    return root if (root / "configs").is_dir() and (root / "pyproject.toml").is_file() else None


def config_dir() -> Path:
    """Return the folder of Hydra configs: `configs/` of the checkout, or the copy inside the wheel."""
    root = checkout()
    return root / "configs" if root else _PACKAGE / "configs"


def weights_dir() -> Path:
    """Return the folder of the weights that ship with the package."""
    return _PACKAGE / "weights"


def cache_dir() -> Path:
    """Return the folder for downloads: $GANREV_CACHE, else `.cache/` of the checkout, else the user's cache.

    Raises:
        ValueError: there is no such folder, as this user has no home.
    """
    if os.environ.get("GANREV_CACHE"):
        return user_path(os.environ["GANREV_CACHE"])
    root = checkout()
    if root:
        return root / ".cache"
    users = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The specification: an empty or a relative path is to be ignored.
    if not users.is_absolute():
        users = user_path("~/.cache")
    if not users.is_absolute():
        raise ValueError("this user has no home folder to keep downloads in: name a folder by GANREV_CACHE=")
    return users / "ganrev"


def user_path(path: str | Path) -> Path:
    """Return a path with `~` expanded; where there is no such user, or no home folder, it stays as it is."""
    return Path(os.path.expanduser(path))  # that of pathlib raises RuntimeError
