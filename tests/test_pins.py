"""constraints.txt pins all that `make install` brings, at versions that pyproject.toml allows."""

import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED = {
    canonicalize_name(requirement.name): requirement
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
    for requirement in [Requirement(line)]
}
INSTALLED_EXTRAS = ("dev", "perceptual", "joblib", "submitit", "train", "qr", "demo")


def own_requirements():
    extras = PROJECT["optional-dependencies"]
    lines = PROJECT["dependencies"] + [line for extra in INSTALLED_EXTRAS for line in extras[extra]]
    return [Requirement(line) for line in lines]


def requirements_of(name, extras):
    """Return what an installed distribution needs here, as names and extras."""
    found = []
    for line in metadata.requires(name) or []:
        requirement = Requirement(line)
        needed = [
            extra for extra in ("", *extras) if not requirement.marker or requirement.marker.evaluate({"extra": extra})
        ]
        if needed:
            found.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found


def test_everything_that_is_installed_with_ganrev_is_pinned():
    waiting = [(canonicalize_name(r.name), frozenset(r.extras)) for r in own_requirements()]
    reached = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in reached:
            continue
        reached.add((name, extras))
        try:
            waiting += requirements_of(name, extras)
        except metadata.PackageNotFoundError:  # the CUDA libraries of another build of torch, an extra not installed
            continue
        assert name in PINNED, f"{name} is installed and not pinned"


def test_pins_are_exact_and_lie_within_the_ranges():
    for requirement in PINNED.values():
        assert [one.operator for one in requirement.specifier] == ["=="], requirement
        assert requirement.url is None
    for requirement in own_requirements():
        (pin,) = PINNED[canonicalize_name(requirement.name)].specifier
        assert requirement.specifier.contains(pin.version), f"{requirement} does not allow the tested {pin.version}"
