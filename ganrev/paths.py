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
    """Return the folder for downloads: $GANREV_CACHE, else `.cache/` of the checkout, else the user's cache."""
    if os.environ.get("GANREV_CACHE"):
        return Path(os.environ["GANREV_CACHE"]).expanduser()
    root = checkout()
    if root:
        return root / ".cache"
    users = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The specification: an empty or a relative path is to be ignored.
    return (users if users.is_absolute() else Path("~/.cache").expanduser()) / "ganrev"
