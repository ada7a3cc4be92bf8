"""Files of strangers: whatever their bytes, they decode or raise what is documented. `make fuzz` asks longer."""

import contextlib
import signal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import _give_up, fuzz_one
from tests.fuzz.file_targets import all_targets
from tests.fuzz.mutating import mutant
from tests.fuzz.tally import Tally, read_tallies, to_text, write_tallies
from tests.fuzz.targets import Target

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow's and Hypothesis's, of damaged metadata


@pytest.fixture(scope="module")
def targets(tmp_path_factory) -> list[Target]:
    return all_targets(tmp_path_factory.mktemp("fuzz"))


def check(target: Target, blob: bytes) -> None:
    """Decode; any exception but the documented one is raised."""
    with contextlib.suppress(target.documented):
        target.decode(blob)


def test_every_back_end_and_format_is_there(targets):
    names = {target.name for target in targets}
    back_ends = ("none", "bz2", "zlib", "lzma", "zstd", "flat", "adaptive", "prior", "fitted")
    assert {f".gr v{version} {name}" for version in (1, 2) for name in back_ends} <= names
    assert {
        ".gr v3 fitted",
        ".pca",
        ".lrn autoencoder",
        ".lrn hyperprior",
        ".lrn encoder",
        "JPEG codec",
        "PNG codec",
        "picture files",
        "model card",
        "safetensors",
        "torch checkpoint",
        "density of faces",
        "hashes .npz",
        "run config.yaml",
        "run rows.csv",
        "run summary.json",
        "run traces.npz",
    } <= names


@settings(max_examples=600, deadline=None)  # the machine may be busy
@given(place=st.integers(0, 10**6), seed=st.integers(0, 2**32 - 1))
def test_a_mutant_decodes_or_raises_what_is_documented(targets, place, seed):
    target = targets[place % len(targets)]
    blob, _ = mutant(target, np.random.default_rng(seed))
    check(target, blob)


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 10**6), blob=st.binary(max_size=200))
def test_any_bytes_behind_a_header_do_too(targets, place, blob):
    with_header = [target for target in targets if target.header]
    target = with_header[place % len(with_header)]
    seed = target.seeds[0]
    check(target, target.with_checksum(seed[: target.header(seed)] + blob))


def test_mutants_reach_beyond_the_checksum(targets):
    """Most of them must not fall at the first hurdle, or nothing behind it is tested."""
    rng = np.random.default_rng(0)
    stored = next(target for target in targets if target.name == ".gr v1 none")
    reasons = []
    for _ in range(300):
        try:
            stored.decode(mutant(stored, rng)[0])
        except stored.documented as error:
            reasons.append(str(error))
    early = [reason for reason in reasons if "checksum" in reason or "not a .gr" in reason or "made with" in reason]
    assert len(early) < 120


def test_findings_are_counted_kept_and_told(tmp_path, capsys):
    def decode(blob: bytes) -> None:
        if blob != b"good file":
            raise KeyError("no message that a user could read")

    tally = fuzz_one(Target("x", [b"good file"], decode), np.random.default_rng(0), 20, tmp_path / "found")
    assert tally.executions == 20
    assert tally.undocumented["KeyError"] == tally.executions - tally.decoded > 0
    assert not tally.is_clean
    assert list((tmp_path / "found").iterdir())
    assert "KeyError" in capsys.readouterr().out
    assert "20 mutants, 1 formats at fault" in to_text({"x": tally})


def test_counts_of_runs_add_up(tmp_path):
    path = tmp_path / "counts.json"
    assert read_tallies(path) == {}
    tally = Tally(executions=10, decoded=4, slowest=0.5, good_memory=100, memory=110, excess=1.1)
    tally.undocumented["KeyError"] += 1
    write_tallies({"x": tally}, path)
    stored = read_tallies(path)["x"]
    assert stored == tally
    stored.add(Tally(executions=5, decoded=5, altered=3, slowest=0.2, hangs=1, excess=1.4))
    assert (stored.executions, stored.decoded, stored.altered, stored.hangs) == (15, 9, 3, 1)
    assert (stored.slowest, stored.excess, stored.undocumented.total()) == (0.5, 1.4, 1)


def test_more_let_in_than_the_checksum_misses_by_chance_is_a_finding():
    assert Tally(altered=65536, let_in=4).is_clean
    assert not Tally(altered=65536, let_in=12).is_clean


def test_a_decoder_without_end_is_broken_off(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.fuzz.__main__._GIVEN_UP", 0.05)
    monkeypatch.setattr("tests.fuzz.__main__.SECONDS", 0.01)
    before = signal.signal(signal.SIGVTALRM, _give_up)

    def decode(blob: bytes) -> None:
        while blob != b"good file":
            pass

    try:
        tally = fuzz_one(Target("x", [b"good file"], decode), np.random.default_rng(0), 2, tmp_path)
    finally:
        signal.signal(signal.SIGVTALRM, before)
    assert (tally.hangs, tally.undocumented) == (2, {"Endless": 2})
