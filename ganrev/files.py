"""Files that are written completely or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


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
        with path.open("wb") as file:
            yield file
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
