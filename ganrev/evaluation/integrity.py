"""Is the record of a run what was written? A list of SHA-256 tells, as `sha256sum --check SHA256SUMS` reads it.

Files are read here with one exception for all that damaged bytes make their readers raise.
"""

import hashlib
import json
import struct
import tokenize
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from ganrev.files import write_whole

SUMS = "SHA256SUMS"
_DIGITS = 64
_MOST_INFLATED, _MOST_SPARE = 100, 1 << 24  # an archive may declare so many times its size, and so many bytes more
_BROKEN_ARCHIVE = (
    *(ValueError, TypeError, EOFError, LookupError, MemoryError, OverflowError, RuntimeError, SyntaxError, OSError),
    *(BadZipFile, zlib.error, struct.error, tokenize.TokenError),
)


class DamagedError(ValueError):
    """A file is empty, cut short or altered; the message names it."""


def read_json(path: Path) -> dict[str, Any]:
    """Read an object of JSON; DamagedError where it is none."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path} is empty or damaged ({error}); repeat the run with force=true") from error
    if not isinstance(content, dict):
        raise DamagedError(f"{path} is damaged: it holds no object of JSON; repeat the run with force=true")
    return content


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file by name; DamagedError where it is none."""
    with path.open("rb") as file:
        try:
            most = _MOST_INFLATED * path.stat().st_size + _MOST_SPARE
            with ZipFile(file) as archive:
                declared = sum(member.file_size for member in archive.infolist())
            if declared > most:
                raise ValueError(f"it declares {declared} bytes")
            file.seek(0)
            with np.load(file) as stored:
                return dict(stored)
        except _BROKEN_ARCHIVE as error:
            raise DamagedError(f"{path} is empty or damaged ({error}); repeat the run with force=true") from error


def write_sums(folder: Path, files: Iterable[Path], others: dict[str, bytes]) -> None:
    """List files of a folder, and others that are still to be written, by their names in there."""
    sums = {str(file.relative_to(folder)): sha256(file.read_bytes()) for file in files}
    sums |= {name: sha256(content) for name, content in others.items()}
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    write_whole(folder / SUMS, text.encode(errors="surrogateescape"))


def sha256(content: bytes) -> str:
    """Return the SHA-256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def find_damage(folder: Path, files: Iterable[Path]) -> str:
    """Return what is wrong with a folder's list of sums and what it lists; empty for nothing, and without a list.

    Args:
        folder: of the list.
        files: in there, all of which it must list.
    """
    path = folder / SUMS
    if not path.exists():
        return ""
    missing = {str(file.relative_to(folder)) for file in files}
    for line in path.read_bytes().decode(errors="surrogateescape").splitlines():
        digest, name = line[:_DIGITS], line[_DIGITS + 2 :]
        if len(digest) < _DIGITS or not name or Path(name).is_absolute() or ".." in Path(name).parts:
            return f"{SUMS} is cut short or altered"
        try:
            found = sha256((folder / name).read_bytes())
        except (OSError, ValueError) as error:
            return f"{name} cannot be read: {error}"
        if found != digest:
            return f"{name} is not what was written"
        missing.discard(name)
    return f"{SUMS} does not list {min(missing)}" if missing else ""
