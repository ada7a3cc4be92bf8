"""What the config of a stored run may name. A run may come from a stranger, and `_target_` calls what it names.

Hydra itself refuses what runs commands; but `torch.load` would unpickle a file that lies in the run's folder.
"""

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig

from ganrev.configuration.configs import to_dict
from ganrev.evaluation.run_identity import TARGETS

_ALLOWED = "HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE"  # Hydra's own list of exceptions, with colons between them
_OURS = ("ganrev", "baselines", "experiments")


def check_targets(config: DictConfig) -> None:
    """Raise ValueError where a stored config calls anything but codecs, data and their parts.

    These are what our own configs name, and whatever is defined in code of the user's own: not in the standard
    library, nor in an installed package.
    """
    allowed = {*TARGETS.values(), *os.environ.get(_ALLOWED, "").split(":")}
    for target in _targets(to_dict(config, resolve=True)):
        if target not in allowed and not _is_users_own(target):
            raise ValueError(
                f"the run's config calls {target}, which is no part of our codecs nor of code of your own, and may do "
                f"anything; if you trust it, set {_ALLOWED}={target}"
            )


def _targets(value: Any) -> Iterator[str]:
    """Yield each `_target_` of nested dicts and lists."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _targets(one)
    if isinstance(value, dict) and "_target_" in value:
        yield str(value["_target_"])


def _is_users_own(target: str) -> bool:
    """Tell whether what this names is defined in a file outside Python's and the installed packages' folders."""
    try:
        found = get_object(target)
    except (ImportError, ValueError, AttributeError):
        return False
    module = str(getattr(found, "__module__", None))
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or module.partition(".")[0] in _OURS:
        return False
    installed = {Path(sysconfig.get_path(key)).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    packages = ("site-packages", "dist-packages")
    path = Path(file).resolve()
    return installed.isdisjoint(path.parents) and not any(name in path.parts for name in packages)
