"""The `.gr` file: twelve bytes of header, then the payload.

| bytes | what |
| --- | --- |
| 0-1 | magic `GR` |
| 2 | version in the high four bits, entropy back end in the low four |
| 3-6 | step in units of z, float32, little-endian; 0 where the payload holds float32 latents |
| 7-9 | fingerprint: first three bytes of the SHA-256 of the generator's weights |
| 10-11 | CRC-16 (CCITT) of everything else, little-endian |
| 12- | payload |
"""

import binascii
import math
import struct
from dataclasses import dataclass

MAGIC = b"GR"
VERSION = 1
HEADER = struct.Struct("<2sBf3sH")
HEADER_BYTES = HEADER.size
FINGERPRINT_BYTES = 3


class ContainerError(ValueError):
    """A `.gr` file cannot be decoded."""


class NotAContainerError(ContainerError):
    """The file is no `.gr` file, or one of a newer version."""


class CorruptFileError(ContainerError):
    """The file is truncated or altered."""


class WrongGeneratorError(ContainerError):
    """The file was made with other weights."""


@dataclass(frozen=True)
class Container:
    """What a `.gr` file says.

    Attributes:
        entropy_code: the back end of the payload, 0-15.
        step: in units of z; 0 for float32 latents.
        fingerprint: three bytes that name the weights.
        payload: the coded symbols.
    """

    entropy_code: int
    step: float
    fingerprint: bytes
    payload: bytes


def fingerprint(digest: str) -> bytes:
    """Return the three bytes that name weights of this SHA-256 (hexadecimal).

    Raises:
        ValueError: that is no digest, so that the decoder could not be told apart from any other.
    """
    mark = bytes.fromhex(digest)[:FINGERPRINT_BYTES]
    if len(mark) < FINGERPRINT_BYTES:
        raise ValueError(f"a generator must have the SHA-256 of its weights as its digest, got {digest!r}")
    return mark


def _checksum(head: bytes, payload: bytes) -> int:
    return binascii.crc_hqx(payload, binascii.crc_hqx(head, 0xFFFF))


def write(content: Container) -> bytes:
    """Return the whole file."""
    if not 0 <= content.entropy_code < 16:
        raise ValueError(f"entropy code must be 0-15, got {content.entropy_code}")
    fields = (MAGIC, VERSION << 4 | content.entropy_code, content.step, content.fingerprint)
    head = HEADER.pack(*fields, 0)[:-2]
    return HEADER.pack(*fields, _checksum(head, content.payload)) + content.payload


def is_container(blob: bytes) -> bool:
    """Tell whether a file begins like a `.gr` file."""
    return blob[: len(MAGIC)] == MAGIC


def read(blob: bytes) -> Container:
    """Take a file apart.

    Raises:
        NotAContainerError: no `.gr` file, or one of an unknown version.
        CorruptFileError: truncated or altered.
    """
    if not is_container(blob):
        raise NotAContainerError(f"not a .gr file: it begins with {blob[:4]!r}, expected {MAGIC!r}")
    if len(blob) < HEADER_BYTES:
        raise CorruptFileError(f"truncated .gr file: {len(blob)} bytes, the header alone takes {HEADER_BYTES}")
    _, kind, step, mark, checksum = HEADER.unpack(blob[:HEADER_BYTES])
    payload = blob[HEADER_BYTES:]
    if _checksum(blob[: HEADER_BYTES - 2], payload) != checksum:
        raise CorruptFileError("the .gr file is truncated or altered: its checksum does not match; fetch it again")
    if kind >> 4 != VERSION:
        raise NotAContainerError(f".gr version {kind >> 4}, this program reads version {VERSION}; update ganrev")
    if not (math.isfinite(step) and step >= 0):
        raise CorruptFileError(f"the .gr file names the impossible step {step}")
    return Container(kind & 15, step, mark, payload)


def check_generator(content: Container, digest: str) -> None:
    """Raise WrongGeneratorError unless the file was made with weights of this SHA-256."""
    expected = fingerprint(digest)
    if content.fingerprint != expected:
        raise WrongGeneratorError(
            f"the file was made with generator {content.fingerprint.hex()}, this one is {expected.hex()}; "
            "decode with the generator it was made with (generator=..., generator.path=...)"
        )


def payload_bytes(blob: bytes) -> int:
    """Return the size of a file's payload alone, in bytes: the paper's own count."""
    return len(read(blob).payload)
