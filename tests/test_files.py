"""Files are written completely or not at all, whatever lies at their destination."""

import os
import stat
import threading

import pytest

from ganrev.files import open_whole, write_whole


def test_a_file_is_written_and_replaced_and_nothing_else_is_left(tmp_path):
    for data in (b"first", b"second, longer", b""):
        write_whole(tmp_path / "a.bin", data)
        assert (tmp_path / "a.bin").read_bytes() == data
    assert os.listdir(tmp_path) == ["a.bin"]


def test_the_usual_permissions_are_given(tmp_path):
    write_whole(tmp_path / "a.bin", b"x")
    (tmp_path / "b.bin").write_bytes(b"x")
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "b.bin").stat().st_mode


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    write_whole(tmp_path / "a.bin", b"old")
    with pytest.raises(TypeError), open_whole(tmp_path / "a.bin") as file:
        file.writelines([b"half of the new", "and then"])
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_the_name_appears_only_with_the_complete_file(tmp_path):
    with open_whole(tmp_path / "a.bin") as file:
        file.write(b"half")
        file.flush()
        assert not (tmp_path / "a.bin").exists()
        (partial,) = tmp_path.iterdir()
        assert partial.name.startswith(".")
    assert (tmp_path / "a.bin").read_bytes() == b"half"


def test_two_writers_do_not_disturb_each_other(tmp_path):
    with open_whole(tmp_path / "a.bin") as first:
        first.write(b"first")
        write_whole(tmp_path / "a.bin", b"second")
    assert (tmp_path / "a.bin").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append((tmp_path / "a.bin").exists()))
    write_whole(tmp_path / "a.bin", b"x")
    assert synced == [False]


def test_an_error_names_the_destination(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: .*/none/a\.bin'$"):
        write_whole(tmp_path / "none" / "a.bin", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder'$"):
        write_whole(tmp_path / "folder", b"x")

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: .*/a\.bin'$"):
        write_whole(tmp_path / "a.bin", b"x")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_name_may_be_as_long_as_names_can_be(tmp_path):
    for name in ("x" * 255, "é" * 127):
        write_whole(tmp_path / name, b"x")
        assert (tmp_path / name).read_bytes() == b"x"


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path, there):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "a.bin", tmp_path / "link.bin"
    if there:
        target.write_bytes(b"stale")
    link.symlink_to("real/a.bin")
    write_whole(link, b"new")
    assert link.is_symlink()
    assert not target.is_symlink()
    assert target.read_bytes() == b"new"
    assert os.listdir(target.parent) == ["a.bin"]


def test_a_link_that_points_to_itself_is_an_error(tmp_path):
    (tmp_path / "a.bin").symlink_to("a.bin")
    with pytest.raises(OSError, match="Symbolic links that lead to each other"):
        write_whole(tmp_path / "a.bin", b"x")
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_fifo_hands_the_bytes_on(tmp_path):
    fifo, read = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    write_whole(fifo, b"to the reader")
    reader.join(timeout=10)
    assert read == [b"to the reader"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_device_stays_a_device(tmp_path):
    device = tmp_path / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        device.open("wb").close()
    except OSError:
        device = None  # not allowed here
    for path in filter(None, (device, type(tmp_path)("/dev/null"))):
        write_whole(path, b"gone")
        assert stat.S_ISCHR(path.stat().st_mode)
        assert path.read_bytes() == b""
