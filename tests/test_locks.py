"""Locks, and file systems without them."""

import errno
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from ganrev.evaluation.run_folder import RunFolder
from ganrev.fetch import FetchError, fetch_wheel
from ganrev.locks import locked


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP])
def without_locks(request, monkeypatch):
    """Let the file system have no locks, as some NFS."""

    def refuse(fd, operation):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("without_locks")
def test_without_locks_the_file_and_the_remedy_are_named(tmp_path):
    lock, told = RunFolder(tmp_path / "gan-01").lock, r"/\.gan-01\.lock cannot be locked .* on a local disk by out="
    with pytest.raises(OSError, match=f"{tmp_path}{told}"), lock:
        pass


@pytest.mark.usefixtures("without_locks")
def test_a_cache_without_locks_names_the_variable(tmp_path):
    with pytest.raises(FetchError, match=r"facewheel-1\.2\.lock cannot be locked .* GANREV_CACHE"):
        fetch_wheel("facewheel==1.2", "0" * 64, tmp_path)


def test_another_error_stays_what_it_is(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file") as caught, locked(tmp_path / "file" / "x.lock", "do something"):
        pass
    assert "do something" not in str(caught.value)


def test_one_at_a_time_holds_a_lock_and_an_error_gives_it_back(tmp_path):
    inside, most = 0, 0

    def work(number):
        nonlocal inside, most
        with locked(tmp_path / "x.lock", ""):
            inside += 1
            most = max(most, inside)
            inside -= 1
            if number % 2:
                raise KeyError(number)

    with ThreadPoolExecutor(4) as pool:
        errors = [pool.submit(work, number).exception() for number in range(8)]
    assert most == 1
    assert [type(error) for error in errors] == [type(None), KeyError] * 4
