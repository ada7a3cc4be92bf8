"""Locks between processes, and file systems that have none."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)


@contextmanager
def locked(path: Path, remedy: str) -> Iterator[None]:
    """Hold the lock of a file, which one process at a time has; others wait.

    There is no way around it where a file system has no locks, such as some NFS: a file that merely stands for a lock
    stays behind when its process is killed, and then all others wait for ever.

    Args:
        path: of the lock's own file, which stays.
        remedy: what to do where the file system has no locks, as a sentence's end.

    Raises:
        OSError: it has none, or the file cannot be written; the message names the file.
    """
    lock = FileLock(path)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise OSError(
            f"{path} cannot be locked ({error.strerror}): its file system has no locks, as some network drives, and "
            f"two processes could write the same files; {remedy}"
        ) from error
    try:
        yield
    finally:
        lock.release()
