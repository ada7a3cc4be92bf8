"""What tables, figures, curves and sweeps share: a YAML file, overrides, and the configs composed of them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from ganrev.codecs import BelowFloorError, UnavailableError
from ganrev.configuration.configs import load_config, to_dict
from ganrev.configuration.overrides import compose_config, table_path
from ganrev.data.corpus import check_sources
from ganrev.errors import root_cause
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.runner import NothingEncodedError, run, unused_overrides

_log = logging.getLogger(__name__)

_OLD_CHOICE = "experiment="  # of a table, as it was written once


def split_words(words: Sequence[str], default: str) -> tuple[str, list[str]]:
    """Split a command line into the name of a table, which comes first and may be left out, and overrides.

    Raises:
        ValueError: a second name.
    """
    names = [word for word in words if "=" not in word and word[:1] != "~"]
    overrides = [word for word in words if word not in names]
    for choice in [o for o in overrides if o.startswith(_OLD_CHOICE)]:
        _log.warning("%s is now written without %s", choice, _OLD_CHOICE)
        names.append(choice.removeprefix(_OLD_CHOICE))
        overrides.remove(choice)
    if len(names) > 1:
        raise ValueError(f"expected one table and overrides such as data.limit=60, got {' and '.join(names)}")
    return (names[0] if names else default), overrides


def load_experiment(name: str, *required: str) -> dict[str, Any]:
    """Read the YAML of a table, a set of figures, curves or a sweep.

    Args:
        name: a file of `configs/tables/` without its suffix, or the path of a YAML file.
        required: top-level keys that it must have.

    Returns:
        Its content; `name` is added.

    Raises:
        ValueError: there is no such file, or a key is missing.
    """
    path = table_path(name)
    content = to_dict(load_config(path), resolve=True)
    missing = [key for key in required if key not in content]
    if missing:
        raise ValueError(f"{path} has no {' and no '.join(missing)}; it belongs to another command, or is incomplete")
    return content | {"name": path.stem}


def check_overrides(value: object, where: str) -> list[str]:
    """Return a list of overrides as it is; ValueError for anything else."""
    if not isinstance(value, list) or not all(isinstance(item, str) and "=" in item for item in value):
        raise ValueError(
            f"{where}: expected `overrides` as a list such as [codec=jpeg, codec.quality=10], got {value!r}"
        )
    return value


def _key(override: str) -> str:
    return override.lstrip("+~").split("=")[0]


def applicable(own: Sequence[str], user: Sequence[str]) -> list[str]:
    """Return the user's overrides that a row leaves open.

    A row's own choices are kept, since its label names them. Where both choose a group (`data=`), the user's keys
    inside it (`data.root=`) belong to the user's choice and are left out with it. So is a key that this row's own
    choices do not have (`codec.faces=` beside codec=jpeg); `compose_all` checks that some row has it.
    """
    left = _left_open(own, user)
    groups = [o for o in left if "." not in _key(o)]
    cfg = compose_config([*own, *groups])
    return [o for o in left if o in groups or _has_key(cfg, o)]


def _left_open(own: Sequence[str], user: Sequence[str]) -> list[str]:
    """Return the user's overrides of what a row does not choose itself."""
    taken = {_key(o) for o in own} & {_key(o) for o in user}
    return [o for o in user if _key(o) not in taken and _key(o).split(".")[0] not in taken]


def _has_key(cfg: DictConfig, override: str) -> bool:
    """Whether an override of a value finds one to replace, or brings its own."""
    parent, _, last = _key(override).rpartition(".")
    node = OmegaConf.select(cfg, parent)
    return override[0] in "+~" or (isinstance(node, DictConfig) and last in list(node))  # `in node` misses ???


def compose_all(rows: Sequence[Sequence[str]], user: Sequence[str]) -> list[tuple[DictConfig, list[str]]]:
    """Compose each row with the user's overrides that apply to it; mistakes are found before hours of work.

    Returns:
        The config of each row, and those overrides.

    Raises:
        hydra.errors.HydraException: an override is a mistake, or none of the rows has its key.
    """
    added = [applicable(own, user) for own in rows]
    for override in user:
        if not any(override in some for some in added):
            for own in (own for own in rows if override in _left_open(own, user)):
                compose_config([*own, override])  # raises, with Hydra's message
    return [(compose_config([*own, *some]), some) for own, some in zip(rows, added, strict=True)]


NO_FACES = (
    "left out: principal components are fitted to training faces, and none were given; name tar shards or folders of "
    "some by codec.faces=[train-0.tar,more/]"
)


def with_defaults(defaults: Sequence[str], user: Sequence[str]) -> list[str]:
    """Return the overrides of a YAML file that the user's do not replace, and the user's."""
    given = {_key(override) for override in user}
    return [*(override for override in defaults if _key(override) not in given), *user]


def why_unavailable(error: Exception) -> str:
    """Say that a row is left out since its codec's package or weights are missing; raises any other error again."""
    cause = root_cause(error)
    if not isinstance(cause, UnavailableError):
        raise error
    return f"left out: {cause}"


def check_faces(configs: Iterable[DictConfig]) -> None:
    """Raise ValueError where there are no faces at a place that a config's codec would be fitted to."""
    for cfg in configs:
        faces = to_dict(cfg.codec, resolve=True).get("faces")
        if faces is not None:
            check_sources(faces, "codec.faces")


def lacks_faces(cfg: DictConfig) -> bool:
    """Whether a config's codec must be fitted to faces and names none."""
    return "faces" in cfg.codec and cfg.codec.faces is None


def floors(failed: Mapping[str, str]) -> list[int]:
    """Return the floors in bytes that a run's failures name, smallest first; failures of another kind name none."""
    return sorted(floor for reason in failed.values() if (floor := BelowFloorError.floor_in(reason)) is not None)


def describe_floors(found: Sequence[int]) -> str:
    """Return floors, smallest first, as `380 bytes` or `380 to 420 bytes`."""
    return f"{found[0]} bytes" if found[0] == found[-1] else f"{found[0]} to {found[-1]} bytes"


def compose_row(own: Sequence[str], user: Sequence[str]) -> DictConfig:
    """Compose one row with the user's overrides that apply to it."""
    return compose_config([*own, *applicable(own, user)])


def run_one(own: Sequence[str], user: Sequence[str]) -> RunFolder:
    """Run one row, unless it has been run before, with the user's overrides that apply to it."""
    return RunFolder(run(compose_row(own, user)))


def run_all(
    rows: Sequence[tuple[str, list[str]]], user: Sequence[str], left_out: dict[str, str] | None = None
) -> list[RunFolder]:
    """Run each row, unless it has been run before; returns the runs.

    Args:
        rows: label and overrides of each; the label is printed as progress.
        user: overrides of the command line, added to each row where they apply.
        left_out: where it is given, a row without faces to fit to, whose codec's package or weights are missing, or
            which has a file of the size asked for of no picture, is no error: it has no run, and the reason is written
            here by its label.

    Raises:
        ValueError: a bad option, or not one picture of a row could be encoded.
    """
    configs = compose_all([own for _, own in rows], user)
    check_faces(cfg for cfg, _ in configs)
    unused = set(user)
    for cfg, added in configs:
        unused -= set(added) - set(unused_overrides(cfg, added))
    for override in user:
        if override in unused:
            _log.warning("%s has no effect: no row reads it, or each makes its own choice", override)
    runs = []
    for number, ((label, own), (cfg, _)) in enumerate(zip(rows, configs, strict=True), start=1):
        print(f"[{number}/{len(rows)}] {label} ...", flush=True)
        if left_out is not None and lacks_faces(cfg):
            left_out[label] = NO_FACES
            continue
        try:
            # The runner warns about what a row's YAML sets in vain; what only other rows read is no mistake.
            runs.append(RunFolder(run(cfg, own)))
        except NothingEncodedError as error:
            found = floors(error.failed)
            if left_out is None or len(found) < len(error.failed):
                raise
            left_out[label] = f"left out: it has a file so small for no picture; its floor is {describe_floors(found)}"
        except InstantiationException as error:
            if left_out is None:
                raise
            left_out[label] = why_unavailable(error)
    return runs
