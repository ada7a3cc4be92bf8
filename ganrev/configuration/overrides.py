"""Hydra overrides such as `loss=mse data.root=photos`: composed in one place, and their mistakes explained."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig

from ganrev.configuration.configs import load_config
from ganrev.files import kind_of
from ganrev.paths import config_dir, user_path

# Options that are text, a path mostly, by the last part of their names.
_TEXTS = {"exclude", "faces", "manifest", "out", "path", "root", "start", "url", "valid"}

# Which command takes a file of configs/tables/, by a key that only its files have.
_COMMANDS = {"rows": "table", "figures": "figures", "curves": "rd", "automatic": "automatic", "overrides": "sweep"}

# Targets of the Makefile that need no file name.
_MAKE = {name: f"make {name}" for name in ("table1", "figures", "rd", "automatic", "sweep")}


def compose_config(overrides: Sequence[str], config_name: str = "config") -> DictConfig:
    """Compose `configs/<config_name>.yaml` with overrides, as `run.py` does.

    It may be called inside a program that uses Hydra for itself.

    Raises:
        ValueError: an override that Hydra cannot read, or reads as another type than the option has.
        hydra.errors.HydraException: an option or a choice that does not exist.
    """
    check_overrides(overrides)
    instance = GlobalHydra.instance()
    callers = instance.hydra
    instance.clear()
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            return compose(config_name, overrides=list(overrides))
    finally:
        GlobalHydra.instance().hydra = callers


def compose_for_codec(overrides: Sequence[str]) -> DictConfig:
    """Compose the config of a codec that gets its pictures from elsewhere; arguments and errors as `compose_config`.

    Raises:
        ValueError: an override of `data`, too: it would do nothing, or as data=seen change other options in passing.
    """
    for override in overrides:
        if re.match(r"[+~]*data\b", override):
            raise ValueError(
                f"{override} is an option of runs (ganrev run), which load a set of pictures; nothing is loaded from "
                "there here: leave it out"
            )
    return compose_config(overrides)


def check_overrides(overrides: Sequence[str]) -> None:
    """Raise ValueError, with the quoting that works, for overrides that Hydra misreads.

    These are texts with characters of Hydra's own grammar (`data.root=Fotos (2)`), and texts that it takes for a
    number (`out=2024_01_05`).
    """
    parser = OverridesParser.create()
    for text in overrides:
        name, has_value, value = text.partition("=")
        if not _is_unicode(text):
            raise ValueError(
                f"{ascii(name)[1:-1]} has bytes that are no UTF-8, {value!a}, and a run's config could not name "
                "them: rename that file or folder, or give a symbolic link to it"
            )
        try:
            override = parser.parse_override(text)
        except HydraException as error:
            advice = _quoted(parser, name, value) if has_value else None
            if advice is None:
                raise ValueError(f"{text} is no override: {error}; expected OPTION=VALUE") from error
            raise ValueError(
                f"{name} has a value that must be quoted, {value}: some of its characters mean something to Hydra. "
                f"In a shell write {advice}"
            ) from error
        wrong = _not_text(override)
        if wrong is not None:
            kind = "truth value" if isinstance(wrong, bool) else "number"
            raise ValueError(
                f"{name} must be a text, and {value} is read as the {kind} {wrong}. "
                f"In a shell write {_quoted(parser, name, value)}"
            )


def _is_unicode(text: str) -> bool:
    """Tell whether a text can be encoded; Python puts lone surrogates for bytes that it could not decode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _quoted(parser: OverridesParser, name: str, value: str) -> str | None:
    """Return an override as a shell and Hydra read it, its value as text; None where quotes do not help."""
    if value.startswith("[") and value.endswith("]"):
        items = [item.strip() for item in value[1:-1].split(",")]
        meant = "[" + ",".join(item if item[:1] in "\"'" else quote(item) for item in items) + "]"
    else:
        meant = quote(value)
    try:
        parser.parse_override(f"{name}={meant}")
    except HydraException:
        return None
    return shlex.quote(f"{name}={meant}")


def quote(text: str) -> str:
    """Return a text in the quotes of Hydra's grammar, in which every character stands for itself."""
    # A backslash is special only before a quote, and so at the end, where our own quote follows.
    body = re.sub(r'(\\*)"', r'\1\1\\"', text)
    slashes = len(body) - len(body.rstrip("\\"))
    return f'"{body}{slashes * chr(92)}"'


def _not_text(override: Override) -> object | None:
    """Return the value of an override that must be a text and is not, such as a number; None for any other."""
    if override.key_or_group.rpartition(".")[2] not in _TEXTS or override.is_sweep_override():
        return None
    value = override.value()
    values = value if isinstance(value, list) else [value]
    return next((one for one in values if isinstance(one, bool | int | float)), None)


def refuse_tables(overrides: Sequence[str]) -> None:
    """Raise ValueError for `experiment=table1` and its like: a file of configs/tables/ is many runs, not one."""
    for override in overrides:
        name, _, table = override.lstrip("+").partition("=")
        if name not in ("experiment", "tables"):
            continue
        content = load_config(table_path(table))
        command = next((command for key, command in _COMMANDS.items() if key in content), "table")
        target = _MAKE.get(table, f'make {command} ARGS="{table}"')
        own = f"ganrev {command}" if table == command else f"ganrev {command} {table}"
        raise ValueError(f"{table} is many runs, and this command makes one; its own is {target}, or {own}")


def table_path(name: str) -> Path:
    """Return the YAML file of a table: one of configs/tables/ by its name, or a path that ends in .yaml.

    Raises:
        ValueError: there is none.
    """
    is_path = name.endswith((".yaml", ".yml"))
    path = user_path(name) if is_path else config_dir() / "tables" / f"{name}.yaml"
    if path.is_file():
        return path
    kind = kind_of(user_path(name))
    if kind and not (kind == "a file" and is_path):
        raise ValueError(f"{name} is {kind}, and no table: a table of your own is a file whose name ends in .yaml")
    names = sorted(file.stem for file in (config_dir() / "tables").glob("*.yaml"))
    raise ValueError(f"there is no table {name!r}; choose one of {', '.join(names)}, or give the path of a YAML file")


def to_overrides(options: Mapping[str, Any]) -> list[str]:
    """Return overrides that give options these Python values: `{"quant.step": 0.5}` is `quant.step=0.5`."""
    return [f"{name}={_literal(value)}" for name, value in options.items()]


def _literal(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        return quote(str(value))
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_literal(one)}" for key, one in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(_literal, value)) + "]"
    raise ValueError(f"an option is a text, a number, True, False, None, a list or a dict, got {value!r}")
