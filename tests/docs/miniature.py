"""The commands of README and docs/ in miniature: in this process, with a tiny generator, few steps and few pictures.

`GANREV_DOCS=full` takes them as they stand instead: the shipped generator, all steps, all pictures, which takes hours.
"""

import contextlib
import functools
import glob
import io
import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra

from experiments import sweep
from ganrev.cli import main
from ganrev.configuration.overrides import table_path

ROOT = Path(__file__).resolve().parents[2]
FULL = os.environ.get("GANREV_DOCS") == "full"

MODEL = ["generator._target_=tests.tiny.TinyGridGenerator", "device=cpu", "device.dtype=float32", "reversal.steps=3"]
RUNS = [*MODEL, "data.limit=2"]

# What is added to a command. Training is tested in tests/train: here only its options are read.
ADDED = {
    **dict.fromkeys(("compress", "decompress"), MODEL),
    **dict.fromkeys(("table", "figures", "rd", "automatic", "sweep"), RUNS),
    "run": [*RUNS, "hydra/job_logging=disabled", "hydra/hydra_logging=disabled"],
    "train": ["--cfg", "job"],
    "realism": ["-n", "2"],
    "qr-codes": ["-n", "2"],
}

# Of dozens of runs that a YAML file lists some will do.
FEW: dict[str, tuple[str, set[str]]] = {
    "table2": ("rows", {"WebP, 250 bytes", "JPEG 2000, 250 bytes", "PCA, 250 bytes", "GAN reversal, 250 bytes"}),
    "rd": ("curves", {"GAN reversal", "PCA", "JPEG 2000"}),
    "automatic": ("grid", {"quant.step"}),
}
FEW_SIZES = [120, 700]
LEARNED = Path("learned")  # where the weights of learned codecs lie, which take hours to train

# Commands that set up a machine, tools with tests of their own, or what takes long even in miniature.
NOT_RUN = {"cd", "git", "pip", "pre-commit", "source", "jupyter", ".ci/run"}
LONG = {"alignment", "bench", "bench-report", "demo", "fetch-identity", "hash-rates", "latents"}

_EXAMPLE_ID = re.compile(r"(.*-)0123456789ab(/?.*)")  # of a run, as `ganrev --help` writes it
_LAUNCHER = re.compile(r"\+?hydra[/.]launcher.*")  # their processes take a minute: tests/test_launchers.py


def lines_of(block: str) -> Iterator[str]:
    """Yield the commands of a block, each in one line."""
    for line in block.replace("\\\n", " ").splitlines():
        if shlex.split(line, comments=True):
            yield line


def execute(line: str) -> tuple[int, str]:
    """Run one line of a shell, in miniature; returns its status and what it printed, errors included."""
    printed = ""
    for part in re.split(r"\s&&\s", line):
        status, text = _execute_one(shlex.split(part, comments=True), part)
        printed += text
        if status:
            return status, printed
    return 0, printed


def _execute_one(words: list[str], line: str) -> tuple[int, str]:
    with pytest.MonkeyPatch.context() as patch:
        while re.fullmatch(r"[A-Z_]+=.*", words[0]):
            name, _, value = words.pop(0).partition("=")
            patch.setenv(name, value)
            if name == "PYTHONPATH":
                patch.syspath_prepend(str(Path(value).resolve()))
        command = _of_ganrev(words)
        if command is not None:
            return _call_here(_small(command))
        if words[0] == "make":
            return _make(words)
        if words[0] in NOT_RUN:
            return 0, ""
        done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def _of_ganrev(words: list[str]) -> list[str] | None:
    """Return subcommand and arguments of what is `ganrev`, however it is called; None for anything else."""
    program = Path(words[0]).name
    if program == "ganrev":
        return words[1:]
    if program == "python" and words[1:2] == ["run.py"]:
        return ["run", *words[2:]]
    if program == "python" and words[1:3] == ["-m", "ganrev"]:
        return words[3:]
    return None


def _make(words: list[str]) -> tuple[int, str]:
    """Run what a target of the Makefile calls, as far as it is `ganrev`; other targets must only exist."""
    done = subprocess.run([*words, "-n", "INSTALLED="], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.returncode, done.stderr
    for line in done.stdout.splitlines():
        if _of_ganrev(shlex.split(line)) is not None:
            return execute(line)
    return 0, ""


def _small(words: list[str]) -> list[str]:
    """Return a command of ganrev's in miniature, its globs and example names replaced by what is there."""
    words = [name for word in words for name in _expanded(word)]
    if FULL or not words or {"--help", "--version"} & set(words):
        return words
    if words[0] in FEW:  # a command that is called as its default
        words = [words[0], *words]
    words = [words[0], *(_shortened(word) if word in FEW else word for word in words[1:])]
    added = ADDED.get(words[0], [])
    if any(word.startswith(("generator=", "generator._target_=")) for word in words):
        added = [word for word in added if not word.startswith("generator")]
    learned = [LEARNED / f"{word.removeprefix('codec=')}.safetensors" for word in words if word.startswith("codec=")]
    added = [*added, *(f"codec.path={path}" for path in learned if path.is_file())]
    if any(word.startswith("data.shard=") for word in words):
        added = [*added, "data.limit=4", "batch_size=1"]  # shards are made of whole batches
    return [word for word in words if not _LAUNCHER.fullmatch(word)] + added


@functools.cache
def _text_of(name: str) -> str:
    """Return the YAML of a table, with few of its entries."""
    experiment = yaml.safe_load(table_path(name).read_text(encoding="utf-8"))
    kind, kept = FEW[name]
    entries = experiment[kind]
    if isinstance(entries, dict):
        experiment[kind] = {key: entries[key] for key in kept}
    else:
        experiment[kind] = [entry for entry in entries if entry["label"] in kept]
    assert len(experiment[kind]) == len(kept)
    if "anchors" in experiment:
        experiment["anchors"] = [label for label in experiment["anchors"] if label in kept]
    return yaml.safe_dump(experiment | ({"sizes": FEW_SIZES} if "sizes" in experiment else {}))


def _shortened(name: str) -> str:
    """Write that YAML below the folder at hand; returns its path."""
    path = Path("few") / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(_text_of(name), encoding="utf-8")
    return str(path)


def _expanded(word: str) -> list[str]:
    example = _EXAMPLE_ID.fullmatch(word)
    if example:
        word = "*".join(example.groups())
    if "*" not in word or "=" in word:
        return [word]
    found = sorted(glob.glob(word), key=os.path.getmtime)
    return found[-1:] if example else sorted(found)


def _call_here(words: list[str]) -> tuple[int, str]:
    """Run `ganrev ...` in this process; returns its status and what it printed."""
    if not FULL and words and words[0] in LONG:
        words = [words[0], "--help"]
    printed = io.StringIO()
    status = 0
    with (
        _hydra_forgotten(),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sweep, "launch", _launch_here)
        try:
            main(words)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return status, printed.getvalue()


def _launch_here(overrides: list[str], records: Path) -> int:
    """Take the place of `experiments.sweep.launch`, whose process takes half a minute in all."""
    quiet = ["hydra/job_logging=disabled", "hydra/hydra_logging=disabled"]
    folder = f"hydra.callbacks.jobs.folder={records.resolve()}"
    status, printed = _call_here(["run", "--multirun", *overrides, *quiet, folder])
    print(printed)
    return status


@contextlib.contextmanager
def _hydra_forgotten() -> Iterator[None]:
    """Restore what Hydra leaves behind in a process: its instance, arguments, handlers of logs, loggers it disabled."""
    root = logging.getLogger()
    handlers, level, arguments = root.handlers[:], root.level, sys.argv
    try:
        yield
    finally:
        for handler in [one for one in root.handlers if one not in handlers]:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)
        for logger in logging.Logger.manager.loggerDict.values():
            if isinstance(logger, logging.Logger):
                logger.disabled = False
        sys.argv = arguments
        GlobalHydra.instance().clear()
