"""Files that are written completely or not at all, and JSON that every reader takes."""

import errno
import json
import math
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


def write_whole(path: Path, data: bytes) -> None:
    """Write a file completely or not at all; see `open_whole`."""
    with open_whole(path) as file:
        file.write(data)


@contextmanager
def open_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that gets its name only once it is complete and on the disk.

    Until then it lies beside its destination under a hidden name of its own, so that two writers never share one; after
    a failure the destination is as it was. A symbolic link stays and the file that it points to is replaced. What is
    no regular file (a device, a FIFO) cannot be replaced by a complete one: it is written directly.

    Raises:
        OSError: the file cannot be written; it names `path`.
    """
    if path.exists() and not path.is_file():
        try:
            with path.open("wb") as file:
                yield file
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        return
    target = Path(os.path.realpath(path))
    if target.is_symlink():  # after all links were followed
        raise OSError(errno.ELOOP, "Symbolic links that lead to each other", str(path))
    partial = target.with_name(f".{target.name[:40]}-{secrets.token_hex(6)}.partial")  # names have 255 bytes at most
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the name without the bytes
        partial.replace(target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(partial)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def kind_of(path: Path) -> str:
    """Return in words what lies there, such as `a folder`; empty where there is nothing."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "a link to nothing" if path.is_symlink() else ""
    found = stat.S_IFMT(mode)
    return {stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}.get(
        found, "a device"
    )


def no_folder(path: Path) -> str:
    """Return the beginning of a complaint about a path that is no folder: what it is instead."""
    kind = kind_of(path)
    return f"{path} is {kind}, no folder" if kind else f"there is no folder {path}"


def read_file(path: Path) -> bytes:
    """Return a whole file; ValueError where there is none, or something else."""
    kind = kind_of(path)
    if not kind:
        raise ValueError(f"there is no file {path}")
    if kind != "a file":
        raise ValueError(f"{path} is {kind}: give the name of a file")
    return path.read_bytes()


def check_output(output: Path) -> None:
    """Raise ValueError unless a file can be written under this name; called before the work, not after it."""
    if kind_of(output) == "a folder":
        raise ValueError(f"{output} is a folder; give the name of a file to write")
    if not output.parent.is_dir():
        advice = "name another" if kind_of(output.parent) else "make it first"
        raise ValueError(f"{no_folder(output.parent)} to write {output.name} to; {advice}")
    if kind_of(output) in ("", "a file", "a link to nothing"):
        check_folder(Path(os.path.realpath(output)).parent)


def check_folder(folder: Path) -> None:
    """Raise ValueError unless files can be written to a folder that is there, or can be made; makes none."""
    there = next(path for path in (folder, *folder.parents) if kind_of(path))
    if kind_of(there) != "a folder":
        raise ValueError(f"{no_folder(there)} to write to; give another one")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ValueError(
            f"nothing can be written to the folder {there} ({error.strerror}); give another one"
        ) from error


def to_json(value: dict[str, Any]) -> str:
    """Write JSON that every reader takes: infinite numbers as the string `inf`, undefined ones as null."""

    def clean(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: clean(inner) for key, inner in item.items()}
        if isinstance(item, list | tuple):
            return [clean(inner) for inner in item]
        if isinstance(item, float) and not math.isfinite(item):
            return None if math.isnan(item) else str(item)
        return item

    return json.dumps(clean(value), indent=2, allow_nan=False) + "\n"
