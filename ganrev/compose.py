"""The one way from overrides to a config."""

from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from ganrev.paths import config_dir


def compose_config(overrides: Sequence[str], name: str = "config") -> DictConfig:
    """Compose `configs/<name>.yaml` with Hydra overrides, as `run.py` does.

    Raises:
        hydra.errors.HydraException: an override is a mistake.
    """
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose(name, overrides=list(overrides))
