"""Configs as OmegaConf holds them, and as plain dicts and lists."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf


def load_config(path: Path) -> DictConfig:
    """Read a YAML file.

    Raises:
        ValueError: it holds a list, not keys and values, or is no YAML.
        OSError: there is no such file, or it cannot be read.
    """
    try:
        config = OmegaConf.load(path)
    except OSError as error:
        if error.errno is not None:
            raise
        raise ValueError(f"{path} holds no keys and values ({error})") from error
    except Exception as error:  # damaged bytes make YAML's reader raise nearly anything
        raise ValueError(f"{path} is damaged, or no YAML ({error})") from error
    if not isinstance(config, DictConfig):
        raise ValueError(f"{path} must hold keys and values, got a list")
    return config


def to_dict(config: DictConfig | ListConfig, *, resolve: bool) -> dict[str, Any]:
    """Return a config as plain dicts and lists.

    Args:
        config: with keys and values at its top.
        resolve: put values in the place of `${...}`.

    Raises:
        ValueError: it is a list.
    """
    content = OmegaConf.to_container(config, resolve=resolve)
    if not isinstance(content, dict):
        raise ValueError(f"expected a config with keys and values, got {content!r}")
    return {str(key): value for key, value in content.items()}
