"""Files that were changed: at a few places, where readers of bytes stumble, with checksums that fit."""

import numpy as np

from ganrev.coding.frame import ContainerError
from tests.fuzz.targets import Target

_LEAST = 9  # bytes of a file whose fingerprint is kept


def mutant(target: Target, rng: np.random.Generator) -> tuple[bytes, bool]:
    """Return a file of a target that was changed at one to four places, and whether its checksum was made to fit.

    It is for nine in ten.
    """
    seed = target.seeds[rng.integers(len(target.seeds))]
    blob = bytearray(seed)
    for _ in range(rng.integers(1, 5)):
        _CHANGES[rng.integers(len(_CHANGES))](blob, rng)
    if rng.random() < 0.9:
        blob[: target.num_kept] = seed[: target.num_kept]
        if target.documented is ContainerError and len(blob) > _LEAST and rng.random() < 0.9:
            kept = seed_mark(target, seed)
            blob[kept] = seed[kept]
    fits = bool(rng.random() < 0.9)
    return target.with_checksum(bytes(blob)) if fits else bytes(blob), fits


def seed_mark(target: Target, blob: bytes) -> slice:
    """Return where a file has its fingerprint: right before the checksum."""
    size = target.header(blob) if target.header else 0
    return slice(size - 2 - target.num_marked, size - 2)


def _place(blob: bytearray, rng: np.random.Generator) -> int:
    """Return a place in a file, one time in two near its beginning, where headers are."""
    most = min(len(blob), 24) if rng.random() < 0.5 else len(blob)
    return int(rng.integers(most + 1))


def _flip(blob: bytearray, rng: np.random.Generator) -> None:
    place = _place(blob, rng)
    if place < len(blob):
        blob[place] ^= 1 << int(rng.integers(8))


def _overwrite(blob: bytearray, rng: np.random.Generator) -> None:
    """Put numbers there that lengths and sizes stumble over."""
    place = _place(blob, rng)
    numbers = (b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff", b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\xff" * 8)
    chosen = numbers[rng.integers(len(numbers))]
    blob[place : place + len(chosen)] = chosen


def _randomise(blob: bytearray, rng: np.random.Generator) -> None:
    place = _place(blob, rng)
    length = int(rng.integers(1, 9))
    blob[place : place + length] = rng.bytes(length)


def _insert(blob: bytearray, rng: np.random.Generator) -> None:
    place = _place(blob, rng)
    blob[place:place] = rng.bytes(int(rng.integers(1, 17)))


def _delete(blob: bytearray, rng: np.random.Generator) -> None:
    place = _place(blob, rng)
    del blob[place : place + int(rng.integers(1, 17))]


def _cut(blob: bytearray, rng: np.random.Generator) -> None:
    del blob[int(rng.integers(len(blob) + 1)) :]


def _repeat(blob: bytearray, rng: np.random.Generator) -> None:
    begin = _place(blob, rng)
    blob[begin:begin] = blob[begin : begin + int(rng.integers(1, 65))] * int(rng.integers(1, 5))


def _replace_payload(blob: bytearray, rng: np.random.Generator) -> None:
    begin = min(len(blob), int(rng.integers(9, 17)))
    blob[begin:] = rng.bytes(int(rng.integers(0, 1025)))


def _change_kind(blob: bytearray, rng: np.random.Generator) -> None:
    """Name another version and back end, in files that name one there."""
    if len(blob) > 2:
        blob[2] = int(rng.integers(5)) << 4 | int(rng.integers(16))


_CHANGES = (_flip, _flip, _overwrite, _randomise, _insert, _delete, _cut, _repeat, _replace_payload, _change_kind)
