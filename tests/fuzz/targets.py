"""What is fuzzed: every format that the program reads from strangers, with files to begin from."""

import binascii
import io
import json
import math
import struct
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor

from baselines.components import Basis
from baselines.kmeans import KMeans
from baselines.newer import AVIF, HEIF, JPEG2000, JXL, WebP
from baselines.pca import PCA
from baselines.pillow import JPEG, PNG
from ganrev.codecs.latent_codec import LatentCodec
from ganrev.coding import backends, container
from ganrev.coding.frame import ContainerError
from ganrev.contamination.card import ModelCard, read_card, write_card
from ganrev.contamination.hashes import hash_faces, load_hashes
from ganrev.data.formats import decode_picture
from ganrev.data.png import SIGNATURE
from ganrev.generator.base import Levels
from ganrev.generator.weights import load_tensors
from ganrev.pixels import to_pillow
from tests.golden.make import BACK_ENDS, FOLDER, Table, TableGenerator, read_record
from tests.tiny import smooth_images, tiny_codec

_HEADERS = {1: 12, 2: 10, 3: 10}  # bytes of a .gr file's header, by version
_PCA_HEADER = 9


@dataclass(frozen=True)
class Target:
    """One format.

    Attributes:
        name: for the table of results.
        seeds: whole files.
        decode: reads one.
        documented: what it may raise, and nothing else.
        header: size of a file's header, whose last two bytes are the checksum; None for a format without one.
        num_kept: first bytes that most mutants keep, since another magic or fingerprint hides all the rest.
        allowance: memory in KiB that a good file of a mutant's declared size may take, beyond what the seeds take.
    """

    name: str
    seeds: Sequence[bytes]
    decode: Callable[[bytes], object]
    documented: type[Exception] = ValueError
    header: Callable[[bytes], int] | None = None
    num_kept: int = 0
    allowance: Callable[[bytes], int] = lambda blob: 0

    def with_checksum(self, blob: bytes) -> bytes:
        """Return a file with the checksums that its bytes should have."""
        if blob.startswith(SIGNATURE):
            return _with_png_checksums(blob)
        size = self.header(blob) if self.header else 0
        if not size or len(blob) < size:
            return blob
        head, payload = blob[: size - 2], blob[size:]
        return head + struct.pack("<H", binascii.crc_hqx(payload, binascii.crc_hqx(head, 0xFFFF))) + payload


def _with_png_checksums(blob: bytes) -> bytes:
    """Return a PNG whose chunks have the checksums that their bytes should have, as far as it has chunks."""
    done, place = [SIGNATURE], len(SIGNATURE)
    while place + 12 <= len(blob):
        length = int.from_bytes(blob[place : place + 4], "big")
        content = blob[place + 4 : place + 8 + length]
        if place + 12 + length > len(blob):
            break
        done += [blob[place : place + 4], content, binascii.crc32(content).to_bytes(4, "big")]
        place += 12 + length
    return b"".join([*done, blob[place:]])


class DrawingGenerator(TableGenerator):
    """Draws something at once: what costs time here is to be the decoder."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z[:, :3, None, None].float()).expand(-1, 3, self.image_size, self.image_size)


def _drawing_codec(num_latents: int, table: Table, levels: Levels) -> LatentCodec:
    generator = DrawingGenerator(num_latents, table, levels)
    return tiny_codec(generator=generator, entropy=backends.Store())


def gr_targets() -> list[Target]:
    """Return one target for each back end and version, from all golden files."""
    record = read_record()
    names = {back_end.code: name for name, back_end in BACK_ENDS.items()}
    decoders: dict[tuple[str, int], Callable[[bytes], object]] = {}
    groups: dict[tuple, list[bytes]] = defaultdict(list)
    for name, case in record["files"].items():
        blob = (FOLDER / name).read_bytes()
        content = container.read(blob)
        num_latents = len(record["vectors"][case["vector"]])
        levels: Levels = "all" if content.has_grid else "z"
        key = case["table"], num_latents
        if key not in decoders:
            decoders[key] = _decoder(_drawing_codec(num_latents, record["tables"][case["table"]], levels))
        label = f".gr v{content.version} {names[content.entropy_code]}"
        groups[label, *key].append(blob)
        assert decoders[key](blob) is not None
    return [
        Target(label, seeds, decoders[table, num_latents], ContainerError, _gr_header, 2)
        for (label, table, num_latents), seeds in groups.items()
    ]


def _decoder(codec: LatentCodec | PCA) -> Callable[[bytes], object]:
    return lambda blob: codec.decode([blob])


def _gr_header(blob: bytes) -> int:
    return _HEADERS.get(blob[2] >> 4, 0) if len(blob) > 2 else 0


def pca_target() -> Target:
    """Return the target of `.pca` files."""
    rng = torch.Generator().manual_seed(0)
    rows = torch.linalg.qr(torch.randn(96, 48, generator=rng)).Q.T.half()
    deviations = 300 * 0.9 ** torch.arange(48.0)
    codec = PCA(Basis(torch.full((3, 8, 8), 128.0), rows[:24], rows[24:], deviations), step=20.0)
    steps = (4.0, 20.0, 100.0)
    seeds = [blob for step in steps for blob in PCA(codec.basis, step).encode(smooth_images(2, 8))]
    return Target(".pca", seeds, _decoder(codec), ContainerError, lambda blob: _PCA_HEADER, 3)


def picture_targets() -> list[Target]:
    """Return targets of the files that Pillow reads for codecs, and of the reader of pictures."""
    images = smooth_images(2, 16)
    codecs = [JPEG(10), PNG(), KMeans(4), WebP(20), AVIF(20), JPEG2000(25)]
    codecs += [JXL(20)] if find_spec("pillow_jxl") else []
    codecs += [HEIF(20)] if find_spec("pillow_heif") else []
    found = [
        Target(f"{type(codec).__name__} codec", codec.encode(images), lambda blob, codec=codec: codec.decode([blob]))
        for codec in codecs
    ]
    seeds = []
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "PPM"):
        for mode in ("RGB", "L"):
            buffer = io.BytesIO()
            to_pillow(images[0]).convert(mode).save(buffer, format=kind)
            seeds.append(buffer.getvalue())
    return [*found, Target("picture files", seeds, decode_picture, allowance=_pixels_allowed)]


def _pixels_allowed(blob: bytes) -> int:
    """Return what the pixels of a picture file may take, in KiB: as Pillow holds them, and as RGB twice."""
    try:
        with Image.open(io.BytesIO(blob)) as picture:
            return (4 + 3 + 3) * math.prod(picture.size) >> 10
    except Exception:  # whatever Pillow raises, such a file may take nothing
        return 0


def file_targets(folder: Path) -> list[Target]:
    """Return targets of model cards, weights and hashes, which are read from a file in this folder."""
    card, weights, hashes, trial = (folder / name for name in ("card", "weights", "hashes", "trial"))
    write_card(ModelCard(name="x", unseen_scale=4.0, celeba_ids=[1, 2], celeba_identities=[3]), card)
    weights.write_bytes(safetensors.torch.save({"a": torch.arange(12.0).view(3, 4), "b": torch.ones(2).half()}))
    hash_faces(smooth_images(3, 128)).save(hashes)

    def reads(read: Callable[[Path], object]) -> Callable[[bytes], object]:
        def decode(blob: bytes) -> object:
            trial.write_bytes(blob)
            return read(trial)

        return decode

    def reads_member(blob: bytes) -> object:
        """Read hashes one of whose arrays is this: no checksum of the archive is in the way."""
        with zipfile.ZipFile(hashes) as whole, zipfile.ZipFile(trial, "w") as changed:
            for name in whole.namelist():
                changed.writestr(name, blob if name == "bits.npy" else whole.read(name))
        return load_hashes(trial)

    with zipfile.ZipFile(hashes) as archive:
        member = archive.read("bits.npy")
    return [
        Target("array of hashes .npz", [member], reads_member),
        Target("model card", [card.read_bytes(), json.dumps({"celeba_ids": []}).encode()], reads(read_card)),
        Target("safetensors", [weights.read_bytes()], reads(load_tensors)),
        Target("hashes .npz", [hashes.read_bytes()], reads(load_hashes)),
    ]


def all_targets(folder: str | Path | None = None) -> list[Target]:
    """Return all of them, those of one name together."""
    targets = [
        *gr_targets(),
        pca_target(),
        *picture_targets(),
        *file_targets(Path(folder or tempfile.mkdtemp())),
    ]
    return sorted(targets, key=lambda target: target.name)


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
        if target.documented is ContainerError and len(blob) > _PCA_HEADER and rng.random() < 0.9:
            kept = seed_mark(target, seed)
            blob[kept] = seed[kept]
    fits = bool(rng.random() < 0.9)
    return target.with_checksum(bytes(blob)) if fits else bytes(blob), fits


def seed_mark(target: Target, blob: bytes) -> slice:
    """Return where a file has its fingerprint: right before the checksum."""
    size = target.header(blob) if target.header else 0
    num_bytes = 2 if target.name == ".pca" else container.FINGERPRINT_BYTES
    return slice(size - 2 - num_bytes, size - 2)


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
