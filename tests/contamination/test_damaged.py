"""Damaged cards, hashes and weights: ValueErrors that say why, and no memory for what a few bytes claim."""

import io
import json
import struct
import tracemalloc
import zipfile

import pytest

from ganrev.contamination.card import read_card
from ganrev.contamination.hashes import hash_faces, load_hashes
from ganrev.generator.weights import load_tensors
from tests.tiny import smooth_images

BITS = {"descr": "|u1", "fortran_order": False, "shape": (3, 16)}


@pytest.fixture(autouse=True)
def little_memory():
    """Fail a test whose file of a few kilobytes takes more than eight megabytes to refuse."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def npy(header: str, values: bytes) -> bytes:
    """Return an array file with any header."""
    padded = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded.encode() + values


def npz(path, bits: bytes, compression=zipfile.ZIP_STORED):
    """Write a file of hashes whose first array is given."""
    stored = io.BytesIO()
    hash_faces(smooth_images(3, 128)).save(path)
    with zipfile.ZipFile(path) as good, zipfile.ZipFile(stored, "w", compression) as archive:
        archive.writestr("bits.npy", bits)
        for name in ("center.npy", "spread.npy"):
            archive.writestr(name, good.read(name))
    path.write_bytes(stored.getvalue())
    return path


def test_the_helper_makes_whole_files(tmp_path):
    assert len(load_hashes(npz(tmp_path / "x.npz", npy(str(BITS), bytes(48))))) == 3


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (str(BITS | {"shape": (10**12, 16)}), "bits has 48 bytes for uint8 of shape"),
        (str(BITS | {"shape": (1 << 62, 16)}), "bits has 48 bytes"),
        (str(BITS | {"shape": (-3, -16)}), "is no file of face hashes"),
        (str(BITS | {"descr": "|O"}), "bits has 48 bytes for object"),
        (str(BITS | {"descr": "<f8", "shape": (6,)}), "expected uint8 hashes"),
        ("(" * 5000, "is no file of face hashes"),
        ("{" + "'descr':" * 900, "is no file of face hashes"),
        ("__import__('os').abort()", "is no file of face hashes"),
    ],
)
def test_an_array_that_claims_what_it_does_not_hold_is_refused(tmp_path, header, message):
    with pytest.raises(ValueError, match=message):
        load_hashes(npz(tmp_path / "x.npz", npy(header, bytes(48))))


def test_an_archive_that_unpacks_to_far_more_than_it_takes_is_refused(tmp_path):
    tracemalloc.stop()
    header = str(BITS | {"shape": (1 << 20, 16)})
    path = npz(tmp_path / "x.npz", npy(header, bytes(16 << 20)), zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"bits would take 167\d+ bytes of a file of \d{5}\b"):
        load_hashes(path)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, '{"celeba_ids": [' + "[" * 100_000])
def test_a_deeply_nested_card_is_refused(tmp_path, text):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(ValueError, match=r"card\.json cannot be read, it is no JSON"):
        read_card(tmp_path / "card.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "no JSON object"),
        ("", "no JSON"),
        ('{"celeba_ids": [1.5]}', "celeba_ids of the model card .* whole numbers"),
        ('{"celeba_ids": {"1": 2}}', "celeba_ids of the model card .* whole numbers"),
        ('{"unseen_scale": 1e999}', "unseen_scale of the model card .* positive number, got inf"),
        ('{"unseen_scale": NaN}', "positive number, got nan"),
        ('{"unseen_scale": true}', "positive number, got True"),
        ('{"celeba_ids": [' + "9" * 5000 + "]}", "no JSON"),
        ("\udcff", "no JSON"),
    ],
)
def test_a_card_of_another_content_is_refused(tmp_path, text, message):
    (tmp_path / "card.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=message):
        read_card(tmp_path / "card.json")


def safetensors(header: object, size: int | None = None, values: bytes = b"\0" * 8) -> bytes:
    """Return a safetensors file with any header, which may name another size than its own."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + values


A = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\0" * 7,
        safetensors({"a": A}, 1 << 62),
        safetensors({"a": A}, (1 << 64) - 1),
        safetensors({"a": A}, 99 << 20),
        safetensors({"a": A | {"shape": [1 << 40]}}),
        safetensors({"a": A | {"shape": [1 << 62, 1 << 62]}}),
        safetensors({"a": A | {"data_offsets": [0, 1 << 60]}}),
        safetensors({"a": A | {"data_offsets": [8, 0]}}),
        safetensors({"a": A | {"dtype": "F7"}}),
        safetensors({"a": A | {"shape": [-2]}}),
        safetensors(b"[" * 100_000),
        safetensors(b'{"a":' * 100_000),
        safetensors(b"\xff\xfe"),
    ],
    ids=range(14),
)
def test_damaged_weights_are_refused(tmp_path, blob):
    (tmp_path / "w.safetensors").write_bytes(blob)
    with pytest.raises(ValueError, match=r"w\.safetensors cannot be read as safetensors"):
        load_tensors(tmp_path / "w.safetensors")


def test_the_undamaged_one_is_read(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(safetensors({"a": A}))
    assert load_tensors(tmp_path / "w.safetensors")["a"].tolist() == [0, 0]
