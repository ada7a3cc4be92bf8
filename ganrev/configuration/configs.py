"""Configs as OmegaConf holds them, and as plain dicts and lists."""

from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf

_MOST_NODES = 100_000  # of a config with all its aliases written out


def load_config(path: Path) -> DictConfig:
    """Read a YAML file.

    Raises:
        ValueError: it holds a list, not keys and values, or is no YAML.
        OSError: there is no such file, or it cannot be read.
    """
    try:
        _check_size(yaml.compose(path.read_bytes(), yaml.SafeLoader))
        config = OmegaConf.load(path)
    except OSError as error:
        if error.errno is not None:
            raise
        raise ValueError(f"{path} holds no keys and values ({error})") from error
    except Exception as error:  # damaged bytes make YAML's reader raise nearly anything
        reason = " ".join(str(error).split())  # YAML's own has several lines
        raise ValueError(f"{path} is damaged, or no YAML ({reason})") from error
    if not isinstance(config, DictConfig):
        raise ValueError(f"{path} must hold keys and values, got a list")
    return config


def _check_size(root: yaml.Node | None) -> None:
    """Raise ValueError where aliases of aliases multiply to more nodes than any config has, or contain themselves."""
    sizes: dict[int, int] = {}

    def size_of(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = _MOST_NODES  # until it is known: what contains itself is too large
            inner = node.value if isinstance(node, yaml.CollectionNode) else ()
            children = (child for one in inner for child in (one if isinstance(one, tuple) else (one,)))
            sizes[id(node)] = 1 + sum(map(size_of, children))
        return sizes[id(node)]

    if root is not None and size_of(root) > _MOST_NODES:
        raise ValueError(f"with its aliases written out it has more than {_MOST_NODES} values")


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
