"""A list of stored runs: the options, scores, time and commit of each."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from ganrev.configuration.configs import load_config, to_dict
from ganrev.evaluation.run_folder import RunFolder
from ganrev.files import no_folder
from ganrev.paths import config_dir

_logger = logging.getLogger(__name__)

_GROUPS = ("codec", "generator", "loss", "quant", "entropy", "reversal", "data")
_INSIDE_CODEC = ("generator", "loss", "quant", "entropy", "reversal")
_PLAIN = ("seed", "latent_scale")
_MOST_LETTERS = 60  # of a value


@dataclass(frozen=True)
class StoredRun:
    """One line of the list.

    Attributes:
        what: overrides that this run differs from the defaults by, such as `codec=jpeg codec.quality=10`.
        num_images: pictures in it.
        num_bytes: mean size of a file.
        psnr: mean, dB; infinite for a lossless codec.
        ssim: mean.
        when: day and time, UTC.
        commit: the first digits, with `+` for uncommitted changes; empty where unknown.
        folder: of the run.
    """

    what: str
    num_images: int
    num_bytes: float
    psnr: float
    ssim: float
    when: str
    commit: str
    folder: Path


_SORT_KEYS = {
    "when": lambda run: run.when,
    "what": lambda run: run.what,
    "pictures": lambda run: run.num_images,
    "bytes": lambda run: run.num_bytes,
    "psnr": lambda run: run.psnr,
    "ssim": lambda run: run.ssim,
}


def read_runs(folder: Path, sort: str = "when", last: int | None = None) -> list[StoredRun]:
    """Return the finished runs in a folder of runs.

    Args:
        folder: such as `results/runs`.
        sort: when, what, pictures, bytes, psnr or ssim, in ascending order.
        last: how many of them, from the end; None for all.

    Raises:
        ValueError: there is no such folder, or no finished run in it.
    """
    if not folder.is_dir():
        raise ValueError(f"{no_folder(folder)}; give one of runs, such as results/runs")
    runs = [RunFolder(path) for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    found = [_read(run) for run in runs if run.is_finished and _is_whole(run)]
    if not found:
        raise ValueError(f"there is no finished run in {folder}; `ganrev run` makes one")
    ordered = sorted(found, key=_SORT_KEYS[sort])
    return ordered if last is None else ordered[-last:]


def _is_whole(run: RunFolder) -> bool:
    """Return whether a finished run's record is what was written; say so where it is not."""
    damage = run.find_damage()
    if damage:
        _logger.warning("%s is left out: it is damaged: %s", run, damage)
    return not damage


def _read(run: RunFolder) -> StoredRun:
    summary, origin = run.summary, run.provenance
    mean = {key: float("nan") if value is None else float(value) for key, value in summary["mean"].items()}
    commit = (origin.get("commit") or "")[:7]
    return StoredRun(
        what=in_words(run.config),
        num_images=summary["num_images"],
        num_bytes=mean["num_bytes"],
        psnr=mean["psnr"],
        ssim=mean["ssim"],
        when=origin["time"][:19].replace("T", " "),
        commit=f"{commit}+" if commit and origin.get("dirty") else commit,
        folder=run.path,
    )


def in_words(config: DictConfig) -> str:
    """Return the overrides that turn the defaults into a stored config: choices of groups, and single options."""
    stored = to_dict(config, resolve=True)
    codec = stored["codec"]
    defaults = _default_choices()
    data_choice = _nearest("data", stored["data"], defaults["data"])
    defaults |= _overridden_by(_nearest("codec", codec, defaults["codec"]))
    words = []
    for group in _GROUPS:
        content = codec if group == "codec" else codec.get(group) if group in _INSIDE_CODEC else stored[group]
        if not isinstance(content, dict):
            continue  # the codec does not read this group
        choice = _nearest(group, content, defaults[group])
        expected = _choices(group)[choice] | _sets_elsewhere(data_choice).get(group, {})
        if group == "codec" or choice != defaults[group]:
            words.append(f"{group}={choice}")
        if group == "codec" and content["_target_"] != _choices(group)[choice]["_target_"]:
            words = [f"codec._target_={content['_target_']}"]  # a codec of the user's own
        words += [f"{group}.{key}={_spell(value)}" for key, value in _differences(expected, content)]
    plain = _load(config_dir() / "config.yaml") | _sets_elsewhere(data_choice)
    # Only codecs with a generator read these.
    changed = [key for key in _PLAIN if "generator" in codec and stored.get(key) != plain.get(key)]
    return " ".join(words + [f"{key}={_spell(stored[key])}" for key in changed])


def _nearest(group: str, content: Mapping[str, Any], default: str) -> str:
    """Return the choice of a group that is most similar to its stored content, of equal ones the default."""
    choices = _choices(group)
    return min(choices, key=lambda name: (*_distance(choices[name], content), name != default))


def _distance(choice: Mapping[str, Any], content: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return how far a stored content is from a choice: in its classes, then in keys, then in values."""
    expected, found = _flat(choice), _flat(_own(choice, content))
    targets = [key for key in {*expected, *found} if key.endswith("_target_")]
    unlike = sum(expected.get(key) != found.get(key) for key in targets)
    return unlike, len(set(expected) ^ set(found)), len(_differences(choice, content))


def _own(choice: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored content without what its choice takes from elsewhere, such as `loss: ${loss}` of a codec."""
    return {key: value for key, value in content.items() if not _refers(choice.get(key))}


def _refers(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def _differences(choice: Mapping[str, Any], content: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return dotted keys and values of a stored content that its choice sets otherwise."""
    expected = _flat(choice)
    return [
        (key, value)
        for key, value in _flat(_own(choice, content)).items()
        if not key.endswith("_target_") and value != expected.get(key)
    ]


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return all leaves by their dotted keys, without references."""
    leaves: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            leaves |= _flat(value, f"{prefix}{key}.")
        elif not _refers(value):
            leaves[f"{prefix}{key}"] = value
    return leaves


def _spell(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(_spell, value))}]"
    text = f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "")
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"


@cache
def _load(path: Path) -> dict[str, Any]:
    return to_dict(load_config(path), resolve=False)


@cache
def _choices(group: str) -> dict[str, dict[str, Any]]:
    """Return the choices of a group with what their own defaults add, unresolved."""
    folder = config_dir() / group
    contents = {path.stem: dict(_inherited(folder, path.stem)) for path in sorted(folder.glob("*.yaml"))}
    # A choice with `@package _global_` (data=seen) has its own options one level deeper, beside those of others.
    return {name: content.get(group, content) for name, content in contents.items()}


def _sets_elsewhere(data_choice: str) -> dict[str, Any]:
    """Return what a choice of `data` sets outside of `data`."""
    content = _load(config_dir() / "data" / f"{data_choice}.yaml")
    return {key: value for key, value in content.items() if key != "data"} if "data" in content else {}


def _inherited(folder: Path, name: str) -> Iterator[tuple[str, Any]]:
    content = _load(folder / f"{name}.yaml")
    for default in content.get("defaults", []):
        if isinstance(default, str) and default != "_self_":
            yield from _inherited(folder, default)
    yield from ((key, value) for key, value in content.items() if key != "defaults")


def _default_choices() -> dict[str, str]:
    defaults = _load(config_dir() / "config.yaml")["defaults"]
    return {group: choice for one in defaults if isinstance(one, dict) for group, choice in one.items()}


def _overridden_by(codec_choice: str) -> dict[str, str]:
    """Return the choices that a codec brings along, which are the defaults beside it."""
    defaults = _load(config_dir() / "codec" / f"{codec_choice}.yaml").get("defaults", [])
    chosen = {key: choice for one in defaults if isinstance(one, dict) for key, choice in one.items()}
    return {key.removeprefix("override /"): choice for key, choice in chosen.items() if key.startswith("override /")}


def to_text(runs: Sequence[StoredRun]) -> str:
    """Return the list as a table, above it the options of the pictures that all of several runs share.

    The last column is the folder to give to other commands.
    """
    words = [run.what.split(" ") for run in runs]
    shared = [word for word in words[0] if word.startswith("data") and all(word in others for others in words)]
    shared = shared if len(runs) > 1 else []
    header = ("when (UTC)", "what", "n", "bytes", "PSNR", "SSIM", "commit", "run")
    lines = [header]
    for run, own in zip(runs, words, strict=True):
        what = " ".join(word for word in own if word not in shared)
        scores = (f"{run.num_bytes:.1f}", f"{run.psnr:.2f}", f"{run.ssim:.4f}")
        lines.append((run.when[:16], what, str(run.num_images), *scores, run.commit or "-", run.folder.name))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = {2, 3, 4, 5}
    table = ["  ".join(_aligned(line, widths, right)).rstrip() for line in lines]
    return "\n".join([*([f"all with {' '.join(shared)}", ""] if shared else []), *table])


def _aligned(line: Sequence[str], widths: Sequence[int], right: set[int]) -> list[str]:
    pairs = enumerate(zip(line, widths, strict=True))
    return [cell.rjust(width) if place in right else cell.ljust(width) for place, (cell, width) in pairs]
