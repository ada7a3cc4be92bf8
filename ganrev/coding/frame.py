"""What the project's own files have in common: a header of fixed size that ends in a checksum, then the payload.

A header begins with the magic and ends with the CRC-16 (CCITT) of everything else; numbers are little-endian.
"""

import binascii
import struct
from dataclasses import dataclass


class ContainerError(ValueError):
    """A file cannot be decoded."""


class NotAContainerError(ContainerError):
    """The file is of another format, or of a newer version."""


class CorruptFileError(ContainerError):
    """The file is truncated or altered."""


class WrongGeneratorError(ContainerError):
    """The file was made with other weights."""


@dataclass(frozen=True)
class Frame:
    """The header of one format.

    Attributes:
        suffix: of the files, with its dot; messages name the format by it.
        magic: first bytes of every file.
        fields: layout of what lies between magic and checksum, in the notation of `struct` without a byte order.
    """

    suffix: str
    magic: bytes
    fields: str

    @property
    def num_bytes(self) -> int:
        """Size of the header."""
        return self._header.size

    @property
    def _header(self) -> struct.Struct:
        return struct.Struct(f"<{len(self.magic)}s{self.fields}H")

    def begins(self, blob: bytes) -> bool:
        """Return whether a file begins like one of this format."""
        return blob.startswith(self.magic)

    def check_magic(self, blob: bytes) -> None:
        """Raise NotAContainerError unless the file begins like one of this format."""
        if not self.begins(blob):
            raise NotAContainerError(f"not a {self.suffix} file: it begins with {blob[:4]!r}, expected {self.magic!r}")

    def write(self, fields: tuple, payload: bytes) -> bytes:
        """Return the whole file."""
        head = self._header.pack(self.magic, *fields, 0)[:-2]
        return head + struct.pack("<H", _checksum(head, payload)) + payload

    def read(self, blob: bytes) -> tuple[tuple, bytes]:
        """Return the fields and the payload of a file that begins with the magic.

        Raises:
            CorruptFileError: truncated or altered.
        """
        size = self.num_bytes
        if len(blob) < size:
            raise CorruptFileError(
                f"truncated {self.suffix} file: {len(blob)} bytes, the header alone takes {size}; fetch it again"
            )
        _, *fields, expected = self._header.unpack_from(blob)
        payload = blob[size:]
        if _checksum(blob[: size - 2], payload) != expected:
            raise CorruptFileError(
                f"the {self.suffix} file is truncated or altered: its checksum does not match; fetch it again"
            )
        return tuple(fields), payload


def fingerprint(digest: str, num_bytes: int) -> bytes:
    """Return the first bytes of the SHA-256 (hexadecimal) of what a decoder has learned: a file names it by them.

    Raises:
        ValueError: that is not a digest, so that files could not name the decoder that they need.
    """
    mark = bytes.fromhex(digest)[:num_bytes]
    if len(mark) < num_bytes:
        raise ValueError(f"a generator must have the SHA-256 of its weights as its digest, got {digest!r}")
    return mark


def _checksum(head: bytes, payload: bytes) -> int:
    """Return the CRC-16 (CCITT) of a file from all but the two bytes that hold it."""
    return binascii.crc_hqx(payload, binascii.crc_hqx(head, 0xFFFF))
