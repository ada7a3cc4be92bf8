"""The `.gr` file: ten or twelve bytes of header, then the payload.

| bytes | what |
| --- | --- |
| 2 | magic `GR` |
| 1 | version in the high four bits, entropy back end in the low four |
| 4 or 2 | version 1: one step size for all latents in units of z, float32; 0 where the payload holds float32 latents. |
|   | versions 2 and 3: what multiplies each latent's own step size (`quant=scaled`), bfloat16 |
| 3 | fingerprint: first three bytes of the SHA-256 of the generator's weights and table of latents |
| 2 | CRC-16 (CCITT) of everything else |
|   | payload: in version 3 z and then the grid (`ganrev.coding.grid_coder`), in the others z alone |

Numbers are little-endian.
"""

import math
import struct
from dataclasses import dataclass

from ganrev.coding import frame
from ganrev.coding.frame import CorruptFileError, Frame, NotAContainerError, WrongGeneratorError

_EQUAL, _SCALED, _GRID = 1, 2, 3  # versions: one step size for all latents, one for each, and a grid beyond z
FINGERPRINT_BYTES = 3
_RELEASES = {"0075bb": "0.1.0"}  # by the fingerprint of weights that shipped before: what reads their files
MAGIC = b"GR"
_FRAMES = {
    _EQUAL: Frame(".gr", MAGIC, f"Bf{FINGERPRINT_BYTES}s"),
    _SCALED: Frame(".gr", MAGIC, f"BH{FINGERPRINT_BYTES}s"),
    _GRID: Frame(".gr", MAGIC, f"BH{FINGERPRINT_BYTES}s"),
}


@dataclass(frozen=True)
class Container:
    """What a `.gr` file says.

    Attributes:
        entropy_code: the back end of the payload, 0-15.
        step_size: in units of z; 0 for float32 latents. Where `scaled`, what multiplies each latent's own.
        fingerprint: three bytes that name the weights.
        payload: the coded symbols.
        scaled: whether each latent has a step size of its own.
        has_grid: whether there are latents beyond z; only where `scaled`.
    """

    entropy_code: int
    step_size: float
    fingerprint: bytes
    payload: bytes
    scaled: bool = False
    has_grid: bool = False

    @property
    def version(self) -> int:
        """Version of the file's layout."""
        if self.has_grid:
            return _GRID
        return _SCALED if self.scaled else _EQUAL


def fingerprint(digest: str) -> bytes:
    """Return the three bytes that name weights of this SHA-256 (hexadecimal); ValueError where that is no digest."""
    return frame.fingerprint(digest, FINGERPRINT_BYTES)


def write(content: Container) -> bytes:
    """Return the whole file."""
    if not 0 <= content.entropy_code < 16:
        raise ValueError(f"entropy code must be 0-15, got {content.entropy_code}")
    if content.has_grid and not content.scaled:
        raise ValueError("a file with a grid has a step size for each latent; set scaled, too")
    stored = _float_bits(content.step_size) >> 16 if content.scaled else content.step_size
    kind = content.version << 4 | content.entropy_code
    return _FRAMES[content.version].write((kind, stored, content.fingerprint), content.payload)


def _float_bits(value: float) -> int:
    return int.from_bytes(struct.pack("<f", value), "little")


def read(blob: bytes) -> Container:
    """Return what a file says, after checking it.

    Raises:
        NotAContainerError: no `.gr` file, or one of an unknown version.
        CorruptFileError: truncated or altered.
    """
    _FRAMES[_EQUAL].check_magic(blob)
    version = blob[2] >> 4 if len(blob) > 2 else _EQUAL
    if version not in _FRAMES:
        known = ", ".join(map(str, _FRAMES))
        raise NotAContainerError(
            f".gr version {version}, this program reads versions {known}; update ganrev, or fetch the file again"
        )
    (kind, step_size, made_with), payload = _FRAMES[version].read(blob)
    scaled = version != _EQUAL
    if scaled:
        (step_size,) = struct.unpack("<f", (step_size << 16).to_bytes(4, "little"))
    if not math.isfinite(step_size) or step_size < 0 or (scaled and step_size == 0):
        raise CorruptFileError(f"the .gr file names the impossible step {step_size}")
    return Container(kind & 15, step_size, made_with, payload, scaled, version == _GRID)


def check_generator(content: Container, digest: str) -> None:
    """Raise WrongGeneratorError unless the file was made with weights of this SHA-256."""
    expected, made_with = fingerprint(digest), content.fingerprint.hex()
    if content.fingerprint == expected:
        return
    advice = "decode with the generator it was made with (generator=..., generator.path=...)"
    if release := _RELEASES.get(made_with):
        advice = f"release {release} of ganrev, which ships that generator, reads the file"
    raise WrongGeneratorError(f"the file was made with generator {made_with}, this one is {expected.hex()}; {advice}")


def payload_bytes(blob: bytes) -> int:
    """Return the size of a file's payload alone, in bytes: the paper's own count."""
    return len(read(blob).payload)
