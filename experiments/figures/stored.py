"""Stored runs, found by what they were configured to do: no codec is built, and no picture is read."""

import json
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from experiments import composition
from ganrev.configuration.configs import to_dict
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.run_identity import canonical_config, modern_config, parse_shard_name
from ganrev.evaluation.runner import run


class MissingRunError(ValueError):
    """A figure's run is not there.

    Args:
        reason: what is not there.
        command: makes it.
    """

    def __init__(self, reason: str, command: str) -> None:
        super().__init__(f"{reason}; {command} makes it")
        self.command = command


class StoredRuns:
    """Finds the run of some overrides.

    Args:
        user: overrides of the command line, which count where a run leaves them open.
        make: whether to make a run that is not there.
    """

    def __init__(self, user: Sequence[str], make: bool = False) -> None:
        self.user, self.make = list(user), make
        self._known: dict[Path, dict[str, RunFolder]] = {}

    def config(self, own: Sequence[str]) -> DictConfig:
        """Return what a run with some overrides of its own is configured to do."""
        return modern_config(composition.compose_row(own, self.user))

    def find(self, own: Sequence[str], command: str) -> RunFolder:
        """Return the newest finished run of a codec, pictures and seed.

        Args:
            own: its overrides.
            command: makes it, and is named where it is not there.

        Raises:
            MissingRunError: it is not there, and may not be made.
        """
        cfg = self.config(own)
        if self.make:
            return RunFolder(run(cfg))
        folder = Path(cfg.out)
        if folder not in self._known:
            self._known[folder] = _index(folder)
        found = self._known[folder].get(_key(cfg))
        if found is None:
            told = " ".join(override for override in own if override not in self.user)
            raise MissingRunError(f"{told} has not been run", self.with_user(command))
        return found

    def with_user(self, command: str) -> str:
        """Return a command with the user's overrides."""
        return " ".join([command, *self.user])

    def find_sweep(self, name: str) -> list[tuple[dict[str, str], RunFolder]]:
        """Return values by their keys, and the run, of each job of a sweep in configs/tables/.

        Raises:
            MissingRunError: one is not there.
        """
        grid = composition.load_experiment(name, "overrides")["overrides"]
        jobs = expand(composition.with_defaults(composition.check_overrides(grid, name), self.user))
        return [
            (dict(override.lstrip("+").split("=", 1) for override in job), self.find(job, f"ganrev sweep {name}"))
            for job in jobs
        ]


def _index(folder: Path) -> dict[str, RunFolder]:
    """Return the finished runs of a folder by what they were configured to do, of several the newest."""
    finished = [run for run in map(RunFolder, sorted(folder.glob("[!.]*"))) if run.is_finished]
    whole = [run for run in finished if parse_shard_name(run.name) is None]
    by_age = sorted(whole, key=lambda run: str(run.provenance["time"]))
    return {_key(run.config): run for run in by_age}


def _key(cfg: DictConfig) -> str:
    """Return what a run was configured to do, as text; paths of weights and faces count for nothing."""
    parts = to_dict(cfg, resolve=True)
    data = {key: value for key, value in parts["data"].items() if key != "shard"}
    return json.dumps([canonical_config(parts["codec"]), canonical_config(data), parts["seed"]], sort_keys=True)


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each job of a sweep such as `loss=ssim,mse seed=0,1`, as Hydra's multirun runs them."""
    jobs: list[list[str]] = [[]]
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        is_sweep = override.is_sweep_override()
        values = list(override.sweep_string_iterator()) if is_sweep else [override.get_value_element_as_str()]
        jobs = [[*job, f"{override.get_key_element()}={value}"] for job in jobs for value in values]
    return jobs
