"""The `.gr` file: ten or twelve bytes of header, then the payload.

| bytes | what |
| --- | --- |
| 2 | magic `GR` |
| 1 | version in the high four bits, entropy back end in the low four |
| 4 or 2 | version 1: one step for all latents in units of z, float32; 0 where the payload holds float32 latents. |
|   | version 2: what multiplies each latent's own step (`quant=scaled`), bfloat16 |
| 3 | fingerprint: first three bytes of the SHA-256 of the generator's weights and table of latents |
| 2 | CRC-16 (CCITT) of everything else |
|   | payload |

Numbers are little-endian.
"""

import binascii
import math
import struct
from dataclasses import dataclass

MAGIC = b"GR"
_EQUAL, _SCALED = 1, 2  # versions: one step for all latents, or one for each
_HEADERS = {_EQUAL: struct.Struct("<2sBf3sH"), _SCALED: struct.Struct("<2sBH3sH")}
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
        step: in units of z; 0 for float32 latents. Where `scaled`, what multiplies each latent's own step.
        fingerprint: three bytes that name the weights.
        payload: the coded symbols.
        scaled: whether each latent has a step of its own.
    """

    entropy_code: int
    step: float
    fingerprint: bytes
    payload: bytes
    scaled: bool = False

    @property
    def version(self) -> int:
        """Version of the file's layout."""
        return _SCALED if self.scaled else _EQUAL


def fingerprint(digest: str) -> bytes:
    """Return the three bytes that name weights of this SHA-256 (hexadecimal).

    Raises:
        ValueError: that is no digest, so that the decoder could not be told apart from any other.
    """
    mark = bytes.fromhex(digest)[:FINGERPRINT_BYTES]
    if len(mark) < FINGERPRINT_BYTES:
        raise ValueError(f"a generator must have the SHA-256 of its weights as its digest, got {digest!r}")
    return mark


def checksum(head: bytes, payload: bytes) -> int:
    """Return the CRC-16 (CCITT) of a file from all but the two bytes that hold it."""
    return binascii.crc_hqx(payload, binascii.crc_hqx(head, 0xFFFF))


def write(content: Container) -> bytes:
    """Return the whole file."""
    if not 0 <= content.entropy_code < 16:
        raise ValueError(f"entropy code must be 0-15, got {content.entropy_code}")
    step = _float_bits(content.step) >> 16 if content.scaled else content.step
    header = _HEADERS[content.version]
    fields = (MAGIC, content.version << 4 | content.entropy_code, step, content.fingerprint)
    head = header.pack(*fields, 0)[:-2]
    return header.pack(*fields, checksum(head, content.payload)) + content.payload


def _float_bits(value: float) -> int:
    return int.from_bytes(struct.pack("<f", value), "little")


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
    version = blob[2] >> 4 if len(blob) > 2 else _EQUAL
    if version not in _HEADERS:
        known = " and ".join(map(str, _HEADERS))
        raise NotAContainerError(
            f".gr version {version}, this program reads versions {known}; update ganrev, or fetch the file again"
        )
    header = _HEADERS[version]
    if len(blob) < header.size:
        raise CorruptFileError(f"truncated .gr file: {len(blob)} bytes, the header alone takes {header.size}")
    _, kind, step, mark, expected = header.unpack(blob[: header.size])
    payload = blob[header.size :]
    if checksum(blob[: header.size - 2], payload) != expected:
        raise CorruptFileError("the .gr file is truncated or altered: its checksum does not match; fetch it again")
    scaled = version == _SCALED
    if scaled:
        (step,) = struct.unpack("<f", (step << 16).to_bytes(4, "little"))
    if not math.isfinite(step) or step < 0 or (scaled and step == 0):
        raise CorruptFileError(f"the .gr file names the impossible step {step}")
    return Container(kind & 15, step, mark, payload, scaled)


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
